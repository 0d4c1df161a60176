"""NT-Xent against Eq. 5 and 6 of the paper written as plain loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from grafprint.training.losses import nt_xent, share_music, triplet


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_it_equals_eq_5_and_6(temperature: float):
    generator = torch.Generator().manual_seed(0)
    a = F.normalize(torch.randn(6, 16, generator=generator), dim=1)
    b = F.normalize(a + 0.5 * torch.randn(6, 16, generator=generator), dim=1)
    # z_1, z_2, ... of the paper: positive pairs are adjacent.
    z = [v for pair in zip(a.double(), b.double(), strict=True) for v in pair]

    def similarity(i: int, j: int) -> float:
        return float(z[i] @ z[j] / (z[i].norm() * z[j].norm()))

    def loss(i: int, j: int) -> float:
        others = sum(math.exp(similarity(i, k) / temperature) for k in range(12) if k != i)
        return -math.log(math.exp(similarity(i, j) / temperature) / others)

    expected = sum(loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in range(6)) / 12
    assert nt_xent(a, b, temperature).item() == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_equal_views_is_lower_than_of_unrelated_ones():
    generator = torch.Generator().manual_seed(0)
    a = F.normalize(torch.randn(32, 64, generator=generator), dim=1)
    unrelated = F.normalize(torch.randn(32, 64, generator=generator), dim=1)
    assert nt_xent(a, a) < 0.01 < nt_xent(a, unrelated)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_a_memory_adds_negatives_for_every_view():
    a, b, memory = unit(5, 16), unit(5, 16, seed=1), unit(7, 16, seed=2)
    views = torch.cat([a, b])
    logits = torch.cat([views @ views.T, views @ memory.T], dim=1) / 0.1
    kept = ~torch.eye(10, 17, dtype=torch.bool)
    partners = logits[torch.arange(10), torch.arange(10).roll(5)]
    rows = [logits[i][kept[i]].logsumexp(0) - partners[i] for i in range(10)]
    expected = torch.stack(rows).mean()
    torch.testing.assert_close(nt_xent(a, b, 0.1, memory), expected)
    # Rows not filled yet are ignored.
    padded = torch.cat([memory, torch.zeros(3, 16)])
    torch.testing.assert_close(nt_xent(a, b, 0.1, padded), expected)
    assert nt_xent(a, b, 0.1, torch.zeros(3, 16)) == nt_xent(a, b, 0.1)


def test_triplets_use_semi_hard_negatives():
    a, b = unit(6, 8), unit(6, 8, seed=1)
    views = torch.cat([a, b]).double()
    terms = []
    for i in range(12):
        square = [(views[i] - v).square().sum().item() for v in views]
        positive = square[(i + 6) % 12]
        negatives = [s for j, s in enumerate(square) if j % 6 != i % 6]
        harder = [s for s in negatives if s > positive]
        terms.append(max(0, positive - (min(harder) if harder else max(negatives)) + 0.5))
    assert triplet(a, b, 0.5).item() == pytest.approx(sum(terms) / 12, rel=1e-5)


def test_views_that_share_music_are_not_negatives():
    a, b = unit(4, 16), unit(4, 16, seed=1)
    songs = torch.tensor([[0, -1], [0, 2], [1, -1], [3, 0]])
    # Song 0 is in pairs 0, 1 and in the query of 3, which also holds song 3.
    heard = [{0}, {0}, {1}, {3}, {0}, {0, 2}, {1}, {3, 0}]
    related = share_music(songs)
    assert related.tolist() == [[bool(x & y) for y in heard] for x in heard]
    views = torch.cat([a, b])
    logits = views @ views.T / 0.1
    terms = []
    for i in range(8):
        partner = (i + 4) % 8
        kept = [j for j in range(8) if j == partner or not heard[i] & heard[j]]
        terms.append(logits[i][kept].logsumexp(0) - logits[i, partner])
    expected = torch.stack(terms).mean()
    torch.testing.assert_close(nt_xent(a, b, 0.1, related=related), expected)
