"""Hit rates over query length x SNR x reverb, or of re-recordings, with 95 % intervals.

Each query is degraded (see queries.py) and identified as users' clips are. A hit is the right track
within 50 ms of the right time; the right track within one hop, or at any time, is counted as well.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from grafprint import matching
from grafprint.audio.datasets import find_music
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.errors import DataError
from grafprint.evaluation.journal import Journal
from grafprint.evaluation.queries import Degrader, Query, Setting
from grafprint.evaluation.report import (
    Cell,
    EvaluationConfig,
    Outcome,
    Report,
)
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Track
from grafprint.remote.opening import AnyLibrary

# The outcomes of :meth:`QuerySet.ask` for some numbers, in order.
Ask = Callable[[Sequence[int]], Iterable[list[Outcome]]]


@dataclass(frozen=True, eq=False)
class QuerySet:
    """The queries of an evaluation; each depends only on its number and the seed.

    ``chosen`` are the tracks to query, with their files; each cell has one of ``settings``.
    """

    library: AnyLibrary
    fingerprinter: Fingerprinter
    degrader: Degrader
    config: EvaluationConfig
    chosen: list[tuple[Track, Path]]
    settings: list[Setting]

    @classmethod
    def of(
        cls,
        library: AnyLibrary,
        fingerprinter: Fingerprinter,
        noises: NoiseBank,
        rooms: RoomBank,
        config: EvaluationConfig,
        tracks: list[Track] | None,
    ) -> QuerySet:
        """The queries of :func:`evaluate`; raises the same errors."""
        return cls(
            library,
            fingerprinter,
            Degrader(noises, rooms, config.past_s, config.rerecordings, landmarks=config.landmarks),
            config,
            _readable(library, tracks, max(config.lengths_s)),
            [
                Setting(length, snr, reverb)
                for length in config.lengths_s
                for reverb in config.reverbs
                for snr in config.snrs_db
            ]
            + [
                Setting(length, None, False, name)
                for length in config.lengths_s
                for name in config.rerecordings
            ],
        )

    def ask(self, number: int) -> list[Outcome]:
        """The outcome of query ``number`` in each of the settings."""
        seed = (self.config.seed, number)
        rng = np.random.default_rng(seed)
        track, path = self.chosen[rng.integers(len(self.chosen))]
        clean = self.config.protocol == "clean"
        make = self.degrader.clean if clean else self.degrader.published
        queries = make(self.fingerprinter, path, track.duration_s, self.settings, rng, seed)
        answers = matching.identify_many(
            self.library,
            [q.fingerprints for q in queries],
            top_k=3,
            spectra=[q.spectrum for q in queries],
        )
        return [_outcome(q, track, answer) for q, answer in zip(queries, answers, strict=True)]


def evaluate(
    library: AnyLibrary,
    fingerprinter: Fingerprinter,
    noises: NoiseBank,
    rooms: RoomBank,
    config: EvaluationConfig | None = None,
    tracks: list[Track] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    journal: Path | None = None,
    ask: Ask | None = None,
) -> Report:
    """Query ``library`` with degraded clips of ``tracks`` (if None: of all that can be read).

    All cells use the same cuts, noises and rooms, so that they can be compared. Outcomes are
    written to the file ``journal`` as they come; called again, the evaluation resumes from it.
    ``ask`` runs the queries of the same :class:`QuerySet` elsewhere, as in several processes; if
    None, they run here, one after the other.

    Raises:
        DataError: no track's audio can be read, none is long enough, or the journal belongs to
            another evaluation.
    """
    steps = reports(library, fingerprinter, noises, rooms, config, tracks, journal, ask)
    report = next(steps)  # before the first new query
    for report in steps:
        if on_progress:
            on_progress(report.done, report.config.queries)
    return report


def reports(
    library: AnyLibrary,
    fingerprinter: Fingerprinter,
    noises: NoiseBank,
    rooms: RoomBank,
    config: EvaluationConfig | None = None,
    tracks: list[Track] | None = None,
    journal: Path | None = None,
    ask: Ask | None = None,
) -> Generator[Report, None, None]:
    """:func:`evaluate` step by step: the report so far, before the first query and after each.

    Each query runs in every cell before the next one does. Every item is the same report, whose
    cells fill; at first they hold only what the journal does. Closing the iterator ends the
    evaluation. Raises DataError as :func:`evaluate` does.
    """
    config = config or EvaluationConfig()
    queries = QuerySet.of(library, fingerprinter, noises, rooms, config, tracks)
    cells = [Cell(setting, []) for setting in queries.settings]
    report = Report(
        config=config,
        model_id=fingerprinter.model_id,
        references=len(library.tracks()),
        fingerprints=len(library),
        query_tracks=len(queries.chosen),
        hop_s=library.hop_s,
        cells=cells,
    )
    log = Journal(journal, subject_of(library, fingerprinter, config)) if journal else None
    for entry in log.entries[: config.queries] if log else []:
        for cell, values in zip(cells, entry, strict=True):
            cell.outcomes.append(Outcome(*values))
    yield report
    left = range(report.done, config.queries)
    for outcomes in ask(left) if ask else map(queries.ask, left):
        for cell, outcome in zip(cells, outcomes, strict=True):
            cell.outcomes.append(outcome)
        if log:
            log.add([astuple(outcome) for outcome in outcomes])
        yield report


def subject_of(
    library: AnyLibrary, fingerprinter: Fingerprinter, config: EvaluationConfig
) -> dict[str, Any]:
    """What identifies an evaluation in its journal: all but its number of queries."""
    settings = config.to_json()
    del settings["queries"]
    return {
        "outcome": [field.name for field in fields(Outcome)],
        "config": settings,
        "model_id": fingerprinter.model_id,
        "references": len(library.tracks()),
        "fingerprints": len(library),
    }


def query_tracks(library: AnyLibrary, where: str | Path) -> list[Track]:
    """The library's tracks that a folder, manifest or dataset names and whose audio exists.

    If it has a split ``test`` (:func:`grafprint.audio.datasets.find_music`), only that one. Raises
    DataError if it holds no music.
    """
    sources = find_music(where)
    if any(source.split == "test" for source in sources):
        sources = [source for source in sources if source.split == "test"]
    wanted = {source.path.resolve() for source in sources}
    places = [(track, library.audio_path(track)) for track in library.tracks()]
    return [track for track, path in places if path is not None and path.resolve() in wanted]


def _readable(
    library: AnyLibrary, tracks: list[Track] | None, longest_s: float
) -> list[tuple[Track, Path]]:
    chosen = []
    for track in library.tracks() if tracks is None else tracks:
        path = library.audio_path(track)
        if path is not None and track.duration_s > longest_s:
            chosen.append((track, path))
    if not chosen:
        raise DataError(
            f"no track of the library has its audio file in place and lasts over {longest_s:g} s"
        )
    return chosen


def _outcome(query: Query, track: Track, answer: matching.Answer | None) -> Outcome:
    found, found_s, score, lead, wrong = None, 0.0, 0.0, 0.0, [0.0, 0.0]
    if answer is not None:  # None: the track is silent throughout the query
        if (best := answer.best) is not None:
            found, found_s = best.track.id, best.start_s
            score = best.evidence
            lead = score if answer.lead is None else answer.lead
        wrong = [m.evidence for m in answer.matches if m.track.id != track.id][:2] + wrong
    return Outcome(
        track=track.id,
        time_s=query.time_s,
        found=found,
        found_s=found_s,
        score=score,
        lead=lead,
        wrong_score=wrong[0],
        wrong_lead=wrong[0] - wrong[1],
        noise=query.noise,
        room=query.room,
    )
