"""Hit rates: query length x SNR x reverb, with 95 % intervals, by either protocol.

Each query is degraded (see queries.py) and identified by the product's own search. A hit is the
right track within 50 ms of the right time; also counted are +-1 hop and the right track alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from grafprint import matching
from grafprint.augment import NoiseBank, RoomBank
from grafprint.data import find_music
from grafprint.fingerprint import Fingerprinter
from grafprint.journal import Journal
from grafprint.library import Library, Track
from grafprint.queries import PROTOCOLS, Degrader, Query, Setting


@dataclass(frozen=True)
class EvaluationConfig:
    """The grid and the queries. Table II: 1/2/3/5 s x 0..20 dB x without and with reverb."""

    lengths_s: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0)
    snrs_db: tuple[float | None, ...] = (0.0, 5.0, 10.0, 15.0, 20.0)  # None: no noise
    reverbs: tuple[bool, ...] = (False, True)
    queries: int = 100  # per cell
    seed: int = 0
    past_s: float = 2.0  # music the reverb hears before the query, where the track has it
    protocol: str = "clean"  # or "published"; see queries.py

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"the protocol is clean or published, not {self.protocol!r}")


@dataclass(frozen=True)
class Outcome:
    """What became of one query. ``wrong_score`` is the best score of any other track: the score
    the query would have got had its track not been in the library."""

    track: int
    time_s: float
    found: int | None
    found_s: float
    score: float
    wrong_score: float
    noise: str = ""  # names, empty where there was none
    room: str = ""

    def right_track(self) -> bool:
        """Whether the first answer is the query's track."""
        return self.found == self.track

    def hit(self, tolerance_s: float) -> bool:
        """Right track, and right time to within ``tolerance_s``."""
        return self.right_track() and abs(self.found_s - self.time_s) <= tolerance_s


@dataclass(frozen=True)
class Cell:
    """The outcomes of one length, SNR and reverb setting."""

    setting: Setting
    outcomes: list[Outcome]

    def rate(self, test: Callable[[Outcome], bool]) -> tuple[float, float, float]:
        """Share of outcomes that pass, and its 95 % Wilson interval: (rate, low, high) in 0..1."""
        passed, total = sum(map(test, self.outcomes)), len(self.outcomes)
        interval = binomtest(passed, total).proportion_ci(0.95, "wilson")
        return passed / total, float(interval.low), float(interval.high)

    def summary(self, hop_s: float, fingerprints: int) -> dict[str, Any]:
        """The cell as JSON-able numbers; rates are [rate, low, high].

        ``fingerprints`` is the size of the library, on which the threshold depends.
        """
        threshold = matching.default_threshold(self.setting.length_s, fingerprints)
        errors = [abs(o.found_s - o.time_s) for o in self.outcomes if o.right_track()]
        return {
            **asdict(self.setting),
            "queries": len(self.outcomes),
            "threshold": threshold,
            "hit_50ms": self.rate(lambda o: o.hit(0.05)),
            "hit_1hop": self.rate(lambda o: o.hit(hop_s)),
            "right_track": self.rate(Outcome.right_track),
            "named_right": self.rate(lambda o: o.right_track() and o.score >= threshold),
            "named_when_absent": self.rate(lambda o: o.wrong_score >= threshold),
            "median_time_error_s": float(np.median(errors)) if errors else None,
        }


@dataclass(frozen=True)
class Report:
    """An evaluation: the setting and all its cells."""

    config: EvaluationConfig
    model_id: str
    references: int
    fingerprints: int
    query_tracks: int
    hop_s: float
    cells: list[Cell]

    def to_json(self) -> dict[str, Any]:
        """The report for a JSON file, one summary a cell."""
        return {
            "protocol": self.config.protocol,
            "config": asdict(self.config),
            "model_id": self.model_id,
            "references": self.references,
            "fingerprints": self.fingerprints,
            "query_tracks": self.query_tracks,
            "cells": [cell.summary(self.hop_s, self.fingerprints) for cell in self.cells],
        }


