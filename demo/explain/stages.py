"""Plots of the pipeline's stages for a clip, computed by the real code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from demo.plots import AMBER, GREY, TEAL
from grafprint import audio, matching
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Track
from grafprint.matching import Answer
from grafprint.models.features import add_positions, normalise, slice_windows
from grafprint.models.graph import BlockGraph
from grafprint.remote.opening import AnyLibrary

NEIGHBOURS = 20
# Nodes of a later block whose edges are drawn, as fractions of its grid, and their colours.
_CHOSEN = {
    (0.2, 0.2): "#d9480f",
    (0.4, 0.7): "#2f9e44",
    (0.7, 0.3): "#9c36b5",
    (0.8, 0.8): "#e8a800",
}


@dataclass(frozen=True, eq=False)
class Scene:
    """What the plots of a clip show, computed once.

    ``logmel [frames, mels]`` in dB and ``fingerprints [m, dim]`` are those of the whole clip,
    ``inputs [1, 3, mels, frames]`` and ``blocks`` those of segment number ``segment``. ``rows [m,
    k]`` are the nearest fingerprints in the library; ``answer`` has the five best tracks.
    """

    fingerprinter: Fingerprinter
    library: AnyLibrary
    samples: np.ndarray
    segment: int
    logmel: torch.Tensor
    inputs: torch.Tensor
    blocks: list[BlockGraph]
    fingerprints: np.ndarray
    rows: np.ndarray
    answer: Answer

    @classmethod
    def of(
        cls, fingerprinter: Fingerprinter, library: AnyLibrary, samples: np.ndarray, segment: int
    ) -> Scene:
        """Send ``samples [n]`` through the pipeline; ``segment`` is the one shown in detail.

        Raises MatchError for a clip that is silent or shorter than a segment.
        """
        if len(samples) < fingerprinter.features.window_samples:
            raise matching.MatchError("the clip is shorter than 1 s: choose a longer one")
        config = fingerprinter.features
        logmel = fingerprinter.logmel(torch.from_numpy(samples))
        windows = normalise(slice_windows(logmel, config), config)
        segment = min(segment, len(windows) - 1)
        inputs = add_positions(windows[segment : segment + 1])
        try:
            blocks = fingerprinter.graphs(inputs)[1]
        except TypeError:  # a network without graphs
            blocks = []
        fingerprints = fingerprinter(samples)
        answer = matching.identify(library, fingerprints, k=NEIGHBOURS)
        rows = library.search(fingerprints, NEIGHBOURS)[1]
        return cls(
            fingerprinter,
            library,
            samples,
            segment,
            logmel,
            inputs,
            blocks,
            fingerprints,
            rows,
            answer,
        )

    @property
    def duration_s(self) -> float:
        """Length of the clip in seconds."""
        return len(self.samples) / audio.SAMPLE_RATE

    @property
    def tracks(self) -> list[Track]:
        """The best tracks, with others added to make five, in the order of the library."""
        best = [match.track for match in self.answer.matches]
        others = [track for track in self.library.tracks()[:10] if track not in best]
        return sorted([*best, *others][:5], key=lambda track: track.first)


def waveform(axes: Axes, scene: Scene) -> None:
    """The waveform."""
    time = np.arange(len(scene.samples)) / audio.SAMPLE_RATE
    axes.plot(time, scene.samples, color=TEAL, linewidth=0.3)
    axes.set(xlabel="time (s)", yticks=[])
    axes.set_xlim(0, scene.duration_s)


def spectrogram(axes: Axes, scene: Scene) -> None:
    """The log-mel spectrogram of the clip, with the segment outlined."""
    config = scene.fingerprinter.features
    peak = scene.logmel.max().item()
    axes.imshow(
        scene.logmel.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=peak - 70,
        vmax=peak,
        extent=(0, scene.duration_s, 0, config.n_mels),
    )
    corner = (scene.segment * config.hop_s, 0.5)
    axes.add_patch(
        Rectangle(corner, config.window_s, config.n_mels - 1, fill=False, edgecolor="w", lw=2)
    )
    axes.set(xlabel="time (s)", ylabel="mel band")


def channel(axes: Axes, scene: Scene, number: int) -> None:
    """One of the segment's three channels: time index, frequency index or amplitude."""
    axes.imshow(
        scene.inputs[0, number], origin="lower", aspect="auto", cmap="magma", vmin=0, vmax=1
    )
    axes.set(xlabel="frame", ylabel="mel band")


