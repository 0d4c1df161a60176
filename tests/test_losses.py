"""NT-Xent against Eq. 5 and 6 of the paper written as plain loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from grafprint.losses import nt_xent


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_it_equals_eq_5_and_6(temperature: float):
    generator = torch.Generator().manual_seed(0)
    a = F.normalize(torch.randn(6, 16, generator=generator), dim=1)
    b = F.normalize(a + 0.5 * torch.randn(6, 16, generator=generator), dim=1)
    # z_1, z_2, ... of the paper: positive pairs stand next to each other.
    z = [v for pair in zip(a.double(), b.double(), strict=True) for v in pair]

    def similarity(i: int, j: int) -> float:
        return float(z[i] @ z[j] / (z[i].norm() * z[j].norm()))

    def loss(i: int, j: int) -> float:
        others = sum(math.exp(similarity(i, k) / temperature) for k in range(12) if k != i)
        return -math.log(math.exp(similarity(i, j) / temperature) / others)

    expected = sum(loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in range(6)) / 12
    assert nt_xent(a, b, temperature).item() == pytest.approx(expected, rel=1e-4)


def test_matching_views_lose_less_than_strangers():
    generator = torch.Generator().manual_seed(0)
    a = F.normalize(torch.randn(32, 64, generator=generator), dim=1)
    stranger = F.normalize(torch.randn(32, 64, generator=generator), dim=1)
    assert nt_xent(a, a) < 0.01 < nt_xent(a, stranger)
