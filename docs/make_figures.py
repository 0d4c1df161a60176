"""Draws docs/figures/pipeline.png: five noisy seconds of a demo track through the real code.

    python -m docs.make_figures [--model FILE]

Run it again when the network, the features or the search change.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from grafprint import audio, synthesis
from grafprint.augment import mix_at_snr, prepare_rir, reverberate
from grafprint.features import add_positions, normalise, slice_windows
from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter
from grafprint.graph import BlockGraph
from grafprint.library import Library
from grafprint.matching import Answer, identify

ROOT = Path(__file__).parent.parent
MUSIC = ROOT / "assets" / "music"
TRACKS = (
    "0ad-along-the-nile", "freecol-founders", "naev-ambiphonic", "widelands-hypatias-theme",
    "zaz-contemplation",
)  # fmt: skip
QUERY, QUERY_START_S, QUERY_LENGTH_S, SNR_DB = "freecol-founders", 31.27, 5.0, 5.0
SEGMENT = 18  # the query's segment whose graph is drawn
INK, ACCENT = "#1f2937", "#d9480f"
LATER_NODES, EDGES = (5, 14, 22, 25), ("#d9480f", "#2f9e44", "#9c36b5", "#e8a800")


@dataclass(frozen=True)
class Scene:
    """Everything the panels show, computed once."""

    fingerprinter: Fingerprinter
    library: Library
    query: np.ndarray
    logmel: torch.Tensor
    fingerprints: np.ndarray
    answer: Answer


def noisy_query() -> np.ndarray:
    """A clip of a demo track, played into a simulated room with a crowd in it."""
    rng = np.random.default_rng(4)
    past_s = 2.0
    music = audio.load(
        MUSIC / f"{QUERY}.opus",
        start_s=QUERY_START_S - past_s,
        duration_s=QUERY_LENGTH_S + past_s,
    )
    room = prepare_rir(synthesis.room(0.4, rng))
    wet = reverberate(torch.from_numpy(music)[None], torch.from_numpy(room)[None])
    wet = wet[:, round(past_s * audio.SAMPLE_RATE) :]
    noise = torch.from_numpy(synthesis.crowd_noise(wet.shape[1], rng))[None]
    return mix_at_snr(wet, noise, torch.tensor([SNR_DB]))[0].numpy()


def waveform(axes: Axes, scene: Scene) -> None:
    """Panel 1."""
    time = np.arange(len(scene.query)) / audio.SAMPLE_RATE
    axes.plot(time, scene.query, color=INK, linewidth=0.3)
    axes.set(title="1  Sound: five noisy seconds", xlabel="time (s)", yticks=[])
    axes.set_xlim(0, QUERY_LENGTH_S)


def spectrogram(axes: Axes, scene: Scene) -> None:
    """Panel 2, with the segment of panel 3 outlined."""
    config = scene.fingerprinter.features
    peak = scene.logmel.max().item()
    axes.imshow(
        scene.logmel.T, origin="lower", aspect="auto", cmap="magma", vmin=peak - 70, vmax=peak,
        extent=(0, QUERY_LENGTH_S, 0, config.n_mels),
    )  # fmt: skip
    corner = (SEGMENT * config.hop_s, 0.5)
    axes.add_patch(
        Rectangle(corner, config.window_s, config.n_mels - 1, fill=False, edgecolor="w", lw=2)
    )
    axes.set(title="2  Log-mel spectrogram, one segment", xlabel="time (s)", ylabel="mel band")


def graph(axes: Axes, scene: Scene) -> None:
    """Panel 3: all edges of the first block's graph, and a few of a later one's."""
    config = scene.fingerprinter.features
    amplitude = normalise(slice_windows(scene.logmel, config)[SEGMENT : SEGMENT + 1], config)
    _, blocks = scene.fingerprinter.graphs(add_positions(amplitude))
    axes.imshow(amplitude[0], origin="lower", aspect="auto", cmap="gray_r", vmin=0.1, vmax=1.3)
    first = blocks[0]
    axes.add_collection(
        LineCollection(_edges(first, range(len(first.positions))), colors="#364fc7", linewidths=0.4)
    )
    later = next(block for block in blocks if block.stage == 2 and block.dilation == 3)
    for node, colour in zip(LATER_NODES, EDGES, strict=True):
        axes.add_collection(LineCollection(_edges(later, [node]), colors=colour, linewidths=1.8))
        mel, frame = later.positions[[node, *later.graph.neighbours[0, node].tolist()]].T.numpy()
        axes.scatter(frame, mel, s=[60] + [25] * (len(mel) - 1), color=colour, edgecolors="w",
                     linewidths=0.8, zorder=3)  # fmt: skip
    axes.set(
        title=f"3  Graph: {len(first.positions)} nodes (blue), later {len(later.positions)}",
        xlabel="frame of the segment", ylabel="mel band",
    )  # fmt: skip


def _edges(block: BlockGraph, nodes: Iterable[int]) -> list[np.ndarray]:
    """From each of ``nodes`` to its neighbours, as (frame, mel) pairs ``[2, 2]``."""
    places = block.positions.flip(1).numpy()
    return [
        places[[node, other]]
        for node in nodes
        for other in block.graph.neighbours[0, node].tolist()
    ]


def fingerprints(axes: Axes, scene: Scene) -> None:
    """Panel 4."""
    limit = np.abs(scene.fingerprints).max() * 0.7
    axes.imshow(
        scene.fingerprints.T, aspect="auto", cmap="RdBu", vmin=-limit, vmax=limit,
        interpolation="nearest",
    )  # fmt: skip
    count, dim = scene.fingerprints.shape
    axes.set(title=f"4  {count} fingerprints of {dim} numbers", xlabel="segment", yticks=[])


def neighbours(axes: Axes, scene: Scene) -> None:
    """Panel 5: where every segment's nearest fingerprints let the query begin (Eq. 7)."""
    _, rows = scene.library.search(scene.fingerprints, 20)
    segment = np.repeat(np.arange(len(rows)), rows.shape[1])
    axes.scatter(segment, rows.ravel() - segment, s=5, color=INK, alpha=0.5, linewidths=0)
    _track_bands(axes, scene)
    axes.set(title="5  Search: where each hit begins", xlabel="segment")


