"""The virtual re-recording: each part against a plain reference or a physical property."""

import zlib
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from grafprint.audio import SAMPLE_RATE
from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.degradation.augmentation import Degrade, DegradeConfig
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.rerecording import (
    PRESETS,
    Rerecord,
    RerecordingConfig,
    control_gain,
    loudspeaker_db,
    microphone_db,
    other_place,
    saturate,
    spread,
    suppress_noise,
)

PARTS = [f.name for f in fields(RerecordingConfig) if f.name.endswith("_probability")]


def changed(config: RerecordingConfig, **values: Any) -> RerecordingConfig:
    return replace(config, **values)


OFF = changed(RerecordingConfig(), **dict.fromkeys(PARTS, 0.0))
PAST = 8000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def music(batch: int = 6, samples: int = 24_000) -> Tensor:
    return 0.1 * torch.randn(batch, samples, generator=generator(7))


@pytest.fixture(scope="module")
def noises() -> NoiseBank:
    return NoiseBank(synthetic_noise.noises(3, 0))


@pytest.fixture(scope="module")
def rooms() -> RoomBank:
    return RoomBank(synthetic_rooms.rooms(3, 0), max_s=0.5)


# Drawn with seed 1 before drawing and processing were separated: the state of the generator
# afterwards, the same with real codecs, and sample 8000 of each clip.
DRAWN = {
    "default": (
        681633377, 2701168544, [-0.0524, -0.0139, -0.0895, 0.0576, -0.4507, -0.0385]),
    "phone across the room": (
        681633377, 2701168544, [0.0008, -0.0046, -0.0768, 0.0556, -0.1257, -0.045]),
    "laptop in a café": (
        1936984500, 2265845075, [0.3077, 0.0156, -0.1837, 0.1201, -0.336, -0.1115]),
    "car radio": (
        3658116115, 572140703, [0.0014, 0.133, -0.0533, -0.1638, -0.1735, 0.0157]),
    "club": (
        3005661879, 1572998273, [0.0129, -0.0737, 0.0476, -0.1411, 0.0021, 0.1013]),
}  # fmt: skip


