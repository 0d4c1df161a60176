"""Matplotlib figures of evaluation reports."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grafprint.evaluation.report import MEASURES, Report

_MARKERS = "osD^v"


def hit_rates(report: Report, measure: str = "hit_50ms") -> Figure:
    """A rate (of MEASURES) against SNR: a panel without and one with reverb, a line per length.

    Error bars are 95 % Wilson intervals. Queries without noise are at the right-hand end. Every
    cell needs a query.
    """
    reverbs = report.config.reverbs
    figure = Figure(figsize=(4.2 * len(reverbs) + 0.6, 3.6), layout="constrained")
    panels = figure.subplots(1, len(reverbs), sharey=True, squeeze=False)[0]
    snrs = report.config.snrs_db
    rates = report.rates(measure)
    lines = len(report.config.lengths_s)
    for panel, reverb in zip(panels, reverbs, strict=True):
        for number, length in enumerate(report.config.lengths_s):
            line = [rates[length, reverb, snr] for snr in snrs]
            shade = number / max(1, lines - 1)
            # Side by side, so that bars of equal rates do not hide each other.
            places = [place + 0.06 * (number - (lines - 1) / 2) for place in range(len(snrs))]
            marker = _MARKERS[number % len(_MARKERS)]
            _line(panel, places, line, f"{length:g} s", shade, marker)
        panel.set(
            title="noise + reverb" if reverb else "noise",
            xlabel="SNR (dB)",
            xlim=(-0.3, len(snrs) - 0.7),
            ylim=(-2, 102),
            xticks=range(len(snrs)),
            xticklabels=["none" if s is None else f"{s:g}" for s in snrs],
        )
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(f"{MEASURES[measure]} (%)")
    panels[-1].legend(title="query", loc="best")
    return figure


def _line(
    panel: Axes,
    places: list[float],
    rates: list[tuple[float, float, float]],
    label: str,
    shade: float,
    marker: str,
) -> None:
    """Draw a line of ``rates`` (rate, low, high) in 0..1; ``shade`` in 0..1 sets its colour."""
    middle = [100 * rate for rate, _, _ in rates]
    below = [100 * (rate - low) for rate, low, _ in rates]
    above = [100 * (high - rate) for rate, _, high in rates]
    colour = (0.10 + 0.72 * shade, 0.45, 0.80 - 0.45 * shade)
    panel.errorbar(
        places, middle, [below, above], marker=marker, capsize=3, color=colour, label=label
    )