def alignment(axes: Axes, scene: Scene) -> None:
    """Panel 6: Eq. 8 for every start in the library, of which the search tries the likely ones."""
    for track in scene.library.tracks():
        own = scene.library.vectors(np.arange(track.first, track.first + track.count))
        products = own @ scene.fingerprints.T
        starts = track.count - len(scene.fingerprints) + 1
        scores = [products.diagonal(-start).mean() for start in range(starts)]
        axes.plot(scores, track.first + np.arange(starts), color=INK, linewidth=0.7)
    _track_bands(axes, scene)
    best = scene.answer.matches[0]
    row = best.track.first + best.start_s / scene.library.hop_s
    axes.scatter(best.score, row, s=60, facecolors="none", edgecolors=ACCENT, linewidths=2)
    axes.annotate(
        f"{best.track.title}\n{best.start_s:.1f} s into the track", (best.score, row),
        (4, 10), textcoords="offset points", ha="right", va="bottom", color=ACCENT,
        fontweight="bold", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip
    axes.axvline(scene.answer.threshold, color=ACCENT, linewidth=1, linestyle=":")
    axes.set(title="6  Alignment: one start fits", xlabel="score (mean inner product)")


def _track_bands(axes: Axes, scene: Scene) -> None:
    tracks = scene.library.tracks()
    for number, track in enumerate(tracks):
        if number % 2:
            axes.axhspan(track.first, track.first + track.count, color="#f1f3f5", zorder=0)
    axes.set_yticks([t.first + t.count / 2 for t in tracks], [t.title for t in tracks], fontsize=8)
    axes.tick_params("y", length=0)
    axes.set_ylim(max(t.first + t.count for t in tracks), 0)


def pipeline(fingerprinter: Fingerprinter, folder: Path) -> Figure:
    """The figure of docs/how-it-works.md; ``folder`` is for a small library."""
    with Library.create(folder / "library", fingerprinter) as library:
        for name in TRACKS:
            library.add(MUSIC / f"{name}.opus", fingerprinter)
        query = noisy_query()
        vectors = fingerprinter(query)
        scene = Scene(
            fingerprinter, library, query, fingerprinter.logmel(torch.from_numpy(query)),
            vectors, identify(library, vectors),
        )  # fmt: skip
        figure = Figure(figsize=(13, 7), layout="constrained")
        panels = (waveform, spectrogram, graph, fingerprints, neighbours, alignment)
        for panel, place in zip(panels, figure.subplots(2, 3).flat, strict=True):
            panel(place, scene)
            place.title.set(fontweight="bold", color=INK)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "figures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        figure = pipeline(Fingerprinter.load(arguments.model), Path(folder))
        figure.savefig(arguments.out / "pipeline.png", dpi=110, facecolor="white")


if __name__ == "__main__":
    main()
