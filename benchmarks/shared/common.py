"""Shared by the accuracy benchmarks: options, libraries, results."""

from __future__ import annotations

import argparse
import json
import math
import platform
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.shared import query_parts
from benchmarks.shared.systems import SYSTEMS, System
from benchmarks.shared.workers import Model, Shared, WorkerPool
from grafprint.audio.folders import audio_files
from grafprint.degradation.banks import noise_bank, room_bank
from grafprint.evaluation import Ask, EvaluationConfig, QuerySet, Report, evaluate, query_tracks
from grafprint.evaluation.evaluation import subject_of
from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter
from grafprint.library import Library, Track, add_file
from grafprint.library.add_file import FileFingerprints
from grafprint.library.part import Part
from grafprint.models.fast.precision import faster_in_bf16

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
FIGURES = ROOT / "docs" / "figures"


def resident_mb(pid: int | str = "self", kind: str = "VmRSS") -> float:
    """Resident memory of a process, in thousands of Linux's kB of 1,024 bytes.

    ``kind`` is a line of ``/proc/PID/status``.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split(f"{kind}:")[1].split()[0]) / 1e3


def anonymous_mb() -> float:
    """Resident memory of this process, without mapped files."""
    return resident_mb(kind="RssAnon")


@contextmanager
def peak_mb() -> Iterator[Callable[[], float]]:
    """Yields a function that returns the largest growth of :func:`anonymous_mb` so far."""
    before = most = anonymous_mb()
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.05):
            most = max(most, anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: max(most, anonymous_mb()) - before
    finally:
        done.set()
        watcher.join()


def options(doc: str) -> argparse.ArgumentParser:
    """A parser with options for the data, the systems and the working folder."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--test", type=Path, required=True, help="folder of the tracks to query")
    parser.add_argument("--distractors", type=Path, help="folder of more references")
    parser.add_argument("--noise", type=Path, required=True, help="noises not used in training")
    parser.add_argument(
        "--rooms", type=Path, required=True, help="room responses not used in training"
    )
    parser.add_argument(
        "--system", action="append", choices=list(SYSTEMS), help="default: grafprint"
    )
    parser.add_argument(
        "--models", type=Path, help="folder of benchmarks.train_systems; default: released network"
    )
    parser.add_argument(
        "--pairs", type=int, default=256_000, help="training pairs of the runs in --models"
    )
    parser.add_argument("--queries", type=int, default=500, help="per cell")
    parser.add_argument("--protocol", choices=["clean", "published"], default="clean")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--work", type=Path, default=Path("runs"), help="for libraries and journals"
    )
    parser.add_argument("--device", default="cpu", help="where the networks run, for example cuda")
    return parser


def shared_options(doc: str) -> argparse.ArgumentParser:
    """The same, for benchmarks that several processes can share."""
    parser = options(doc)
    parser.add_argument("--processes", type=int, default=1, help="number of processes")
    parser.add_argument("--out", type=Path, help="for the JSON; default: benchmarks/results")
    return parser


def model(args: argparse.Namespace, name: str) -> Model:
    """The trained network of a system, to load here or in other processes.

    The precision is chosen here, by a timing that could come out otherwise in another process.
    """
    precision = "bf16" if faster_in_bf16(torch.device(args.device)) else "fp32"
    if args.models is None:
        if name != "grafprint":
            raise SystemExit(f"the network of {name} must come from --models")
        return Model(DEFAULT_MODEL, args.device, precision=precision)
    run = f"{SYSTEMS[name].trained_as}-{args.pairs}"
    path = args.models / run / "encoder.safetensors"
    return Model(path, args.device, precision=precision)


def network(args: argparse.Namespace, name: str) -> Fingerprinter:
    """The trained network of a system."""
    return model(args, name).load()


def shared(pool: WorkerPool | None, trained: Model) -> tuple[Fingerprinter, Shared | None]:
    """A network for this process, and the work that a pool, if any, does with it.

    With a pool this process encodes nothing, so its network is on the CPU.
    """
    if pool is None:
        return trained.load(), None
    return replace(trained, device="cpu").load(), Shared(pool, trained)


def twins(system: str) -> list[str]:
    """The other systems that use the same network."""
    network = SYSTEMS[system].trained_as
    return [name for name, s in SYSTEMS.items() if s.trained_as == network and name != system]


def place(system: str, fingerprinter: Fingerprinter, work: Path) -> Path:
    """The folder in ``work`` of the system's library with this network."""
    return work / f"{system}-{fingerprinter.model_id}"


def opened(system: str, fingerprinter: Fingerprinter, work: Path) -> Library:
    """The system's library with this network in ``work``, open for writing; created if missing."""
    path = place(system, fingerprinter, work)
    made: System = SYSTEMS[system]
    library = (
        Library.open(path, writable=True) if path.exists() else made.create(path, fingerprinter)
    )
    library.nprobe = made.nprobe
    return library


