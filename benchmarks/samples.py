"""Which recording does this song sample? Ranking, places and false accepts, on made songs.

    python -m benchmarks.samples --stems STEMS --music TEST --distractors TRAIN \\
        --drums DRUMS --speech SPEECH --work WORK

makes 350 queries of 60 s in WORK/queries (200 sample stems of a song, 100 a whole recording, 50
nothing that the library has), and asks the networks what they sample. docs/samples.md says what
the folders are and what is drawn. With --split valid it does so with songs that are held out of
training, but not for tests. A threshold to use is above most of a row's ``empty_scores``, the best
of each query without a sample; ``least_score`` is above all but 5 % of them.

    python -m benchmarks.samples --sample100 FOLDER --work WORK

asks about Sample100 (grafprint/evaluation/sample100.py), with one's own audio.

Rows: *fingerprints*, the released network (--fingerprints: another one); *fingerprints, sample
search*, the same one by the search for samples; *encoder*, a network for sample identification
(--encoder); *with the classifier* (--reranker); *without graph blocks*, the encoder with these left
out. Whatever was made or answered is kept in WORK: a run is resumed, and a row that was measured
before stays in the results.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.pages import sample_tables
from benchmarks.shared import common
from benchmarks.shared.sample_bench import rows
from benchmarks.shared.sample_bench.measuring import (
    Question,
    answers_of,
    ask,
    bench_questions,
    difference,
    figures,
    sample100_questions,
)
from benchmarks.shared.sample_bench.queries import BenchConfig, make_queries
from benchmarks.shared.sample_bench.sources import HELD_OUT, RECORDINGS, find_sources
from grafprint.evaluation.journal import Journal
from grafprint.evaluation.sample100 import read_sample100
from grafprint.evaluation.samples import SampleAnswer
from grafprint.fingerprint import DEFAULT_MODEL


def made_songs(args: argparse.Namespace) -> tuple[dict[str, Any], list[Question], dict[str, Path]]:
    """Make the queries: what the bench is, its questions, and the files of the library."""
    config = BenchConfig(args.of_stems, args.of_recordings, args.empty, seed=args.seed)
    sources = find_sources(
        args.stems, args.music, args.distractors, args.drums, args.speech,
        tuple(args.held_out or HELD_OUT), args.references, args.seed, args.split,
    )  # fmt: skip

    def progress(done: int, total: int) -> None:
        if done % 10 == 0 or done == total:
            print(f"queries: {done} of {total}", flush=True)

    entries = make_queries(args.work, sources, config, progress)
    files = sources.library()
    facts = {
        "config": json.loads(json.dumps(asdict(config))),  # as it will be read again
        "sources": sources.digest(),
        "references": len(sources.songs) + len(sources.recordings),
        "songs_with_stems": len(sources.songs),
        "library": len(files),
        "held_out": len(sources.held_out),
    }
    return facts, bench_questions(args.work, entries, config), files


def sample100(args: argparse.Namespace) -> tuple[dict[str, Any], list[Question], dict[str, Path]]:
    """The same of Sample100."""
    data = read_sample100(args.sample100)
    if data.missing:
        print(f"without audio, left out: {', '.join(data.missing)}", flush=True)
    files = data.references | {
        f"noise/{path.relative_to(args.sample100).as_posix()}": path for path in data.noise
    }
    facts = {
        "queries": len(data.queries),
        "relations": len(data.relations),
        "references": len(data.references),
        "library": len(files),
        "missing": data.missing,
    }
    return facts, sample100_questions(data), files


def measure(
    args: argparse.Namespace,
    facts: dict[str, Any],
    questions: Sequence[Question],
    files: Mapping[str, Path],
    known: Mapping[str, Any],
) -> dict[str, Any]:
    """The results: rows that are asked for now, and those ``known`` of the same bench."""
    results = {"bench": facts, "rows": dict(known.get("rows", {})) if known.get("bench") == facts
               else {}}  # fmt: skip
    asked = [question.whole() for question in questions] if args.whole else questions
    answers: dict[str, list[list[SampleAnswer]]] = {}
    for name in args.row or rows.offered(args.encoder, args.reranker):
        row = rows.prepare(name, args, files)
        with row.library:
            journal = kept_answers(args, facts, name, row.identity, args.whole)
            answers[name] = ask(row.ranker, asked, journal)
        results["rows"][name] = {"network": row.identity, **figures(asked, answers[name])}
    for name, row in results["rows"].items():
        written = kept_answers(args, facts, name, row["network"], not row["lengths"])
        if name not in answers and len(written.entries) == len(questions):
            answers[name] = answers_of(written)
    results["differences"] = {
        f"{second} - {first}": difference(questions, answers[first], answers[second])
        for first, second in rows.COMPARED
        if first in answers and second in answers
    }
    return results


def kept_answers(
    args: argparse.Namespace, facts: dict[str, Any], name: str, identity: str, whole: bool
) -> Journal:
    """The journal of what a row's network answered; to ``whole`` queries only, or to all."""
    file = f"{re.sub('[ ,]+', '-', name)}-{identity}{'-whole' if whole else ''}.jsonl"
    path = args.work / "answers" / file
    return Journal(path, {"bench": facts, "row": identity})


