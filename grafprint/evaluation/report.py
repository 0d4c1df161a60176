"""What an evaluation is and what it found: outcomes, cells, rates with 95 % intervals, tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from grafprint.evaluation.queries import PROTOCOLS, Setting
from grafprint.matching.confidence import CALIBRATION

# The rates of a cell's summary, in words.
MEASURES = {
    "hit_50ms": "right track within 50 ms",
    "hit_1hop": "right track within one hop",
    "right_track": "right track",
    "named_right": "named, and rightly",
    "named_when_absent": "named although absent",
}


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
    """What became of one query.

    ``wrong_score`` is the best score of any other track and ``wrong_lead`` its lead over the next
    one: what the query would have got had its track not been in the library.
    """

    track: int
    time_s: float
    found: int | None
    found_s: float
    score: float
    lead: float
    wrong_score: float
    wrong_lead: float
    noise: str = ""  # names, empty where there was none
    room: str = ""

    def right_track(self) -> bool:
        """Whether the first answer is the query's track."""
        return self.found == self.track

    def hit(self, tolerance_s: float) -> bool:
        """Right track, and right time to within ``tolerance_s``."""
        return self.right_track() and abs(self.found_s - self.time_s) <= tolerance_s


def wilson(passed: int, total: int) -> tuple[float, float, float]:
    """A share and its 95 % interval (Wilson, 1927): (rate, low, high) in 0..1."""
    interval = binomtest(passed, total).proportion_ci(0.95, "wilson")
    return passed / total, float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Cell:
    """The outcomes of one length, SNR and reverb setting."""

    setting: Setting
    outcomes: list[Outcome]

    def rate(self, test: Callable[[Outcome], bool]) -> tuple[float, float, float]:
        """Share of outcomes that pass, and its 95 % Wilson interval: (rate, low, high) in 0..1."""
        return wilson(sum(map(test, self.outcomes)), len(self.outcomes))

    def summary(self, hop_s: float, fingerprints: int) -> dict[str, Any]:
        """The cell as JSON-able numbers; rates are [rate, low, high].

        ``fingerprints`` is the size of the library, on which the threshold depends.
        """
        threshold = CALIBRATION.score_needed(self.setting.length_s, fingerprints)
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

    @property
    def done(self) -> int:
        """How many queries each cell has so far."""
        return len(self.cells[0].outcomes)

    def rates(
        self, measure: str
    ) -> dict[tuple[float, bool, float | None], tuple[float, float, float]]:
        """One of MEASURES in every cell: by length, reverb and SNR, (rate, low, high) in 0..1."""
        return {
            (c.setting.length_s, c.setting.reverb, c.setting.snr_db): c.summary(
                self.hop_s, self.fingerprints
            )[measure]
            for c in self.cells
        }

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


def table(report: Report, measure: str = "hit_50ms") -> Iterator[list[str]]:
    """Rows of text, header first: one row a length and reverb, one column an SNR, in percent."""
    snrs = report.config.snrs_db
    yield ["length", "reverb", *("no noise" if s is None else f"{s:g} dB" for s in snrs)]
    values = report.rates(measure)
    for length in report.config.lengths_s:
        for reverb in report.config.reverbs:
            row = [f"{length:g} s", "yes" if reverb else "no"]
            for snr in snrs:
                rate, low, high = values[length, reverb, snr]
                row.append(f"{100 * rate:.1f} ({100 * low:.1f}-{100 * high:.1f})")
            yield row


def to_csv(report: Report) -> str:
    """The report as CSV text, a row a cell; rates are in 0..1, with their intervals beside them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["length_s", "snr_db", "reverb", "queries", "threshold"]
    rates = [name + end for name in MEASURES for end in ("", "_low", "_high")]
    writer.writerow([*columns, *rates, "median_time_error_s"])
    for cell in report.cells:
        found = cell.summary(report.hop_s, report.fingerprints)
        found["snr_db"] = "none" if found["snr_db"] is None else found["snr_db"]
        values = [f"{value:.4f}" for name in MEASURES for value in found[name]]
        writer.writerow([*(found[c] for c in columns), *values, found["median_time_error_s"]])
    return text.getvalue()
