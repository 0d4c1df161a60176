"""Matplotlib figures of evaluation reports."""

from __future__ import annotations

from matplotlib.figure import Figure

from grafprint.evaluation import Cell, Report


def hit_rates(report: Report, tolerance_s: float = 0.05) -> Figure:
    """Hit rate against SNR, one panel without and one with reverb, one line a query length.

    Error bars are 95 % Wilson intervals. Queries without noise stand at the right-hand end.
    """
    reverbs = report.config.reverbs
    figure = Figure(figsize=(4.2 * len(reverbs) + 0.6, 3.6), layout="constrained")
    panels = figure.subplots(1, len(reverbs), sharey=True, squeeze=False)[0]
    snrs = report.config.snrs_db
    for panel, reverb in zip(panels, reverbs, strict=True):
        for shade, length in enumerate(report.config.lengths_s):
            cells = [
                c
                for c in report.cells
                if (c.setting.length_s, c.setting.reverb) == (length, reverb)
            ]
            _line(panel, cells, shade / max(1, len(report.config.lengths_s) - 1), tolerance_s)
        panel.set(
            title="noise + reverb" if reverb else "noise",
            xlabel="SNR (dB)",
            ylim=(-2, 102),
            xticks=range(len(snrs)),
            xticklabels=["none" if s is None else f"{s:g}" for s in snrs],
        )
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(f"top-1 hit rate within {1000 * tolerance_s:.0f} ms (%)")
    panels[-1].legend(title="query", loc="lower right")
    return figure


def _line(panel, cells: list[Cell], shade: float, tolerance_s: float) -> None:  # type: ignore[no-untyped-def]
    rates = [cell.rate(lambda o: o.hit(tolerance_s)) for cell in cells]
    middle = [100 * r for r, _, _ in rates]
    below = [100 * (r - low) for r, low, _ in rates]
    above = [100 * (high - r) for r, _, high in rates]
    colour = (0.10 + 0.55 * shade, 0.30 + 0.20 * (1 - shade), 0.75 - 0.35 * shade)
    panel.errorbar(
        range(len(cells)), middle, [below, above], marker="o", capsize=3, color=colour,
        label=f"{cells[0].setting.length_s:g} s",
    )  # fmt: skip
