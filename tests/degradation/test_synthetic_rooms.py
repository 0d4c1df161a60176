"""Synthetic rooms: responses with the features of real ones, all different."""

import torch

from grafprint.degradation.synthetic_rooms import RoomMaker


def responses(seed: int = 0, batch: int = 24) -> torch.Tensor:
    return RoomMaker(3.0).draw(batch, 32_000, torch.Generator().manual_seed(seed))


def test_they_start_with_the_direct_sound_at_unit_energy():
    drawn = responses()
    assert drawn.isfinite().all()
    torch.testing.assert_close(drawn.square().sum(1), torch.ones(24))
    peak = drawn.abs().amax(1, keepdim=True)
    assert ((drawn.abs() >= 0.5 * peak).float().argmax(1) == 0).all()


def test_they_are_repeatable_and_all_different():
    drawn = responses()
    assert torch.equal(drawn, responses())
    similarities = (drawn @ drawn.T).fill_diagonal_(0)
    assert similarities.max() < 0.99
    assert not torch.equal(drawn, responses(1))


def test_they_decay_and_range_from_bathrooms_to_churches():
    energy = responses(batch=200).square()
    assert (energy[:, :16_000].sum(1) > energy[:, 16_000:].sum(1)).all()
    clarity_db = 10 * (energy[:, :800].sum(1) / energy[:, 800:].sum(1)).log10()
    assert clarity_db.min() < -6 and clarity_db.max() > 9
