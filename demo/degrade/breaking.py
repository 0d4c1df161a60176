"""The breaking point on the page: score against SNR, the settings, and the findings in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from matplotlib.axes import Axes

from demo import plots
from demo.degrade.values import NONE, SIMULATED, Values, describe
from grafprint.evaluation.breaking_point import (
    ROOM_RT60_S,
    SNRS_DB,
    Judgement,
    Point,
    holds_until_db,
)

# Filled, half filled, hollow.
_FILL = {"place": "full", "track": "left", "wrong": "none"}
_NAMES = {False: "without a room", True: "in the room"}
_COLOURS = {False: plots.TEAL, True: plots.AMBER}
_SHAPES = {False: "o", True: "s"}


def report(
    points: Sequence[Point], values: Values, track: str, given: bool, drawn: str | None = None
) -> str:
    """A sweep as HTML, finished or not: the plot and the findings in words.

    ``values`` are those of the controls, ``track`` is the title of the right track, and ``given``
    says whether that is known or only what the clean clip is identified as. ``drawn`` is the plot;
    None: it is drawn.
    """
    findings = " ".join(_finding(points, reverb) for reverb in (False, True))
    if len(points) < 2 * len(SNRS_DB):
        done, all_ = len(points), 2 * len(SNRS_DB)
        findings = (
            f'Tested {done} of {all_}. <progress max="{all_}" value="{done}" '
            'aria-label="Progress"></progress>'
        )
    source = "which it was cut from" if given else "which the clean clip is identified as"
    return (
        f'<div class="gp-breaking" role="status"><div>{findings}</div>'
        f'<div class="gp-small">The right answer is “{escape(track)}”, {source}. '
        f"{escape(_settings(values))}</div>"
        f'<div class="gp-plot">{drawn or plot(points, values.snr_db)}</div>'
        '<div class="gp-small">Filled: right track and position. Half filled: right track, wrong '
        "position. Hollow: wrong track. Scores below the dashed line of their colour are not "
        "reported as matches."
        "</div></div>"
    )


def plot(points: Sequence[Point], slider_db: float) -> str:
    """Score against SNR as SVG; a vertical line with id ``snr-place`` marks the slider's value."""
    with plots.drawing(5.4, 3) as figure:
        axes = plots.style_axes(figure.subplots())
        axes.set_xlim(SNRS_DB[-1] - 1, SNRS_DB[0] + 1)
        axes.set_ylim(0, 1.03)
        axes.set_xlabel("SNR (dB)", color=plots.GREY)
        axes.set_ylabel("score", color=plots.GREY)
        for reverb in (False, True):
            _curve(axes, [p for p in points if p.reverb == reverb], reverb)
        slider = axes.axvline(slider_db, color=plots.GREY, linewidth=2, alpha=0.7)
        slider.set_gid("snr-place")
        axes.legend(frameon=False, labelcolor=plots.GREY, loc="lower right")
        words = " ".join(_finding(points, reverb) for reverb in (False, True) if points)
        drawn = plots.svg(figure, f"Score against SNR, without and with a room. {words}")
        # The script that moves the line needs the width of a decibel in the drawing's units.
        box, width = axes.get_position(), figure.get_figwidth() * 72
        per_db = box.width * width / (SNRS_DB[0] - SNRS_DB[-1] + 2)
        data = f'<g id="snr-place" data-per-db="{per_db:.4f}" data-drawn-db="{slider_db:g}"'
        return re.sub('<g id="snr-place"', data, drawn, count=1)


def _curve(axes: Axes, points: Sequence[Point], reverb: bool) -> None:
    colour = _COLOURS[reverb]
    needed = [p.threshold for p in points]
    axes.plot([p.snr_db for p in points], needed, color=colour, linewidth=1, linestyle="--")
    axes.plot([p.snr_db for p in points], [p.score for p in points], color=colour, linewidth=1.2)
    axes.plot([], [], color=colour, linewidth=1.2, marker=_SHAPES[reverb], label=_NAMES[reverb])
    judgements: tuple[Judgement, ...] = ("place", "track", "wrong")
    for judgement in judgements:
        group = [p for p in points if p.judgement == judgement]
        axes.plot(
            [p.snr_db for p in group],
            [p.score for p in group],
            linestyle="",
            color=colour,
            marker=_SHAPES[reverb],
            markersize=6,
            fillstyle=_FILL[judgement],
            markerfacecoloralt="none",
        )


def _finding(points: Sequence[Point], reverb: bool) -> str:
    name = _NAMES[reverb].capitalize()
    until = holds_until_db(p for p in points if p.reverb == reverb)
    if until is None:
        return f"{name}, it is not found even at {SNRS_DB[0]:g} dB."
    if until == SNRS_DB[-1]:
        return f"{name}, it is found all the way down to {until:g} dB.".replace("-", "−")
    return f"{name}, it is found down to {until:g} dB.".replace("-", "−")


def _settings(values: Values) -> str:
    """The settings of a sweep in words: noise and room are always there."""
    noise = "pink" if values.noise == NONE else values.noise
    room, rt60_s = values.room, values.rt60_s
    if room == NONE:
        room, rt60_s = SIMULATED, ROOM_RT60_S
    return describe(replace(values, noise=noise, room=room, rt60_s=rt60_s)).replace(
        f" at {values.snr_db:g} dB".replace("-", "−"), " at every SNR"
    )
