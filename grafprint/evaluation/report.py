"""Evaluation settings and results: outcomes, cells, rates with 95 % intervals, tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from grafprint.degradation.rerecording import RerecordingConfig
from grafprint.errors import ConfigError
from grafprint.evaluation.intervals import Rate, percent, wilson
from grafprint.evaluation.queries import PROTOCOLS, Setting
from grafprint.matching.confidence import FINGERPRINTS, LANDMARKS, Calibration

# The rates of a cell's summary, in words.
MEASURES = {
    "hit_50ms": "right track within 50 ms",
    "hit_1hop": "right track within one hop",
    "right_track": "right track",
    "named_right": "true positive (right track reported)",
    "named_when_absent": "false positive (track not in the library)",
}


@dataclass(frozen=True)
class EvaluationConfig:
    """Grid and queries. Table II: 1/2/3/5 s x 0..20 dB x without and with reverb.

    ``rerecordings`` are virtual re-recordings beside the grid, which may then be empty: settings by
    names of one's choice (queries.py has named ones). Raises ConfigError if there is nothing to
    measure.
    """

    lengths_s: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0)
    snrs_db: tuple[float | None, ...] = (0.0, 5.0, 10.0, 15.0, 20.0)  # None: no noise
    reverbs: tuple[bool, ...] = (False, True)
    queries: int = 100  # per cell
    seed: int = 0
    past_s: float = 2.0  # music before the query that its reverb includes, if there is any
    protocol: str = "clean"  # or "published"; see queries.py
    rerecordings: Mapping[str, RerecordingConfig] = field(default_factory=dict, hash=False)
    landmarks: bool = False  # whether landmarks decide beside fingerprints, as in use

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"the protocol is clean or published, not {self.protocol!r}")
        if self.rerecordings and self.protocol != "clean":
            raise ConfigError("re-recordings are queries of the clean protocol: choose that one")
        if self.landmarks and self.protocol != "clean":
            raise ConfigError("landmarks need queries of the clean protocol: choose that one")
        if not self.lengths_s or not ((self.snrs_db and self.reverbs) or self.rerecordings):
            raise ConfigError("nothing to measure: give lengths, and SNRs or re-recordings")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON-able values; without what was added later, if it is not used."""
        settings = asdict(self)
        for name in ("rerecordings", "landmarks"):
            if not settings[name]:
                del settings[name]
        return settings

    @property
    def calibration(self) -> Calibration:
        """The calibration of the answers."""
        return LANDMARKS if self.landmarks else FINGERPRINTS


@dataclass(frozen=True)
class Outcome:
    """The result of one query.

    ``score`` is the evidence for the best match and ``lead`` its lead over other music, or all of
    it where there is none;
    ``wrong_score`` and ``wrong_lead`` are those of the best other track: the result if the query's
    track were not in the library.
    """

    track: int
    time_s: float
    found: int | None
    found_s: float
    score: float
    lead: float
    wrong_score: float
    wrong_lead: float
    noise: str = ""  # names; empty for none
    room: str = ""

    def right_track(self) -> bool:
        """Whether the best match is the query's track."""
        return self.found == self.track

    def hit(self, tolerance_s: float) -> bool:
        """Whether track and time, to within ``tolerance_s``, are right."""
        return self.right_track() and abs(self.found_s - self.time_s) <= tolerance_s


@dataclass(frozen=True)
class Cell:
    """The outcomes of one length and one SNR and reverb setting, or one re-recording."""

    setting: Setting
    outcomes: list[Outcome]

    def rate(self, test: Callable[[Outcome], bool]) -> Rate:
        """Share of outcomes that pass ``test``, with its interval; as :func:`wilson`."""
        return wilson(sum(map(test, self.outcomes)), len(self.outcomes))

    def summary(
        self, hop_s: float, fingerprints: int, calibration: Calibration = FINGERPRINTS
    ) -> dict[str, Any]:
        """The cell as JSON-able numbers; rates are [rate, low, high].

        The threshold depends on the number of ``fingerprints`` in the library; where the lead
        counts, it is that of a match without one.
        """

        def named(score: float, lead: float) -> bool:
            return score >= calibration.score_needed(
                self.setting.length_s, fingerprints, rival=score - lead
            )

        setting = asdict(self.setting)
        if not setting["rerecording"]:
            del setting["rerecording"]
        threshold = calibration.score_needed(self.setting.length_s, fingerprints)
        errors = [abs(o.found_s - o.time_s) for o in self.outcomes if o.right_track()]
        return {
            **setting,
            "queries": len(self.outcomes),
            "threshold": threshold,
            "hit_50ms": self.rate(lambda o: o.hit(0.05)),
            "hit_1hop": self.rate(lambda o: o.hit(hop_s)),
            "right_track": self.rate(Outcome.right_track),
            "named_right": self.rate(lambda o: o.right_track() and named(o.score, o.lead)),
            "named_when_absent": self.rate(lambda o: named(o.wrong_score, o.wrong_lead)),
            "median_time_error_s": float(np.median(errors)) if errors else None,
        }


