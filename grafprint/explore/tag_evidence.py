"""How much the nodes of a map speak for labels, and which parts of a spectrogram they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POOLED = "pooled patches"
ALL_EDGES = "all label blocks"
SILENCED = "silenced squares"


@dataclass(frozen=True, eq=False)
class Evidence:
    """How much each node of a map speaks for each label: ``values [S, N]``.

    Node ``n`` is at row ``n // grid[1]`` (0 is the lowest frequency), column ``n % grid[1]``, and
    stands for a square of ``side x side`` points of the spectrogram; its neighbourhood in the
    network is wider. ``stage`` counts from 0, as ``block`` does among the label blocks; both are
    None where several are taken together, or the whole network.

    The values of edges are the shares of channels that each patch wins for the label: 0 where
    there is no edge, a sum of 1 for each label. Those of ``POOLED`` are parts of a logit: how much
    lower the patch term would be without the node, so negative where it speaks against the label;
    those of ``SILENCED`` (tag_graph.py) are how much lower all of the logit would be.
    """

    name: str
    stage: int | None
    block: int | None
    grid: tuple[int, int]
    side: int
    values: np.ndarray

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.values.shape[1]

    def lit(self, label: int, count: int) -> np.ndarray:
        """The ``count`` nodes that speak most for a label, most first; only those that do."""
        values = self.values[label]
        best = np.argsort(-values, kind="stable")[:count]
        return best[values[best] > 0]

    def on_spectrogram(self, label: int, shape: tuple[int, int]) -> np.ndarray:
        """The values of a label on a spectrogram of ``shape`` (mel bins, frames), ``[F, T]``."""
        return spread(self.values[label], self.grid, self.side, shape)


def spread(
    values: np.ndarray, grid: tuple[int, int], side: int, shape: tuple[int, int]
) -> np.ndarray:
    """Values of a grid's nodes ``[N]`` on the points of a spectrogram of ``shape``: ``[F, T]``."""
    rows, columns = (np.arange(size) // side for size in shape)
    return np.asarray(values.reshape(grid)[np.ix_(rows, columns)])


def mask_of(
    nodes: np.ndarray, grid: tuple[int, int], side: int, shape: tuple[int, int]
) -> np.ndarray:
    """The points of a spectrogram of ``shape`` that some nodes stand for: bool ``[F, T]``."""
    chosen = np.zeros(grid[0] * grid[1], bool)
    chosen[nodes] = True
    return spread(chosen, grid, side, shape)


def masked(spectrogram: np.ndarray, mask: np.ndarray, *, keep: bool = False) -> np.ndarray:
    """A spectrogram ``[F, T]`` with silence where ``mask`` is; ``keep``: where it is not.

    The mask is ``[F, T]``, or ``[n, F, T]`` for as many spectrograms. Silence is 0, as
    in the masks of training.
    """
    return np.where(mask == keep, spectrogram, np.float32(0))