def first_graph(axes: Axes, scene: Scene) -> None:
    """All edges of the first block's graph on the segment."""
    _segment(axes, scene)
    if scene.blocks:
        block = scene.blocks[0]
        every = _edges(block, range(len(block.positions)))
        axes.add_collection(LineCollection(every, colors="#364fc7", linewidths=0.4))


def later_graph(axes: Axes, scene: Scene) -> None:
    """The edges of four nodes of a later block's graph, which reach farther."""
    _segment(axes, scene)
    later = [block for block in scene.blocks if block.stage == 2]
    if not later:
        return
    block = later[-1]
    height, width = block.grid
    for (row, column), colour in _CHOSEN.items():
        node = int(row * height) * width + int(column * width)
        axes.add_collection(LineCollection(_edges(block, [node]), colors=colour, linewidths=1.8))
        mel, frame = block.positions[[node, *block.graph.neighbours[0, node].tolist()]].T.numpy()
        axes.scatter(
            frame,
            mel,
            s=[60] + [25] * (len(mel) - 1),
            color=colour,
            edgecolors="w",
            linewidths=0.8,
            zorder=3,
        )


def fingerprints(axes: Axes, scene: Scene) -> None:
    """The segments' fingerprints, one per column."""
    limit = np.abs(scene.fingerprints).max() * 0.7
    axes.imshow(
        scene.fingerprints.T,
        aspect="auto",
        cmap="RdBu",
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
    )
    axes.axvline(scene.segment, color=GREY, linewidth=1, linestyle=":")
    axes.set(xlabel="segment", yticks=[])


def neighbours(axes: Axes, scene: Scene) -> None:
    """The starts in the tracks that each segment's nearest fingerprints imply (Eq. 7)."""
    places = _places(scene)
    segment = np.repeat(np.arange(len(scene.rows)), scene.rows.shape[1])
    starts = scene.rows.ravel() - segment
    for track, base in places.items():
        inside = (starts >= track.first) & (starts < track.first + track.count)
        axes.scatter(
            segment[inside],
            starts[inside] - track.first + base,
            s=6,
            color=TEAL,
            alpha=0.6,
            linewidths=0,
        )
    _bands(axes, places)
    axes.set(xlabel="segment")


def alignment(axes: Axes, scene: Scene) -> None:
    """The score (Eq. 8) of every start in the best tracks; the search scores only likely ones."""
    places = _places(scene)
    for track, base in places.items():
        own = scene.library.vectors(np.arange(track.first, track.first + track.count))
        products = own @ scene.fingerprints.T
        starts = max(1, track.count - len(scene.fingerprints) + 1)
        scores = [products.diagonal(-start).mean() for start in range(starts)]
        axes.plot(scores, base + np.arange(starts), color=TEAL, linewidth=0.7)
    _bands(axes, places)
    best = scene.answer.best
    if best is not None:
        row = places[best.track] + best.start_s / scene.library.hop_s
        axes.scatter(best.score, row, s=60, facecolors="none", edgecolors=AMBER, linewidths=2)
    axes.axvline(scene.answer.threshold, color=AMBER, linewidth=1, linestyle=":")
    axes.set(xlabel="score (mean inner product)")


def _segment(axes: Axes, scene: Scene) -> None:
    axes.imshow(
        scene.inputs[0, 2], origin="lower", aspect="auto", cmap="gray_r", vmin=0.1, vmax=1.3
    )
    axes.set(xlabel="frame of the segment", ylabel="mel band")


def _edges(block: BlockGraph, nodes: Iterable[int]) -> list[np.ndarray]:
    """From each of ``nodes`` to its neighbours, as (frame, mel) pairs ``[2, 2]``."""
    places = block.positions.flip(1).numpy()
    return [
        places[[node, other]]
        for node in nodes
        for other in block.graph.neighbours[0, node].tolist()
    ]


def _places(scene: Scene) -> dict[Track, int]:
    """Where each of the best tracks begins on an axis that stacks them."""
    bases = np.cumsum([0, *(track.count for track in scene.tracks)])
    return dict(zip(scene.tracks, bases.tolist(), strict=False))


def _bands(axes: Axes, places: dict[Track, int]) -> None:
    for number, (track, base) in enumerate(places.items()):
        if number % 2:
            axes.axhspan(base, base + track.count, color=GREY, alpha=0.15, zorder=0)
    middles = [base + track.count / 2 for track, base in places.items()]
    axes.set_yticks(middles, [track.title[:24] for track in places], fontsize=9)
    axes.tick_params("y", length=0)
    axes.set_ylim(max(base + track.count for track, base in places.items()), 0)
