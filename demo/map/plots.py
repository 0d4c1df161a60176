"""The map as a figure for print, with paths and a legend."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from demo import plots
from demo.map.chart import Chart, shades
from demo.map.trails import Trail

INK = "#1f2937"
MOST_NAMED = 40  # in the legend
SCALES = {
    "time": ("start of the track", "middle", "end"),
    "density": ("few points", "more", "many"),
}


def save(path: Path, chart: Chart, by: str, trails: list[Trail]) -> None:
    """Write the map to ``path``, a PNG or SVG file; points are coloured by ``by``.

    In SVG the points are rasterised: as 50,000 shapes they would open slowly.
    """
    with plots.drawing(10, 7.5) as figure:
        figure.patch.set(facecolor="white", alpha=1)
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_aspect("equal")
        axes.invert_yaxis()  # as on the page
        faint = 0.35 if trails else 1
        x, y = chart.drawn.xy.T
        axes.scatter(
            x, y, s=3, c=chart.colours(by) / 255, linewidths=0, alpha=faint, rasterized=True
        )
        for trail in trails:
            axes.plot(*trail.xy.T, color=trail.colour, linewidth=1.5, marker=".", markersize=4)
            axes.plot(
                *trail.xy[:1].T, color=trail.colour, marker="o", markersize=9, fillstyle="none"
            )
        _write_names(axes, chart)
        axes.set_title(
            f"{len(chart.drawn):,} fingerprints of {len(chart.tracks)} tracks by UMAP", color=INK
        )
        figure.legend(
            handles=_legend(chart, by, trails),
            loc="outside right upper",
            frameon=False,
            fontsize=7,
            labelcolor=INK,
        )
        figure.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else None)


def _write_names(axes: Axes, chart: Chart) -> None:
    """Write the names of regions, those with the most points first, where there is room."""
    written: list[tuple[float, float, float, float]] = []
    for region in chart.regions[0]:
        name = _short(region.name, 26)
        # A letter is about 0.008 of the map wide in this figure.
        half, high = 0.004 * len(name) + 0.004, 0.012
        box = (region.x - half, region.y - high, region.x + half, region.y + high)
        if any(
            box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in written
        ):
            continue
        written.append(box)
        weight = "normal" if region.kind == "track" else "bold"
        text = axes.text(
            region.x, region.y, name, color=INK, fontsize=6, weight=weight, ha="center", va="center"
        )
        text.set_path_effects([Stroke(linewidth=1.5, foreground="white"), Normal()])


def _legend(chart: Chart, by: str, trails: list[Trail]) -> list[Line2D]:
    handles = [Line2D([], [], color=t.colour, label=_short(t.name)) for t in trails]
    if by in SCALES:
        names = dict(zip((0, 128, 255), SCALES[by], strict=True))
        table = shades() / 255
        return handles + [_swatch(table[i], name) for i, name in names.items()]
    colours, seen = chart.colours(by) / 255, dict[str, int]()
    for point, number in enumerate(chart.track):
        track = chart.tracks[number]
        shared = {"artist": track.artist, "sound": chart.sounds[number] or "not tagged"}
        seen.setdefault(shared.get(by, track.title), point)
    handles += [_swatch(colours[i], _short(name)) for name, i in list(seen.items())[:MOST_NAMED]]
    if len(seen) > MOST_NAMED:
        handles.append(Line2D([], [], linestyle="", label=f"and {len(seen) - MOST_NAMED} more"))
    return handles


def _swatch(colour: object, label: str) -> Line2D:
    return Line2D([], [], linestyle="", marker="o", markersize=5, color=colour, label=label)  # type: ignore[arg-type]


def _short(name: str, most: int = 36) -> str:
    # Matplotlib would read a dollar sign as the start of a formula.
    return (name if len(name) <= most else f"{name[: most - 1]}…").replace("$", r"\$") or "unknown"
