"""Matplotlib figures of evaluation reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grafprint.evaluation.intervals import Rate
from grafprint.evaluation.recordings_report import RecordingsReport
from grafprint.evaluation.report import MEASURES, Report

_MARKERS = "osD^v"


def hit_rates(report: Report, measure: str = "hit_50ms") -> Figure:
    """A rate (of MEASURES) against SNR: a panel without and one with reverb, a line per length.

    Re-recordings have a panel of their own. Error bars are 95 % Wilson intervals. Queries without
    noise are at the right-hand end. Every cell needs a query.
    """
    config = report.config
    reverbs = config.reverbs if config.snrs_db else ()
    names = list(config.rerecordings)
    count = len(reverbs) + bool(names)
    figure = Figure(figsize=(4.2 * count + 0.6, 3.6), layout="constrained")
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    rates, ticks = (
        report.rates(measure),
        ["none" if s is None else f"{s:g}" for s in config.snrs_db],
    )
    for panel, reverb in zip(panels, reverbs, strict=False):
        lines = {s: [rates[s, reverb, snr] for snr in config.snrs_db] for s in config.lengths_s}
        _panel(panel, lines, ticks)
        panel.set(title="noise + reverb" if reverb else "noise", xlabel="SNR (dB)")
    if names:
        again = report.rerecording_rates(measure)
        lines = {s: [again[s, name] for name in names] for s in config.lengths_s}
        _panel(panels[-1], lines, [name.replace(" ", "\n", 1) for name in names], joined=False)
        panels[-1].set(title="virtual re-recording")
    panels[0].set_ylabel(f"{MEASURES[measure]} (%)")
    panels[-1].legend(title="query", loc="best")
    return figure


def recordings_figure(report: RecordingsReport) -> Figure:
    """Right tracks, and those named, by window length: a panel per group of recordings."""
    shown = report.groups()
    names = ("right_track", "named_right", "named_when_absent")
    figure = Figure(figsize=(3.6 * len(shown) + 0.6, 3.6), layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    lengths_s = report.config.lengths_s
    for panel, (group, numbers) in zip(panels, shown.items(), strict=True):
        cells = [report.summary(numbers, s) for s in lengths_s]
        for number, name in enumerate(names):
            known = [(place, c[name]) for place, c in enumerate(cells) if c[name] is not None]
            if known:
                places = [place + 0.06 * (number - 1) for place, _ in known]
                rates = [rate for _, rate in known]
                words = report.measures[name]
                _line(panel, places, rates, words, number / 2, _MARKERS[number], "-")
        panel.set(title=group, xlabel="window (s)", xlim=(-0.3, len(lengths_s) - 0.7))
        panel.set(ylim=(-2, 102), xticks=range(len(lengths_s)))
        panel.set_xticklabels([f"{s:g}" for s in lengths_s])
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("windows (%)")
    panels[-1].legend(loc="best")
    return figure


def _panel(
    panel: Axes, lines: Mapping[float, list[Rate]], ticks: Sequence[str], joined: bool = True
) -> None:
    """Draw a line for each length in seconds over the ``ticks``; ``joined`` or as markers alone."""
    for number, (length_s, rates) in enumerate(lines.items()):
        # Side by side, so that bars of equal rates do not hide each other.
        places = [place + 0.06 * (number - (len(lines) - 1) / 2) for place in range(len(ticks))]
        shade = number / max(1, len(lines) - 1)
        marker = _MARKERS[number % len(_MARKERS)]
        _line(panel, places, rates, f"{length_s:g} s", shade, marker, "-" if joined else "")
    panel.set(xlim=(-0.3, len(ticks) - 0.7), ylim=(-2, 102), xticks=range(len(ticks)))
    panel.set_xticklabels(ticks)
    panel.grid(alpha=0.3)


def _line(
    panel: Axes,
    places: list[float],
    rates: list[Rate],
    label: str,
    shade: float,
    marker: str,
    style: str,
) -> None:
    """Draw a line of ``rates`` (rate, low, high) in 0..1; ``shade`` in 0..1 sets its colour."""
    middle = [100 * rate for rate, _, _ in rates]
    below = [100 * (rate - low) for rate, low, _ in rates]
    above = [100 * (high - rate) for rate, _, high in rates]
    colour = (0.10 + 0.72 * shade, 0.45, 0.80 - 0.45 * shade)
    panel.errorbar(
        places,
        middle,
        [below, above],
        marker=marker,
        linestyle=style,
        capsize=3,
        color=colour,
        label=label,
    )
