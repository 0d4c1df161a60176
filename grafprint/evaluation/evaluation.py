"""Hit rates: query length x SNR x reverb, with 95 % intervals, by either protocol.

Each query is degraded (see queries.py) and identified by the product's own search. A hit is the
right track within 50 ms of the right time; also counted are +-1 hop and the right track alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from grafprint import matching
from grafprint.audio.datasets import find_music
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.evaluation.journal import Journal
from grafprint.evaluation.queries import Degrader, Query, Setting
from grafprint.evaluation.report import (
    MEASURES,
    Cell,
    EvaluationConfig,
    Outcome,
    Report,
    table,
    to_csv,
)
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, Track

__all__ = [
    "MEASURES", "Ask", "Cell", "EvaluationConfig", "Outcome", "QuerySet", "Report", "evaluate",
    "query_tracks", "reports", "table", "to_csv",
]  # fmt: skip

# The outcomes of :meth:`QuerySet.ask` for numbers, in their order.
Ask = Callable[[range], Iterable[list[Outcome]]]


@dataclass(frozen=True, eq=False)
class QuerySet:
    """What an evaluation asks; a question depends on its number and the seed, and on no other.

    ``chosen`` are the tracks to query and their files, ``settings`` those of the cells.
    """

    library: Library
    fingerprinter: Fingerprinter
    degrader: Degrader
    config: EvaluationConfig
    chosen: list[tuple[Track, Path]]
    settings: list[Setting]

    @classmethod
    def of(
        cls,
        library: Library,
        fingerprinter: Fingerprinter,
        noises: NoiseBank,
        rooms: RoomBank,
        config: EvaluationConfig,
        tracks: list[Track] | None,
    ) -> QuerySet:
        """Those of :func:`evaluate`, which raises the same errors."""
        return cls(
            library,
            fingerprinter,
            Degrader(noises, rooms, config.past_s),
            config,
            _readable(library, tracks, max(config.lengths_s)),
            [
                Setting(length, snr, reverb)
                for length in config.lengths_s
                for reverb in config.reverbs
                for snr in config.snrs_db
            ],
        )

    def ask(self, number: int) -> list[Outcome]:
        """What becomes of question ``number`` in each of the settings."""
        seed = (self.config.seed, number)
        rng = np.random.default_rng(seed)
        track, path = self.chosen[rng.integers(len(self.chosen))]
        make = (
            self.degrader.clean if self.config.protocol == "clean" else self.degrader.published
        )  # fmt: skip
        queries = make(self.fingerprinter, path, track.duration_s, self.settings, rng, seed)
        answers = matching.identify_many(self.library, [q.fingerprints for q in queries], top_k=3)
        return [_outcome(q, track, answer) for q, answer in zip(queries, answers, strict=True)]


def evaluate(
    library: Library,
    fingerprinter: Fingerprinter,
    noises: NoiseBank,
    rooms: RoomBank,
    config: EvaluationConfig | None = None,
    tracks: list[Track] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    journal: Path | None = None,
    ask: Ask | None = None,
) -> Report:
    """Query ``library`` with degraded clips of ``tracks`` (all that can be read, if None).

    The same cuts, noises and rooms are used in every cell, so cells can be compared. Outcomes are
    kept in the file ``journal`` as they come; called again, the evaluation goes on from there.
    ``ask`` answers the same :class:`QuerySet` elsewhere, as in several processes; if None, they
    are asked here, one after the other.

    Raises:
        ValueError: no track's audio can be read, or none is long enough; or the journal is of
            another evaluation.
    """
    steps = reports(library, fingerprinter, noises, rooms, config, tracks, journal, ask)
    report = next(steps)  # before the first new query
    for report in steps:
        if on_progress:
            on_progress(report.done, report.config.queries)
    return report


def reports(
    library: Library,
    fingerprinter: Fingerprinter,
    noises: NoiseBank,
    rooms: RoomBank,
    config: EvaluationConfig | None = None,
    tracks: list[Track] | None = None,
    journal: Path | None = None,
    ask: Ask | None = None,
) -> Generator[Report, None, None]:
    """The same, step by step: the report so far before the first query and after each.

    A query is asked in every cell before the next one. It is one and the same report, whose cells
    fill; before the first query they are empty, but for what the journal holds. Closing the
    iterator ends the evaluation. Raises ValueError as :func:`evaluate` does.
    """
    config = config or EvaluationConfig()
    questions = QuerySet.of(library, fingerprinter, noises, rooms, config, tracks)
    cells = [Cell(setting, []) for setting in questions.settings]
    report = Report(
        config, fingerprinter.model_id, len(library.tracks()), len(library), len(questions.chosen),
        library.hop_s, cells,
    )  # fmt: skip
    kept = Journal(journal, _subject(library, fingerprinter, config)) if journal else None
    for entry in kept.entries[: config.queries] if kept else []:
        for cell, values in zip(cells, entry, strict=True):
            cell.outcomes.append(Outcome(*values))
    yield report
    left = range(report.done, config.queries)
    for outcomes in ask(left) if ask else map(questions.ask, left):
        for cell, outcome in zip(cells, outcomes, strict=True):
            cell.outcomes.append(outcome)
        if kept:
            kept.add([astuple(outcome) for outcome in outcomes])
        yield report


def _subject(
    library: Library, fingerprinter: Fingerprinter, config: EvaluationConfig
) -> dict[str, Any]:
    """What an evaluation is of, but for how many queries."""
    settings = asdict(config)
    del settings["queries"]
    return {
        "outcome": [field.name for field in fields(Outcome)],
        "config": settings,
        "model_id": fingerprinter.model_id,
        "references": len(library.tracks()),
        "fingerprints": len(library),
    }


def query_tracks(library: Library, where: str | Path) -> list[Track]:
    """The tracks of the library that a folder, manifest or dataset names, with audio at hand.

    Where it has splits (:func:`grafprint.audio.datasets.find_music`), those of the split
    ``test``. Raises DataError if it holds no music.
    """
    sources = find_music(where)
    if any(source.split == "test" for source in sources):
        sources = [source for source in sources if source.split == "test"]
    wanted = {source.path.resolve() for source in sources}
    places = [(track, library.audio_path(track)) for track in library.tracks()]
    return [track for track, path in places if path is not None and path.resolve() in wanted]


def _readable(
    library: Library, tracks: list[Track] | None, longest_s: float
) -> list[tuple[Track, Path]]:
    chosen = []
    for track in library.tracks() if tracks is None else tracks:
        path = library.audio_path(track)
        if path is not None and track.duration_s > longest_s:
            chosen.append((track, path))
    if not chosen:
        raise ValueError(
            f"no track of the library has its audio at hand and lasts over {longest_s:g} s"
        )
    return chosen


def _outcome(query: Query, track: Track, answer: matching.Answer | None) -> Outcome:
    found, found_s, score, lead, wrong = None, 0.0, 0.0, 0.0, [0.0, 0.0]
    if answer is not None:  # it is None where the track is silent for so long
        if (best := answer.best) is not None:
            found, found_s, score, lead = best.track.id, best.start_s, best.score, answer.lead
        wrong = [m.score for m in answer.matches if m.track.id != track.id][:2] + wrong
    return Outcome(
        track.id, query.time_s, found, found_s, score, lead, wrong[0], wrong[0] - wrong[1],
        query.noise, query.room,
    )  # fmt: skip