def column(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


def gain_at(knots_db: Tensor, hertz: float) -> Tensor:
    """Gain in dB at a frequency, on the grid that the chain uses."""
    size = 48_000
    return 20 * spread(knots_db, size)[:, round(hertz * size / SAMPLE_RATE)].log10()


def plain_loudspeaker(high_pass_hz: float, slope_db: float, tilt_db: float) -> Tensor:
    zero = torch.zeros(1, 1)
    return loudspeaker_db(
        column(high_pass_hz), column(slope_db), column(tilt_db), zero + 1000, zero, zero + 0.1
    )


@pytest.mark.parametrize("slope_db", [12.0, 24.0, 48.0])
def test_a_loudspeaker_falls_by_its_slope_below_its_lowest_frequency(slope_db: float):
    response = plain_loudspeaker(800, slope_db, 0)
    assert gain_at(response, 800).item() == pytest.approx(-3, abs=0.1)
    fall = gain_at(response, 200) - gain_at(response, 100)
    assert fall.item() == pytest.approx(slope_db, abs=0.3)
    assert gain_at(response, 6000).item() == pytest.approx(0, abs=0.1)


def test_tilt_and_resonance_are_as_high_as_asked():
    tilted = plain_loudspeaker(10, 12, 30)
    assert (gain_at(tilted, 8000) - gain_at(tilted, 100)).item() == pytest.approx(30, abs=0.2)
    ringing = loudspeaker_db(
        column(10), column(12), column(0), torch.tensor([[500.0, 3000.0]]),
        torch.tensor([[9.0, -6.0]]), torch.tensor([[0.2, 0.2]]),
    )  # fmt: skip
    assert gain_at(ringing, 500).item() == pytest.approx(9, abs=0.2)
    assert gain_at(ringing, 3000).item() == pytest.approx(-6, abs=0.2)
    assert gain_at(ringing, 1200).item() == pytest.approx(0, abs=0.2)


def test_a_microphone_has_a_band_and_wanders_within_it():
    flat = microphone_db(column(100), column(4000), torch.zeros(1, 13))
    assert [gain_at(flat, f).item() for f in (100, 4000)] == pytest.approx([-3, -3], abs=0.1)
    assert gain_at(flat, 25).item() == pytest.approx(-24, abs=0.3)
    assert gain_at(flat, 8000).item() == pytest.approx(-24, abs=0.3)
    wandering = microphone_db(column(1), column(1e6), torch.full((1, 13), 4.0))
    assert gain_at(wandering, 1000).item() == pytest.approx(4, abs=0.01)


def test_saturation_adds_odd_harmonics_and_with_a_bias_even_ones():
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = torch.sin(2 * np.pi * 500 * time).repeat(3, 1)
    spectrum = torch.fft.rfft(saturate(tone, column(1e-3, 3, 3), column(0, 0, 0.3))).abs()
    second, third = (20 * (spectrum[:, f] / spectrum[:, 500]).log10() for f in (1000, 1500))
    assert third[0] < -80 and third[1] > -30 and third[2] > -30
    assert second[0] < -80 and second[1] < -80 and second[2] > -30
    loud = saturate(tone, column(3, 3, 3), column(0, 0, 0))
    assert loud.abs().max() < 1


def test_with_every_part_off_nothing_changes_and_nothing_is_drawn(
    noises: NoiseBank, rooms: RoomBank
):
    audio, drawn = music(), generator()
    heard = Rerecord(OFF, PAST, noises, rooms)(audio, drawn)
    torch.testing.assert_close(heard, audio[:, PAST:], atol=1e-6, rtol=1e-4)
    assert torch.equal(drawn.get_state(), generator().get_state())


@pytest.mark.parametrize("part", [p for p in PARTS if p not in (
    "distortion_probability", "second_noise_probability", "codec_probability")])  # fmt: skip
def test_every_part_alone_changes_the_sound(part: str, noises: NoiseBank, rooms: RoomBank):
    heard = Rerecord(changed(OFF, **{part: 1.0}), PAST, noises, rooms)(music(), generator())
    assert heard.shape == (6, 16_000) and torch.isfinite(heard).all()
    assert ((heard - music()[:, PAST:]).abs().amax(dim=1) > 1e-4).all()


def test_the_same_seed_gives_the_same_sound_and_another_one_another(
    noises: NoiseBank, rooms: RoomBank
):
    chain = Rerecord(RerecordingConfig(), PAST, noises, rooms)
    first, again, other = (chain(music(), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.allclose(first, other)


@pytest.mark.parametrize("name", DRAWN)
def test_a_seed_draws_what_it_always_drew(name: str, noises: NoiseBank, rooms: RoomBank):
    """So that a run which is resumed continues with the same views."""
    config = PRESETS.get(name, RerecordingConfig())
    after, after_codecs, samples = DRAWN[name]
    # What is rounded hard is left out: it can differ between processors.
    plain, drawn = replace(config, coarse_probability=0.0), generator(1)
    heard = Rerecord(plain, PAST, noises, rooms)(music(), drawn)
    assert zlib.crc32(drawn.get_state().numpy().tobytes()) == after
    assert heard[:, 8000].tolist() == pytest.approx(samples, abs=1e-3)
    drawn = generator(1)
    Rerecord(replace(config, codec_probability=0.5), PAST, noises, rooms)(music(), drawn)
    assert zlib.crc32(drawn.get_state().numpy().tobytes()) == after_codecs


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_finite_for_music_and_for_silence(
    name: str, noises: NoiseBank, rooms: RoomBank
):
    chain = Rerecord(PRESETS[name], PAST, noises, rooms)
    assert torch.isfinite(chain(music(), generator())).all()
    assert chain(torch.zeros(2, 24_000), generator()).abs().max() < 1e-4


def test_the_room_is_a_plain_convolution_that_hears_the_past(rooms: RoomBank):
    config = replace(OFF, room_probability=1.0, synthetic_rooms=0.0)
    audio, drawn = music(3), generator(4)
    heard = Rerecord(config, PAST, None, rooms)(audio, drawn)
    responses = rooms.draw(3, generator(4))
    for clip, response, wet in zip(audio, responses, heard, strict=True):
        expected = np.convolve(clip.numpy(), response.numpy())[: len(clip)]
        expected *= np.sqrt(clip.square().mean().item() / np.square(expected).mean())
        np.testing.assert_allclose(wet, expected[PAST:], atol=5e-3)


def test_a_response_longer_than_the_past_does_not_wrap_around(rooms: RoomBank):
    config = replace(OFF, room_probability=1.0, synthetic_rooms=0.0)
    click_at_the_end = torch.zeros(1, 8000)
    click_at_the_end[0, -1] = 1.0
    heard = Rerecord(config, 0, None, rooms)(click_at_the_end, generator())
    assert heard[0, :-1].abs().max() < 1e-4 * heard[0, -1].abs()


def test_the_snr_of_past_and_segment_is_exact(noises: NoiseBank, rooms: RoomBank):
    config = replace(
        OFF, noise_probability=1.0, second_noise_probability=0.5, room_probability=1.0,
        synthetic_rooms=0.0, snr_db=(-7.0, -7.0),
    )  # fmt: skip
    # Without a past, all of it is returned. The room is drawn first, so it is the same without
    # the noise.
    audio = music()
    noisy = Rerecord(config, 0, noises, rooms)(audio, generator())
    clean = Rerecord(replace(config, noise_probability=0.0), 0, noises, rooms)(audio, generator())
    ratio = clean.square().mean(1) / (noisy - clean).square().mean(1)
    torch.testing.assert_close(10 * ratio.log10(), torch.full((6,), -7.0), atol=1e-2, rtol=0)


def test_a_talker_who_pauses_is_not_turned_up():
    speech = np.zeros(24_000, np.float32)
    speech[:PAST] = np.random.default_rng(0).standard_normal(PAST)
    config = replace(OFF, noise_probability=1.0, snr_db=(0.0, 0.0))
    pauses = NoiseBank([speech])
    torch.manual_seed(0)
    chain = Rerecord(config, PAST, pauses)
    audio = music(200)
    added = (chain(audio, generator()) - audio[:, PAST:]).square().mean(dim=1)
    # Where the stretch falls is drawn; in some it has all of its pause in the segment.
    assert added.min() < 0.1 * added.max()
    assert added.max() < 3.1 * audio.square().mean()


def decay_db(responses: Tensor, begin_s: float, end_s: float) -> Tensor:
    """By how much the energy that is left (Schroeder's integral) falls between two times."""
    left = responses.square().flip(1).cumsum(1).flip(1)
    begin, end = (round(s * SAMPLE_RATE) for s in (begin_s, end_s))
    return 10 * (left[:, begin] / left[:, end]).log10()


def test_another_place_in_a_room_decays_alike_but_is_another_response():
    time = torch.arange(16_000) / SAMPLE_RATE
    rt60_s = torch.tensor([0.6, 1.2, 2.4])[:, None]
    noise = torch.randn(3, 16_000, generator=generator())
    responses = noise * 10 ** (-3 * time / rt60_s)
    responses[:, 0] = 5.0
    other = other_place(responses, generator(1))
    torch.testing.assert_close(
        decay_db(other, 0.1, 0.25), decay_db(responses, 0.1, 0.25), atol=3.0, rtol=0.15
    )
    late = slice(round(0.06 * SAMPLE_RATE), None)
    cosine = torch.cosine_similarity(other[:, late], responses[:, late], dim=1)
    assert cosine.abs().max() < 0.3
    energy = other[:, late].square().sum(1) / responses[:, late].square().sum(1)
    assert (10 * energy.log10()).abs().max() < 6


def test_the_noise_is_reverberated_in_the_room():
    """A click as noise rings on with the room's decay; without a room it does not."""
    click = np.zeros(24_000, np.float32)
    click[0] = 1.0
    time = np.arange(8000) / SAMPLE_RATE
    response = np.random.default_rng(0).standard_normal(8000) * 10 ** (-3 * time / 0.4)
    config = replace(
        OFF, noise_probability=1.0, room_probability=1.0, synthetic_rooms=0.0, snr_db=(0.0, 0.0)
    )
    silence_between = torch.zeros(1, 24_000)
    silence_between[0, ::1200] = 0.1
    shares = []
    for rooms in (RoomBank([response.astype(np.float32)]), None):
        chain = Rerecord(config, 0, NoiseBank([click]), rooms)
        without = Rerecord(replace(config, noise_probability=0.0), 0, NoiseBank([click]), rooms)
        added = chain(silence_between, generator()) - without(silence_between, generator())
        power = added[0].square()
        shares.append((power[power.argmax() + 100 :].sum() / power.sum()).item())
    assert shares[0] > 0.02 and shares[1] < 1e-3


def test_gain_control_evens_out_slow_changes_only():
    quiet_then_loud = music(1, 48_000)
    quiet_then_loud[:, :24_000] *= 0.1
    settings = column(0.05), column(0.2)

    def step_db(strength: float) -> float:
        heard = control_gain(quiet_then_loud, column(strength), *settings)
        before, after = heard[:, 16_000:24_000], heard[:, 40_000:]
        return (10 * (after.square().mean() / before.square().mean()).log10()).item()

    assert torch.equal(control_gain(quiet_then_loud, column(0.0), *settings), quiet_then_loud)
    assert step_db(0.5) == pytest.approx(10, abs=1)
    assert step_db(1.0) == pytest.approx(0, abs=1)


def test_noise_suppression_turns_steady_noise_down_and_keeps_what_is_louder():
    time = torch.arange(32_000) / SAMPLE_RATE
    hiss = 0.01 * torch.randn(1, 32_000, generator=generator())
    beep = 0.3 * torch.sin(2 * np.pi * 1000 * time) * (time % 0.5 < 0.1)
    heard = suppress_noise(hiss + beep, column(2.0), column(-20.0))
    pause = slice(8000 + 4000, 8000 + 7000)
    change_db = 10 * (heard[0, pause].square().mean() / hiss[0, pause].square().mean()).log10()
    assert -21 < change_db < -6
    during = slice(8000 + 400, 8000 + 1200)
    kept = heard[0, during].square().mean() / beep[during].square().mean()
    assert 10 * kept.log10() == pytest.approx(0, abs=0.5)
    assert torch.allclose(suppress_noise(beep[None], column(0.0), column(-20.0)), beep, atol=1e-4)


def test_real_codecs_can_follow(noises: NoiseBank):
    config = replace(OFF, codec_probability=1.0)
    heard = Rerecord(config, PAST, noises)(music(2), generator())
    assert heard.shape == (2, 16_000) and not torch.allclose(heard, music(2)[:, PAST:], atol=1e-3)


def test_degrade_re_records_its_share_of_the_clips(noises: NoiseBank, rooms: RoomBank):
    quiet = DegradeConfig(
        noise_probability=0.0, reverb_probability=0.0, past_s=0.5, rerecording_probability=0.5
    )
    audio = music(64)
    heard = Degrade(quiet, noises, rooms)(audio, generator())
    changed = ((heard - audio[:, 8000:]).abs().amax(dim=1) > 1e-6).float()
    assert 0.3 < changed.mean() < 0.7
    everything = Degrade(replace(quiet, rerecording_probability=1.0), noises, rooms)
    heard = everything(audio, generator())
    assert ((heard - audio[:, 8000:]).abs().amax(dim=1) > 1e-6).all()
