"""The graphs that the encoder used for a segment, as arrays to inspect, measure and compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grafprint.fingerprint import Fingerprinter
from grafprint.models.features import FeatureConfig, mel_bin_hz, slice_windows, windows
from grafprint.models.graph import BlockGraph

KINDS = 5  # clusters of nodes, or fewer where a block has fewer nodes


@dataclass(frozen=True, eq=False)
class NodeGraph:
    """The graph of one block for one segment: node ``i`` has edges to ``neighbours[i]``.

    ``number`` counts the network's blocks from 0, ``stage`` and ``block`` (of the stage) too.
    ``neighbours [N, k]`` and ``distances [N, k]`` are those of the forward pass, nearest first;
    ``cluster [N]`` and ``change [N]`` describe the nodes as they left the block. Node ``n`` is at
    row ``n // grid[1]`` (0 is the lowest frequency), column ``n % grid[1]``; its centre is at
    ``mel_bin [N]`` and ``frame [N]`` of the segment, that is ``frequency_hz [N]``, ``time_s [N]``.
    """

    number: int
    stage: int
    block: int
    grid: tuple[int, int]
    dilation: int
    neighbours: np.ndarray
    distances: np.ndarray
    cluster: np.ndarray
    change: np.ndarray
    mel_bin: np.ndarray
    frame: np.ndarray
    frequency_hz: np.ndarray
    time_s: np.ndarray

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.neighbours)

    @property
    def degree(self) -> np.ndarray:
        """In-degree of each node, ``[N]``; every node has k outgoing edges, so the sum is N * k."""
        return np.bincount(self.neighbours.ravel(), minlength=self.nodes)

    @property
    def edges(self) -> np.ndarray:
        """Pairs (node, neighbour), ``[N * k, 2]``."""
        nodes = np.repeat(np.arange(self.nodes), self.neighbours.shape[1])
        return np.stack([nodes, self.neighbours.ravel()], axis=1)


@dataclass(frozen=True, eq=False)
class Reach:
    """How far each edge of a graph reaches, each ``[N, k]``: in time, in mel bins, in octaves."""

    time_s: np.ndarray
    mel_bins: np.ndarray
    octaves: np.ndarray


@dataclass(frozen=True, eq=False)
class Comparison:
    """The edges of a block in two graphs, as pairs ``[n, 2]`` of (node, neighbour), and shares.

    ``kept [N, k]``: whether the second graph has each edge of the first; ``known [N, k]``: whether
    the first has each edge of the second. ``share`` is the share of the first graph's edges that
    survived; ``by_chance`` is that share for neighbours drawn at random.
    """

    survived: np.ndarray
    vanished: np.ndarray
    appeared: np.ndarray
    kept: np.ndarray
    known: np.ndarray
    share: float
    by_chance: float


def segment(fingerprinter: Fingerprinter, audio: np.ndarray, start_s: float) -> Tensor:
    """Encoder input ``[1, 3, 64, 32]`` of the segment of ``audio [samples]`` nearest to a time.

    It is one of the segments that the audio's fingerprints are computed from. Raises ValueError if
    the audio is shorter than one segment or the time is not finite.
    """
    config, count = fingerprinter.features, fingerprinter.count(len(audio))
    if not np.isfinite(start_s):
        raise ValueError("the segment's time must be a number of seconds")
    if not count:
        raise ValueError(f"at least {config.window_s:g} s of audio is needed")
    chosen = int(np.clip(round(start_s / config.hop_s), 0, count - 1))
    first = chosen * config.hop_frames
    logmel = fingerprinter.logmel(torch.from_numpy(np.ascontiguousarray(audio, np.float32)))
    frames = logmel[first : first + config.window_frames]
    assert len(slice_windows(frames, config)) == 1
    return windows(frames, config)


def inspect(
    fingerprinter: Fingerprinter, inputs: Tensor, seed: int = 0
) -> tuple[np.ndarray, list[list[NodeGraph]]]:
    """Fingerprints ``[B, dim]`` of inputs ``[B, 3, 64, 32]`` and for each the graph of every block.

    Both are of one forward pass. The nodes' clusters are those of the first input, and each node
    of the others gets the cluster that it is nearest to. Raises TypeError when the encoder has no
    graphs.
    """
    prints, blocks = fingerprinter.graphs(inputs)
    graphs: list[list[NodeGraph]] = [[] for _ in range(len(inputs))]
    for number, block in enumerate(blocks):
        features = [f.cpu().numpy() for f in block.features]
        kinds = clusters(features, KINDS, seed)
        for i, listed in enumerate(graphs):
            listed.append(_node_graph(number, block, i, kinds[i], fingerprinter.features))
    return prints.float().cpu().numpy(), graphs


def _node_graph(
    number: int, block: BlockGraph, i: int, cluster: np.ndarray, config: FeatureConfig
) -> NodeGraph:
    mel_bin, frame = block.positions.cpu().numpy().T
    return NodeGraph(
        number=number,
        stage=block.stage,
        block=block.block,
        grid=block.grid,
        dilation=block.dilation,
        neighbours=block.graph.neighbours[i].cpu().numpy(),
        distances=block.graph.distances[i].float().cpu().numpy(),
        cluster=cluster,
        change=block.change[i].cpu().numpy(),
        mel_bin=mel_bin,
        frame=frame,
        frequency_hz=mel_bin_hz(mel_bin, config),
        time_s=frame * config.hop_length / config.sample_rate_hz,
    )


def clusters(features: Sequence[np.ndarray], count: int, seed: int = 0) -> list[np.ndarray]:
    """Cluster ``[N]`` of every node of graphs of features ``[N, C]``, numbered by mean node number.

    k-means of the first graph's nodes by direction (features are L2-normalised); the others'
    nodes go to the nearest centre. Nodes are numbered from low frequencies on, and so are clusters.
    """
    from sklearn.cluster import KMeans  # takes seconds to import

    unit = [f / np.linalg.norm(f, axis=1, keepdims=True).clip(1e-12) for f in features]
    distinct = len(np.unique(unit[0], axis=0))
    found = KMeans(min(count, distinct), n_init=2, random_state=seed).fit(unit[0])
    place = [np.flatnonzero(found.labels_ == c).mean() for c in range(found.n_clusters)]
    rank = np.argsort(np.argsort(place))
    return [rank[found.predict(u)] for u in unit]


def reach(graph: NodeGraph) -> Reach:
    """How far the edges of a graph reach in time and in frequency."""

    def apart(place: np.ndarray) -> np.ndarray:
        return np.abs(place[graph.neighbours] - place[:, None])

    return Reach(apart(graph.time_s), apart(graph.mel_bin), apart(np.log2(graph.frequency_hz)))


def histogram(reaches: np.ndarray, longest: float, bins: int = 16) -> np.ndarray:
    """Share of edges ``[bins]`` by reach, in equal steps from 0 to ``longest``."""
    counts, _ = np.histogram(reaches, bins, (0, longest))
    return counts / reaches.size


def compare(first: NodeGraph, second: NodeGraph) -> Comparison:
    """Compare the edges of two graphs of the same block.

    Raises ValueError if the graphs have different nodes or different numbers of neighbours.
    """
    if first.neighbours.shape != second.neighbours.shape:
        raise ValueError("only graphs of the same block can be compared")
    same = first.neighbours[:, :, None] == second.neighbours[:, None, :]
    kept, known = same.any(axis=2), same.any(axis=1)
    nodes, k = first.neighbours.shape
    return Comparison(
        survived=first.edges[kept.ravel()],
        vanished=first.edges[~kept.ravel()],
        appeared=second.edges[~known.ravel()],
        kept=kept,
        known=known,
        share=float(kept.mean()),
        by_chance=k / (nodes - 1),
    )
