"""The contrastive loss: NT-Xent (Eq. 5 and 6 of the paper)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(a: Tensor, b: Tensor, temperature: float = 0.05) -> Tensor:
    """Normalised temperature-scaled cross entropy over a batch of pairs.

    Args:
        a, b: two views ``[N, d]`` of the same N segments, L2-normalised; row i of each is a
            positive pair, all other 2N - 2 rows are its negatives.
        temperature: tau of Eq. 5 (Table I: 0.05).

    Returns:
        The mean of the 2N losses of Eq. 5 (Eq. 6), a scalar.
    """
    n = len(a)
    views = torch.cat([a, b]).float()
    logits = views @ views.T / temperature
    logits.fill_diagonal_(-torch.inf)
    target = torch.arange(2 * n, device=a.device).roll(n)
    return F.cross_entropy(logits, target)