def fingerprints_of(library: Library, track: Track, every: int = 1) -> FileFingerprints:
    """A track's fingerprints for another library; every ``every``-th, for a coarser hop.

    With its landmarks, if there are any and all fingerprints are taken.
    """
    end = track.first + track.count
    vectors = library.vectors(np.arange(track.first, end, every)).astype("<f2")
    kept = every == 1 and library.has_landmarks
    landmarks = np.array(library.landmarks(track.first, end)) if kept else None
    return FileFingerprints(vectors, track.duration_s, landmarks=landmarks)


def take(
    library: Library, fingerprinter: Fingerprinter, source: Path, files: Iterable[Path], size: float
) -> None:
    """Copy from the library ``source`` those files that it has, up to ``size`` fingerprints."""
    if not source.exists():
        return
    with Library.open(source, model_id=fingerprinter.model_id) as other:
        tracks = {other.audio_path(track): track for track in other.tracks()}
        for file in files:
            if len(library) >= size:
                return
            if track := tracks.get(file.resolve()):
                add_file.add_file(
                    library, file, fingerprinter, prepared=fingerprints_of(other, track)
                )


def collection(
    system: str,
    fingerprinter: Fingerprinter,
    folders: Iterable[Path],
    work: Path,
    helpers: Shared | None = None,
) -> Library:
    """The system's library of all files in the folders, made or resumed in ``work``.

    It stays open for writing, so that the caller can add to it. The ``helpers``, if any,
    fingerprint the files; the library is the same. Fingerprints that a system with the same network
    has already are copied from its library.
    """
    library = opened(system, fingerprinter, work)
    for folder in folders:
        for other in twins(system):
            source = place(other, fingerprinter, work)
            take(library, fingerprinter, source, audio_files(folder, []), math.inf)
        if helpers:
            added, failed = helpers.add_folder(library, folder, fingerprinter)
        else:
            report = library.add_folder(folder, fingerprinter)
            added, failed = len(report.added), len(report.failed)
        print(f"{system}: {folder.name}: {added} added, {failed} failed", flush=True)
    return library


def measure(
    name: str,
    library: Library,
    fingerprinter: Fingerprinter,
    config: EvaluationConfig,
    args: argparse.Namespace,
    helpers: Shared | None = None,
    part: Part | None = None,
) -> Report:
    """Evaluate with queries from the test folder; resumes an interrupted run of this name.

    The ``helpers``, if any, do the work; the outcomes are the same. With a ``part`` only its
    queries, into a journal of its own; without, those of all parts so far are taken from theirs.
    """

    def on_progress(done: int, total: int) -> None:
        if done % 10 == 0 or done == total:
            print(f"{name}: {done}/{total}", flush=True)

    tracks = query_tracks(library, args.test)
    journal = args.work / "journals" / f"{name}.jsonl"
    ask: Ask
    if helpers:
        noises, rooms, ask = helpers.asking(library, config, args.test, args.noise, args.rooms)
    else:
        noises, rooms = noise_bank(args.noise, "test", 0, 0), room_bank(args.rooms, "test", 0, 0)
        ask = partial(map, QuerySet.of(library, fingerprinter, noises, rooms, config, tracks).ask)
    if part:
        ask = query_parts.asking_part(ask, part, config.queries)
        config = replace(config, queries=len(part.numbers(config.queries)))
        journal = query_parts.journal_of(journal, part)
    else:
        ask = query_parts.asking_rest(ask, journal, subject_of(library, fingerprinter, config))
    return evaluate(
        library, fingerprinter, noises, rooms, config, tracks, on_progress, journal, ask
    )


def write(name: str, results: dict[str, Any], folder: Path | None = None) -> None:
    """Write ``NAME.json``, with the machine's description, to a folder (default: RESULTS)."""
    folder = folder or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    machine = f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    text = json.dumps({"machine": machine, **results}, indent=1)
    (folder / f"{name}.json").write_text(text + "\n")


def read(name: str, folder: Path | None = None) -> dict[str, Any]:
    """Results written by :func:`write`. Raises FileNotFoundError if there are none yet."""
    result: dict[str, Any] = json.loads(((folder or RESULTS) / f"{name}.json").read_text())
    return result


def rate_text(rate: Sequence[float | None] | None, scale: float = 100, digits: int = 1) -> str:
    """A figure of a JSON file with its interval, by default in percent; "-" if it is not known."""
    if rate is None:
        return "-"
    value, low, high = ("-" if part is None else f"{scale * part:.{digits}f}" for part in rate)
    return f"{value} ({low}-{high})"


def markdown(header: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
