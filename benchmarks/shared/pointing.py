"""Where a tagger's evidence for a label points, and what its logit loses without it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from grafprint import audio
from grafprint.errors import DataError
from grafprint.explore.tag_evidence import Evidence, mask_of, masked, spread
from grafprint.explore.tag_graph import LabelEdges, TagGraph, inspect_tags
from grafprint.tagging import ClipTagger

Events = dict[str, list[tuple[float, float]]]  # by label: when it sounds, in s
_COLUMNS = ("clip", "label", "start_s", "end_s")


@dataclass(frozen=True)
class Pointing:
    """Of one label in one clip: shares of time, and falls of the logit.

    ``hit`` is the share of the node that speaks most for the label that is in the time when it
    sounds, ``mass`` the share of all that speaks for it; ``chance`` is that of a node drawn at
    random where anything sounds, ``other_labels`` the hit of the pictures of labels that are not in
    the clip. ``found``: whether the tagger finds the label likelier than not. ``lit`` is how far
    the logit falls when the ``nodes`` that speak most are silenced, ``random`` when as many drawn
    at random among those that sound are, ``loudest`` the loudest.
    """

    hit: float
    mass: float
    chance: float
    other_labels: float
    found: bool
    nodes: int
    lit: float
    random: float
    loudest: float


def read_mixtures(table: Path, labels: tuple[str, ...]) -> tuple[dict[Path, Events], list[str]]:
    """The clips of a table with the columns ``clip`` (relative to it), ``label``, ``start_s`` and
    ``end_s``, and the labels in it that the tagger does not have.

    Raises DataError if it cannot be read.
    """
    found: dict[Path, Events] = {}
    unknown: set[str] = set()
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or [])]:
            raise DataError(f"{table}: there is no column {', '.join(missing)}")
        for row in rows:
            events = found.setdefault(table.parent / row["clip"], {})
            if row["label"] not in labels:
                unknown.add(row["label"])
                continue
            times = events.setdefault(row["label"], [])
            times.append((float(row["start_s"]), float(row["end_s"])))
    return found, sorted(unknown)


def inspect_file(tagger: ClipTagger, file: Path) -> TagGraph:
    """The graphs of the first window of a file."""
    return inspect_tags(
        tagger, audio.load(file, duration_s=tagger.window_s)[: tagger.window_samples]
    )


def sounding_frames(tagger: ClipTagger, times: list[tuple[float, float]]) -> np.ndarray:
    """Whether a label sounds in each frame of a window: bool ``[T]``."""
    f = tagger.features
    middles = np.arange(tagger.network.config.input_shape[1]) * f.hop_length / f.sample_rate_hz
    return np.any([(middles >= start) & (middles < end) for start, end in times], axis=0)


def measure(
    tagger: ClipTagger,
    graph: TagGraph,
    evidence: Evidence,
    label: int,
    frames: np.ndarray,
    others: np.ndarray,
    share: float,
    draws: int,
    rng: np.random.Generator,
) -> Pointing:
    """Measure the evidence for a label that sounds in ``frames [T]``.

    ``others`` are the labels that are not in the clip, ``share`` that of the nodes to silence, and
    ``draws`` how many sets of nodes are drawn at random. Only nodes that speak for the label are
    silenced, at least one of all; as many are drawn.
    """
    shape = graph.spectrogram.shape
    level = _of_nodes(evidence, graph.spectrogram)
    heard = _of_nodes(evidence, (graph.spectrogram > 0).astype(np.float32))
    inside = _of_nodes(evidence, np.broadcast_to(frames.astype(np.float32), shape))
    best = evidence.values == evidence.values.max(axis=1, keepdims=True)
    hits = (best * inside).sum(axis=1) / best.sum(axis=1)  # of every label
    speaks = evidence.values[label].clip(0)
    lit = evidence.lit(label, max(1, round(share * evidence.nodes)))
    candidates = np.flatnonzero(heard > 0)
    count = min(len(lit), len(candidates))
    sets = [lit[:count], np.argsort(-level, kind="stable")[:count]]
    sets += [rng.choice(candidates, count, replace=False) for _ in range(draws)]
    falls = _falls(tagger, graph, evidence, label, sets)
    return Pointing(
        hit=float(hits[label]),
        mass=float(speaks @ inside / max(speaks.sum(), 1e-12)),
        chance=float(heard @ inside / heard.sum()),
        other_labels=float(hits[others].mean()) if len(others) else float("nan"),
        found=bool(graph.probabilities[label] >= 0.5),
        nodes=count,
        lit=float(falls[0]),
        random=float(falls[2:].mean()),
        loudest=float(falls[1]),
    )


def _of_nodes(evidence: Evidence, picture: np.ndarray) -> np.ndarray:
    """The mean of a picture ``[F, T]`` over each node's square: ``[N]``."""
    numbers = spread(np.arange(evidence.nodes), evidence.grid, evidence.side, picture.shape)
    sums = np.bincount(numbers.ravel(), picture.ravel(), evidence.nodes)
    return np.asarray(sums / np.bincount(numbers.ravel(), minlength=evidence.nodes).clip(1))


def _falls(
    tagger: ClipTagger, graph: TagGraph, evidence: Evidence, label: int, sets: list[np.ndarray]
) -> np.ndarray:
    """How far the logit of a label falls when each set of nodes is silenced: ``[sets]``."""
    shape = (graph.spectrogram.shape[0], graph.spectrogram.shape[1])
    without = [
        masked(graph.spectrogram, mask_of(nodes, evidence.grid, evidence.side, shape))
        for nodes in sets
    ]
    with torch.inference_mode():
        logits = tagger.network(torch.from_numpy(np.stack(without)).to(tagger.device))
    return np.asarray(graph.logits[label] - logits[:, label].float().cpu().numpy())


def shared_patches(edges: LabelEdges) -> float:
    """The share of its patches that a label has in common with another, over all pairs."""
    labels, k = edges.patches.shape
    has = np.zeros((labels, edges.grid[0] * edges.grid[1]), np.float32)
    np.put_along_axis(has, edges.patches, 1.0, axis=1)
    common = has @ has.T / k
    return float((common.sum() - np.trace(common)) / max(1, labels * (labels - 1)))