def evaluate(
    library: Library,
    fingerprinter: Fingerprinter,
    noises: NoiseBank,
    rooms: RoomBank,
    config: EvaluationConfig | None = None,
    tracks: list[Track] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    journal: Path | None = None,
) -> Report:
    """Query ``library`` with degraded clips of ``tracks`` (all that can be read, if None).

    The same cuts, noises and rooms are used in every cell, so cells can be compared. Outcomes are
    kept in the file ``journal`` as they come; called again, the evaluation goes on from there.

    Raises:
        ValueError: no track's audio can be read, or none is long enough; or the journal is of
            another evaluation.
    """
    config = config or EvaluationConfig()
    chosen = _readable(library, tracks, max(config.lengths_s))
    cells = [
        Cell(Setting(length, snr, reverb), [])
        for length in config.lengths_s
        for reverb in config.reverbs
        for snr in config.snrs_db
    ]
    degrader = Degrader(noises, rooms, config.past_s)
    make = degrader.clean if config.protocol == "clean" else degrader.published
    settings = [cell.setting for cell in cells]
    kept = Journal(journal, _subject(library, fingerprinter, config)) if journal else None
    for entry in kept.entries[: config.queries] if kept else []:
        for cell, values in zip(cells, entry, strict=True):
            cell.outcomes.append(Outcome(*values))
    for number in range(len(cells[0].outcomes), config.queries):
        seed = (config.seed, number)
        rng = np.random.default_rng(seed)
        track, path = chosen[rng.integers(len(chosen))]
        queries = make(fingerprinter, path, track.duration_s, settings, rng, seed)
        for cell, query in zip(cells, queries, strict=True):
            cell.outcomes.append(_ask(library, query, track))
        if kept:
            kept.add([astuple(cell.outcomes[-1]) for cell in cells])
        if on_progress:
            on_progress(number + 1, config.queries)
    return Report(
        config, fingerprinter.model_id, len(library.tracks()), len(library), len(chosen),
        library.hop_s, cells,
    )  # fmt: skip


def _subject(
    library: Library, fingerprinter: Fingerprinter, config: EvaluationConfig
) -> dict[str, Any]:
    """What an evaluation is of, but for how many queries."""
    settings = asdict(config)
    del settings["queries"]
    return {
        "config": settings,
        "model_id": fingerprinter.model_id,
        "references": len(library.tracks()),
        "fingerprints": len(library),
    }


def query_tracks(library: Library, where: str | Path) -> list[Track]:
    """The tracks of the library that a folder, manifest or dataset names, with audio at hand.

    Where it has splits (:func:`grafprint.data.find_music`), those of the split ``test``. Raises
    DataError if it holds no music.
    """
    sources = find_music(where)
    if any(source.split == "test" for source in sources):
        sources = [source for source in sources if source.split == "test"]
    wanted = {source.path.resolve() for source in sources}
    places = [(track, library.audio_path(track)) for track in library.tracks()]
    return [track for track, path in places if path is not None and path.resolve() in wanted]


def _readable(
    library: Library, tracks: list[Track] | None, longest_s: float
) -> list[tuple[Track, Any]]:
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


def _ask(library: Library, query: Query, track: Track) -> Outcome:
    found, found_s, score, wrong = None, 0.0, 0.0, 0.0
    # A silent stretch of the track cannot be looked up: nothing was found.
    with contextlib.suppress(matching.MatchError):
        matches = matching.identify(library, query.fingerprints, top_k=2).matches
        if matches:
            found, found_s, score = matches[0].track.id, matches[0].start_s, matches[0].score
        wrong = next((m.score for m in matches if m.track.id != track.id), 0.0)
    return Outcome(track.id, query.time_s, found, found_s, score, wrong, query.noise, query.room)


def table(report: Report, measure: str = "hit_50ms") -> Iterator[list[str]]:
    """Rows of text, header first: one row a length and reverb, one column an SNR, in percent."""
    snrs = report.config.snrs_db
    yield ["length", "reverb", *("no noise" if s is None else f"{s:g} dB" for s in snrs)]
    values = {
        (c.setting.length_s, c.setting.reverb, c.setting.snr_db): c.summary(
            report.hop_s, report.fingerprints
        )[measure]
        for c in report.cells
    }
    for length in report.config.lengths_s:
        for reverb in report.config.reverbs:
            row = [f"{length:g} s", "yes" if reverb else "no"]
            for snr in snrs:
                rate, low, high = values[length, reverb, snr]
                row.append(f"{100 * rate:.1f} ({100 * low:.1f}-{100 * high:.1f})")
            yield row
