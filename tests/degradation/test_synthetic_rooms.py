"""Rooms made up on the spot: responses as rooms have them, no two the same."""

import torch

from grafprint.degradation.synthetic_rooms import RoomMaker


def responses(seed: int = 0, batch: int = 24) -> torch.Tensor:
    return RoomMaker(3.0).draw(batch, 32_000, torch.Generator().manual_seed(seed))


def test_they_begin_with_the_direct_sound_at_unit_energy():
    made = responses()
    assert made.isfinite().all()
    torch.testing.assert_close(made.square().sum(1), torch.ones(24))
    peak = made.abs().amax(1, keepdim=True)
    assert ((made.abs() >= 0.5 * peak).float().argmax(1) == 0).all()


def test_they_are_repeatable_and_all_different():
    made = responses()
    assert torch.equal(made, responses())
    likeness = (made @ made.T).fill_diagonal_(0)
    assert likeness.max() < 0.99
    assert not torch.equal(made, responses(1))


def test_they_decay_and_reach_from_bathrooms_to_churches():
    energy = responses(batch=200).square()
    assert (energy[:, :16_000].sum(1) > energy[:, 16_000:].sum(1)).all()
    clarity_db = 10 * (energy[:, :800].sum(1) / energy[:, 800:].sum(1)).log10()
    assert clarity_db.min() < -6 and clarity_db.max() > 9
