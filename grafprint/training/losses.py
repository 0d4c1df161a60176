"""Losses on batches of pairs: NT-Xent (Eq. 5 and 6 of the paper) and triplets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(
    a: Tensor,
    b: Tensor,
    temperature: float = 0.05,
    memory: Tensor | None = None,
    related: Tensor | None = None,
) -> Tensor:
    """Normalised temperature-scaled cross entropy over a batch of pairs.

    Args:
        a, b: two views ``[N, d]`` of the same N segments, L2-normalised; row i of each is a
            positive pair, all other 2N - 2 rows are its negatives.
        temperature: tau of Eq. 5 (Table I: 0.05).
        memory: fingerprints ``[M, d]`` of earlier batches, M more negatives for each view. Zero
            rows are not filled yet and are ignored.
        related: which of the 2N rows have music in common ``[2N, 2N]``, bool (:func:`share_music`):
            these are not negatives of each other.

    Returns:
        The mean of the 2N losses of Eq. 5 (Eq. 6), a scalar.
    """
    n = len(a)
    views = torch.cat([a, b]).float()
    logits = views @ views.T / temperature
    target = torch.arange(2 * n, device=a.device).roll(n)
    if related is not None:
        spared = related.scatter(1, target[:, None], False)  # the positive stays
        logits = logits.masked_fill(spared, -torch.inf)
    logits.fill_diagonal_(-torch.inf)
    if memory is not None:
        filled = memory[memory.any(dim=1)].float()
        logits = torch.cat([logits, views @ filled.T / temperature], dim=1)
    return F.cross_entropy(logits, target)


def share_music(songs: Tensor) -> Tensor:
    """Which views of a batch have a song in common, ``[2N, 2N]``, for ``related`` of nt_xent.

    ``songs [N, 2]`` are numbers: the song of each reference, and the one laid over its query, or
    -1 if there is no other.
    """
    reference = songs[:, :1].expand(-1, 2)
    rows = torch.cat([reference, torch.where(songs < 0, reference, songs)])
    return (rows[:, None, :, None] == rows[None, :, None, :]).flatten(2).any(dim=2)


def triplet(a: Tensor, b: Tensor, margin: float = 0.5) -> Tensor:
    """Triplet loss on squared distances with semi-hard negatives (Schroff et al., 2015).

    For each anchor, use the nearest negative that is farther than its positive (semi-hard); if
    there is none, the farthest. ``a, b [N, d]`` are as for :func:`nt_xent`; returns a scalar.
    """
    n = len(a)
    views = torch.cat([a, b]).float()
    distances = 2 - 2 * views @ views.T
    rows = torch.arange(2 * n, device=a.device)
    positive = distances[rows, rows.roll(n)][:, None]
    other = (rows[:, None] - rows) % n != 0
    farther = other & (distances > positive)
    semi_hard = distances.masked_fill(~farther, torch.inf).amin(dim=1)
    farthest = distances.masked_fill(~other, -torch.inf).amax(dim=1)
    negative = torch.where(farther.any(dim=1), semi_hard, farthest)
    return F.relu(positive[:, 0] - negative + margin).mean()
