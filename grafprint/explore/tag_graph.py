"""Which parts of a spectrogram speak for a label, by the graphs of a tagger's own forward pass.

Two things lead to a label's logit (Eq. 9 of the ATGNN paper), and there is evidence of each: the
label node's edges to patches, block by block, and the patches of the last stage, whose mean is what
the patch term of the logit is computed from. ``benchmarks/faithfulness.py`` measures how far each
can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grafprint.errors import AudioError
from grafprint.explore.tag_evidence import (
    ALL_EDGES,
    POOLED,
    SILENCED,
    Evidence,
    mask_of,
    masked,
)
from grafprint.models.graph import to_nodes
from grafprint.models.taggers import ATGNN, LabelGraph, TaggingGraphs
from grafprint.tagging import ClipTagger

_BATCH = 10  # spectrograms tagged at once


@dataclass(frozen=True, eq=False)
class LabelEdges:
    """The edges of one label block: to ``patches [S, k]`` of its grid, and between labels.

    ``weights [S, k]`` are the shares of channels that each patch wins (sums of 1), ``distances
    [S, k]`` those by which they were chosen. To label ``i``, ``ties[i, j]`` times label ``j`` is
    added; these were learned, and are the same for every clip.
    """

    stage: int
    block: int
    grid: tuple[int, int]
    side: int
    patches: np.ndarray
    weights: np.ndarray
    distances: np.ndarray
    ties: np.ndarray


@dataclass(frozen=True, eq=False)
class TagGraph:
    """What a tagger found in one window, and the graphs that it found it with.

    ``spectrogram [F, T]`` is its input, from 0 to 1. ``logits [S]`` are ``patch_logits [S]`` plus
    ``label_logits [S]``, these None for a network without label nodes; ``probabilities [S]`` are
    calibrated. ``edges`` are those of every label block, in order. ``evidence`` has one item for
    each of them, ``ALL_EDGES`` if there are several, and ``POOLED``.
    """

    labels: tuple[str, ...]
    spectrogram: np.ndarray
    logits: np.ndarray
    patch_logits: np.ndarray
    label_logits: np.ndarray | None
    probabilities: np.ndarray
    edges: list[LabelEdges]
    evidence: list[Evidence]

    def by_name(self, name: str) -> Evidence:
        """The evidence of this name. Raises KeyError if there is none."""
        try:
            return next(e for e in self.evidence if e.name == name)
        except StopIteration:
            raise KeyError(name) from None


def inspect_tags(tagger: ClipTagger, samples: np.ndarray) -> TagGraph:
    """The graphs of one window of audio ``[n]`` at 16 kHz, at most ``tagger.window_samples``.

    A shorter one is padded with silence, as when it is tagged. Raises AudioError if it is empty or
    longer, or silent: a network has no say about silence.
    """
    if not 0 < len(samples) <= tagger.window_samples:
        raise AudioError(
            f"graphs are those of one window, up to {tagger.window_s:.2f} s, not of "
            f"{len(samples) / tagger.features.sample_rate_hz:.2f} s: choose a part"
        )
    inputs, silent = tagger.inputs(np.pad(samples, (0, tagger.window_samples - len(samples)))[None])
    if silent[0]:
        raise AudioError("this part is silent: there is nothing to see in it. Choose another one")
    return inspect_spectrogram(tagger, inputs)


def inspect_spectrogram(tagger: ClipTagger, inputs: Tensor) -> TagGraph:
    """As :func:`inspect_tags`, of a spectrogram ``[1, F, T]`` of ``tagger.inputs``."""
    network = tagger.network
    with torch.inference_mode():
        logits, graphs = network.forward_with_graphs(inputs)
        pooled = _without_each(network, graphs)
    halvings = network.config.stem_halvings
    edges = [_edges(block, halvings) for block in graphs.label_graphs]
    evidence = [_of_edges(block, number) for number, block in enumerate(edges, 1)]
    if len(evidence) > 1:
        evidence.append(_together(evidence))
    stage = len(network.stages) - 1
    grid = (graphs.patches.shape[2], graphs.patches.shape[3])
    evidence.append(Evidence(POOLED, stage, None, grid, 1 << (halvings + stage), pooled))
    return TagGraph(
        tagger.labels,
        inputs[0].cpu().numpy(),
        _array(logits[0]),
        _array(graphs.patch_logits[0]),
        None if graphs.label_logits is None else _array(graphs.label_logits[0]),
        _array(tagger.calibrated(logits[0])),
        edges,
        evidence,
    )


def silence_squares(tagger: ClipTagger, graph: TagGraph, side: int) -> Evidence:
    """How much lower each logit would be if a square of the spectrogram were silent.

    The network is run again for every square of ``side x side`` points, so this costs as much as
    tagging as many windows; it is what the whole network says, not one term or block of it.
    """
    shape = (graph.spectrogram.shape[0], graph.spectrogram.shape[1])
    grid = (-(-shape[0] // side), -(-shape[1] // side))
    falls = []
    nodes = np.arange(grid[0] * grid[1])
    for some in np.array_split(nodes, -(-len(nodes) // _BATCH)):
        masks = np.stack([mask_of(np.array([n]), grid, side, shape) for n in some])
        without = torch.from_numpy(masked(graph.spectrogram, masks)).to(tagger.device)
        with torch.inference_mode():
            falls.append(graph.logits - _array(tagger.network(without)))
    return Evidence(SILENCED, None, None, grid, side, np.concatenate(falls).T)


def strongest_ties(graph: TagGraph, label: int, count: int) -> list[tuple[int, float]]:
    """The labels with the strongest ties to a label in the last label block: (label, weight).

    Of positive weight: they raise it; of negative: they lower it. The strongest first, without the
    label itself. Empty for a network without label nodes.
    """
    if not graph.edges:
        return []
    ties = graph.edges[-1].ties[label].copy()
    order = [int(j) for j in np.argsort(-np.abs(ties), kind="stable") if j != label]
    return [(j, float(ties[j])) for j in order[:count]]


def _edges(block: LabelGraph, halvings: int) -> LabelEdges:
    return LabelEdges(
        block.stage,
        block.block,
        block.grid,
        1 << (halvings + block.stage),
        block.patches.neighbours[0].cpu().numpy(),
        _array(block.weights[0]),
        _array(block.patches.distances[0]),
        _array(block.adjacency),
    )


def _of_edges(block: LabelEdges, number: int) -> Evidence:
    values = np.zeros((len(block.patches), block.grid[0] * block.grid[1]), np.float32)
    np.put_along_axis(values, block.patches, block.weights, axis=1)
    name = f"label block {number}"
    return Evidence(name, block.stage, block.block, block.grid, block.side, values)


def _together(blocks: list[Evidence]) -> Evidence:
    """The mean over label blocks, on the finest grid; each node's share is divided over its square.

    So a large square that a label has an edge to does not outweigh small ones.
    """
    finest = min(blocks, key=lambda block: block.side)
    shape = finest.grid
    total = np.zeros((len(finest.values), *shape), np.float32)
    for block in blocks:
        ratio = block.side // finest.side
        rows, columns = (np.arange(size) // ratio for size in shape)
        on_finest = block.values.reshape(-1, *block.grid)[:, rows][:, :, columns]
        total += on_finest / on_finest.sum(axis=(1, 2), keepdims=True)
    values = total.reshape(len(total), -1) / len(blocks)
    return Evidence(ALL_EDGES, None, None, finest.grid, finest.side, values)


def _without_each(network: ATGNN, graphs: TaggingGraphs) -> np.ndarray:
    """How much lower the patch term would be without each patch of the last stage: ``[S, N]``.

    The term is a small network of the patches' mean; it is computed again for the mean of all
    others. Exact, and without gradients. Where there is one patch only, the others are silence: 0.
    """
    nodes = to_nodes(graphs.patches.float())[0]  # [N, C]
    others = (nodes.sum(dim=0) - nodes) / max(1, len(nodes) - 1)
    return _array((graphs.patch_logits[0] - network.patch_logits(others)).T)


def _array(tensor: Tensor) -> np.ndarray:
    return np.asarray(tensor.detach().float().cpu().numpy())
