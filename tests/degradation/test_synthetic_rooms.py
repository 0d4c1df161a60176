"""Synthetic rooms: responses with the features of real ones, all different."""

import numpy as np
import pytest
import torch

from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.effects import prepare_rir
from grafprint.degradation.synthetic_rooms import RoomMaker, hall


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


@pytest.mark.parametrize("rt60_s", [0.2, 0.5, 1.0, 4.0])
def test_a_hall_has_exactly_its_reverberation_time(rt60_s: float):
    for seed in range(3):
        response = hall(rt60_s, np.random.default_rng(seed))
        assert np.isfinite(response).all()
        left = np.square(prepare_rir(response, 5.0), dtype=np.float64)[::-1].cumsum()[::-1]
        left_db = 10 * np.log10(left / left[0])
        begin, end = (int(np.argmax(left_db < level)) for level in (-20, -40))
        assert 3 * (end - begin) / SAMPLE_RATE == pytest.approx(rt60_s, rel=0.1)
