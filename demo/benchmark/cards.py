"""The parts of the tab Benchmark as HTML: plan, progress, table, curves, downloads."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from html import escape

from matplotlib import rc_context
from matplotlib.figure import Figure

from demo import plots, work
from demo.benchmark.stored import Stored
from demo.downloads import links
from demo.texts import clock, count
from grafprint.evaluation import MEASURES, EvaluationConfig, Report, to_csv
from grafprint.evaluation.intervals import Rate
from grafprint.evaluation.plots import hit_rates

TEAL, AMBER = "13 148 136", "217 119 6"


def plan(config: EvaluationConfig, library: str, waiting: bool) -> str:
    """The size of an evaluation, and whether it has to wait."""
    cells = len(config.lengths_s) * len(config.snrs_db) * len(config.reverbs)
    wait = " Another evaluation is running: yours would start after it." if waiting else ""
    return sentence(
        f"{count(cells, 'cell')} of {config.queries} queries: {cells * config.queries:,} queries "
        f"to the library “{library}”. A time estimate is shown after the first queries.{wait}"
    )


def sentence(text: str) -> str:
    """A text with a capital and a full stop added."""
    text = text[:1].upper() + text[1:]
    return f'<div class="gp-small">{escape(text if text.endswith(".") else text + ".")}</div>'


def progress(report: Report, elapsed_s: float) -> str:
    """The progress of an evaluation that has been running for ``elapsed_s``."""
    done, total = report.done, report.config.queries
    left_s = elapsed_s / done * (total - done)
    words = f"{_query_count(report, done)}; about {clock(left_s)} min left"
    return work.bar(words, done / total)


def summary(report: Report) -> str:
    """What was evaluated, and whether it was stopped."""
    stopped = " Stopped." if report.done < report.config.queries else " Done."
    left_out = report.references - report.query_tracks
    missing = f"; {left_out} more are too short or have no audio file" if left_out else ""
    queries = _query_count(report, report.done)
    return sentence(f"{queries}, cut from {report.query_tracks} tracks{missing}.{stopped}")


def results(report: Report, measure: str, beside: Stored | None = None) -> tuple[str, str]:
    """Table and curves of a report, beside a stored result; both empty until a query is done."""
    if not report.done:
        return "", ""
    return table(report, measure, beside), curves(report, measure, beside)


def table(report: Report, measure: str, beside: Stored | None = None) -> str:
    """Rates in percent with intervals: a row per length and reverb, a column per SNR.

    Below each rate is that of the stored result ``beside`` it, where that has one.
    """
    rates = report.rates(measure)
    config = report.config
    colour = AMBER if measure == "named_when_absent" else TEAL
    rows = "".join(
        f"<tr><th>{length:g} s</th><td>{'with' if reverb else 'without'}</td>"
        + "".join(
            _cell(rates[place], colour, beside.rate(measure, place) if beside else None)
            for place in ((length, reverb, snr) for snr in config.snrs_db)
        )
        + "</tr>"
        for length in config.lengths_s
        for reverb in config.reverbs
    )
    head = "<th>Length</th><th>Reverb</th>" + "".join(
        f"<th class='n'>{'no noise' if snr is None else f'{snr:g} dB'}</th>"
        for snr in config.snrs_db
    )
    return (
        f'<div class="gp-small">{_name(measure)}, in % of {report.done} queries per cell, with '
        f"95 % intervals{_compared(report, measure, beside)}</div>"
        '<div class="gp-wide" tabindex="0" role="region" aria-label="Rates">'
        f'<table class="gp"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def curves(report: Report, measure: str, beside: Stored | None = None) -> str:
    """Rates against SNR, one plot without reverb and one with it, for both themes.

    The stored result is dashed, in the colours of its lengths.
    """
    pictures = ""
    for reverb in report.config.reverbs:
        half = replace(report, config=replace(report.config, reverbs=(reverb,)))
        figure = plots.adapt_to_themes(hit_rates(half, measure))
        if beside is not None:
            _draw_beside(figure, half, measure, beside)
        with rc_context({"svg.fonttype": "none"}):
            pictures += plots.svg(figure, _describe(half, measure, reverb))
    return f'<div class="gp-curves">{pictures}</div>'


def downloads(report: Report, measure: str) -> str:
    """Links to the report as CSV, JSON and PNG, with the files embedded."""
    if not report.done:
        return ""
    picture = io.BytesIO()
    hit_rates(report, measure).savefig(picture, format="png", dpi=150)
    files = {
        "CSV": ("text/csv", to_csv(report).encode()),
        "JSON": ("application/json", json.dumps(report.to_json(), indent=1).encode()),
        "PNG": ("image/png", picture.getvalue()),
    }
    return links({kind: (f"evaluation.{kind.lower()}", *file) for kind, file in files.items()})


def _compared(report: Report, measure: str, beside: Stored | None) -> str:
    """What the table's second numbers are."""
    if beside is None:
        return ""
    places = report.rates(measure)
    known = sum(beside.rate(measure, place) is not None for place in places)
    if not known:
        return f"; {escape(beside.name)} has none of these cells"
    return f"; below: {escape(beside.name)}{' (dashed)' if len(report.config.snrs_db) > 1 else ''}"


def _draw_beside(figure: Figure, report: Report, measure: str, beside: Stored) -> None:
    """Draw the stored rates of a report with one kind of reverb into its only panel."""
    axes, config = figure.axes[0], report.config
    for drawn, length in zip(list(axes.containers), config.lengths_s, strict=True):
        rates = [beside.rate(measure, (length, config.reverbs[0], snr)) for snr in config.snrs_db]
        known = [(place, 100 * rate[0]) for place, rate in enumerate(rates) if rate is not None]
        if known:
            axes.plot(*zip(*known, strict=True), "--", color=drawn[0].get_color(), alpha=0.8)


def _cell(rate: Rate, colour: str, beside: Rate | None) -> str:
    middle, low, high = (100 * part for part in rate)
    stored = "" if beside is None else f'<span class="beside">{100 * beside[0]:.1f}</span>'
    return (
        f'<td class="n" style="background: rgb({colour} / {0.45 * middle:.0f}%)">{middle:.1f}'
        f'<span class="by">{low:.0f}–{high:.0f}</span>{stored}</td>'
    )


def _query_count(report: Report, done: int) -> str:
    cells = len(report.cells)
    return f"{done * cells:,} of {report.config.queries * cells:,} queries"


def _name(measure: str) -> str:
    return MEASURES[measure][:1].upper() + MEASURES[measure][1:]


def _describe(report: Report, measure: str, reverb: bool) -> str:
    """The curves without or with reverb, in words."""
    rates = report.rates(measure)
    lines = (
        f"{length:g} s: "
        + ", ".join(f"{100 * rates[length, reverb, s][0]:.0f}" for s in report.config.snrs_db)
        for length in report.config.lengths_s
    )
    snrs = ", ".join("no noise" if s is None else f"{s:g} dB" for s in report.config.snrs_db)
    room = "with" if reverb else "without"
    return f"{_name(measure)} {room} reverb, in percent at {snrs}. {'. '.join(lines)}."