@dataclass(frozen=True)
class Report:
    """An evaluation: its settings and all its cells."""

    config: EvaluationConfig
    model_id: str
    references: int
    fingerprints: int
    query_tracks: int
    hop_s: float
    cells: list[Cell]

    def summary(self, cell: Cell) -> dict[str, Any]:
        """One of its cells as JSON-able numbers."""
        return cell.summary(self.hop_s, self.fingerprints, self.config.calibration)

    @property
    def done(self) -> int:
        """Number of queries in each cell so far."""
        return len(self.cells[0].outcomes)

    def rates(self, measure: str) -> dict[tuple[float, bool, float | None], Rate]:
        """One of MEASURES over the grid: by length, reverb and SNR, (rate, low, high) in 0..1."""
        return {
            (c.setting.length_s, c.setting.reverb, c.setting.snr_db): self._rate(c, measure)
            for c in self.cells
            if not c.setting.rerecording
        }

    def rerecording_rates(self, measure: str) -> dict[tuple[float, str], Rate]:
        """One of MEASURES of the re-recordings: by length and name, (rate, low, high) in 0..1."""
        return {
            (c.setting.length_s, c.setting.rerecording): self._rate(c, measure)
            for c in self.cells
            if c.setting.rerecording
        }

    def _rate(self, cell: Cell, measure: str) -> Rate:
        rate: Rate = self.summary(cell)[measure]
        return rate

    def to_json(self) -> dict[str, Any]:
        """The report for a JSON file, with one summary per cell."""
        return {
            "protocol": self.config.protocol,
            "config": self.config.to_json(),
            "model_id": self.model_id,
            "references": self.references,
            "fingerprints": self.fingerprints,
            "query_tracks": self.query_tracks,
            "cells": [self.summary(cell) for cell in self.cells],
        }


def table(report: Report, measure: str = "hit_50ms") -> Iterator[list[str]]:
    """Rows of text, header first: a row per length and reverb, a column per SNR, in percent."""
    snrs = report.config.snrs_db
    yield ["length", "reverb", *("no noise" if s is None else f"{s:g} dB" for s in snrs)]
    values = report.rates(measure)
    for length in report.config.lengths_s:
        for reverb in report.config.reverbs:
            row = [f"{length:g} s", "yes" if reverb else "no"]
            for snr in snrs:
                row.append(percent(values[length, reverb, snr]))
            yield row


def rerecording_table(report: Report, measure: str = "right_track") -> Iterator[list[str]]:
    """Rows of text, header first: a row per length, a column per re-recording, in percent."""
    names = list(report.config.rerecordings)
    yield ["length", *names]
    values = report.rerecording_rates(measure)
    for length in report.config.lengths_s:
        yield [f"{length:g} s", *(percent(values[length, name]) for name in names)]


def to_csv(report: Report) -> str:
    """The report as CSV, a row per cell; rates in 0..1 are followed by their intervals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["length_s", "snr_db", "reverb", "queries", "threshold"]
    if report.config.rerecordings:
        columns.insert(3, "rerecording")
    rates = [name + end for name in MEASURES for end in ("", "_low", "_high")]
    writer.writerow([*columns, *rates, "median_time_error_s"])
    for cell in report.cells:
        summary = report.summary(cell)
        summary["snr_db"] = "none" if summary["snr_db"] is None else summary["snr_db"]
        values = [f"{value:.4f}" for name in MEASURES for value in summary[name]]
        known = [summary.get(c, "") for c in columns]
        writer.writerow([*known, *values, summary["median_time_error_s"]])
    return text.getvalue()
