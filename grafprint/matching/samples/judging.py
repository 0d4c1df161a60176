"""The re-ranker's part: which of a candidate's matches it judges, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from grafprint.matching.samples.nodes import TrackNodes, UnusableAudioError, nodes_of
from grafprint.matching.samples.results import Unchecked
from grafprint.matching.samples.search import Candidate
from grafprint.matching.samples.sources import Song

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter
    from grafprint.models.rerankers import CrossAttention

# By a candidate's track id: numbers of the judged pairs, and their probabilities.
Judged = dict[int, tuple[np.ndarray, np.ndarray]]

_PAIRS = 48  # of a candidate that are judged
_TOGETHER = 128  # pairs judged at once


def judge(
    network: CrossAttention,
    fingerprinter: Fingerprinter,
    song: Song,
    candidates: Sequence[Candidate],
    track_nodes: TrackNodes,
    progress: Callable[[str, float], None] | None,
) -> tuple[Judged, list[Unchecked]]:
    """What the re-ranker says about the candidates, and those whose audio cannot be had.

    Memory is bounded by the number of candidates.
    """
    chosen = {c.track.id: choose_pairs(c) for c in candidates}
    needed = [c.pairs.song[chosen[c.track.id]] for c in candidates]
    segments = np.unique(np.concatenate([np.empty(0, np.int64), *needed]))
    of_song = nodes_of(fingerprinter, song.again(), segments)
    judged: Judged = {}
    unchecked: list[Unchecked] = []
    for number, candidate in enumerate(candidates):
        pairs = candidate.pairs.take(chosen[candidate.track.id])
        try:
            nodes = track_nodes(candidate.track, np.unique(pairs.track))
        except UnusableAudioError as error:
            unchecked.append(Unchecked(candidate.track, str(error)))
        else:
            query = of_song[np.searchsorted(segments, pairs.song)]
            reference = np.stack([nodes[int(n)] for n in pairs.track])
            judged[candidate.track.id] = (
                chosen[candidate.track.id],
                probabilities(network, query, reference),
            )
        if progress:
            progress("compare", (number + 1) / len(candidates))
    return judged, unchecked


def choose_pairs(candidate: Candidate) -> np.ndarray:
    """Numbers of the matches to judge: those on lines first, of a long one evenly; then others."""
    chosen: list[int] = []
    for line in candidate.lines:
        members, room = line.members, _PAIRS - len(chosen)
        if len(members) > room:
            members = members[np.linspace(0, len(members) - 1, room).round().astype(int)]
        chosen += members.tolist()
    rest = np.setdiff1d(np.arange(len(candidate.pairs)), chosen)
    rest = rest[np.argsort(-candidate.pairs.weight[rest], kind="stable")]
    return np.array([*chosen, *rest[: _PAIRS - len(chosen)]], np.int64)


def probabilities(network: CrossAttention, query: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The probability ``[n]`` of each pair of nodes ``[n, N, C]``."""
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode():
        for begin in range(0, len(query), _TOGETHER):
            some = slice(begin, begin + _TOGETHER)
            both = (torch.from_numpy(x[some]).float().to(device) for x in (query, reference))
            parts.append(network(*both).probability.cpu().numpy())
    return np.concatenate(parts)