def parser() -> argparse.ArgumentParser:
    """Options."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--stems", type=Path, help="folder written by assets.stems")
    options.add_argument("--music", type=Path, help="recordings that nothing was trained with")
    options.add_argument("--distractors", type=Path, help="more recordings for the library")
    options.add_argument("--drums", type=Path, help="single hits, named kick, snare and hat")
    options.add_argument("--speech", type=Path, help="spoken sentences")
    options.add_argument("--sample100", type=Path, help="folder with samples.csv and the audio")
    options.add_argument("--held-out", nargs="+", help="packages of --music that are overlays")
    options.add_argument("--references", type=int, default=RECORDINGS, help="of --music")
    options.add_argument("--of-stems", type=int, default=BenchConfig.stems)
    options.add_argument("--of-recordings", type=int, default=BenchConfig.recordings)
    options.add_argument("--empty", type=int, default=BenchConfig.empty)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--fingerprints", type=Path, default=DEFAULT_MODEL)
    options.add_argument(
        "--library", type=Path, help="one by the network of --fingerprints, to copy from"
    )
    options.add_argument("--encoder", type=Path, help="network for sample identification")
    options.add_argument("--reranker", type=Path, help="classifier trained with the encoder")
    options.add_argument("--row", action="append", choices=rows.NAMES, help="default: all it can")
    options.add_argument(
        "--split", choices=["test", "valid"], default="test",
        help="of the songs with stems; valid: to choose settings, as the default thresholds",
    )  # fmt: skip
    options.add_argument("--whole", action="store_true", help="ask no clips, which takes less")
    options.add_argument("--make-only", action="store_true", help="only make the queries")
    options.add_argument("--work", type=Path, default=Path("runs/samples"))
    options.add_argument("--device", default="cpu")
    options.add_argument("--precision", choices=["auto", "bf16", "fp32"], default="auto")
    options.add_argument("--out", type=Path, help="for the JSON; default: benchmarks/results")
    return options


def main() -> None:
    """Make, measure, print and write."""
    args = parser().parse_args()
    needed = ("stems", "music", "drums", "speech")
    if not args.sample100 and (missing := [n for n in needed if getattr(args, n) is None]):
        raise SystemExit(f"needed: --{', --'.join(missing)}; or --sample100")
    name = "sample100" if args.sample100 else "samples"
    if args.split != "test":
        name += f"-{args.split}"
    if args.seed:
        name += f"-{args.seed}"
    facts, questions, files = sample100(args) if args.sample100 else made_songs(args)
    if args.make_only:
        return
    try:
        known = common.read(name, args.out)
    except FileNotFoundError:
        known = {}
    results = measure(args, facts, questions, files, known)
    print(sample_tables.overview(results))
    common.write(name, results, args.out)


if __name__ == "__main__":
    main()
