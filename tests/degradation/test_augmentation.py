"""Random degradation: exact SNR, reverb without delay, seeds, and the crops of pairs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.degradation.augmentation import Degrade, DegradeConfig
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.effects import (
    change_speed,
    clip_peaks,
    coarsen,
    colour,
    mix_at_snr,
    prepare_rir,
    reverberate,
)
from grafprint.training.pairs import crop_length, draw_neighbouring_crops, mask, pair_views


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_snr_is_exact():
    audio, noise = torch.randn(5, 8000) * 0.1, torch.randn(5, 8000) * 3
    snr_db = torch.tensor([-10.0, 0.0, 5.5, 20.0, 40.0])
    added = mix_at_snr(audio, noise, snr_db) - audio
    ratio = audio.square().mean(1) / added.square().mean(1)
    torch.testing.assert_close(10 * ratio.log10(), snr_db, atol=1e-2, rtol=0)


def test_silent_audio_or_noise_gives_no_infinities():
    audio, silence = torch.randn(1, 100), torch.zeros(1, 100)
    assert torch.equal(mix_at_snr(silence, audio, torch.zeros(1)), silence)
    assert torch.equal(mix_at_snr(audio, silence, torch.zeros(1)), audio)
    assert torch.isfinite(reverberate(silence, torch.randn(1, 50))).all()


def test_reverb_is_a_convolution_at_the_power_of_the_input():
    audio, rir = torch.randn(2, 3000), torch.randn(2, 700)
    wet = reverberate(audio, rir)
    for b in range(2):
        expected = np.convolve(audio[b].numpy(), rir[b].numpy())[:3000]
        expected *= np.sqrt((audio[b].numpy() ** 2).mean() / (expected**2).mean())
        np.testing.assert_allclose(wet[b], expected, atol=1e-3)


def test_a_response_starts_with_its_direct_sound_not_its_peak():
    rir = np.zeros(4000, np.float32)
    rir[900], rir[1500] = 0.7, -1.0
    prepared = prepare_rir(rir)
    assert prepared[0] > 0 and np.argmin(prepared) == 600
    assert np.square(prepared).sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="silent"):
        prepare_rir(np.zeros(100))


def test_reverb_includes_music_before_the_segment():
    audio = torch.zeros(1, 32_000)
    audio[0, 15_000] = 1  # a click just before the segment
    rooms = RoomBank([np.concatenate([np.ones(1), np.full(4000, 0.1)])])
    config = DegradeConfig(reverb_probability=1)
    segment = Degrade(config, None, rooms)(audio, generator())
    assert segment.shape == (1, 16_000)
    assert (segment[0, :2900] > 0).all() and (segment[0, 3100:].abs() < 1e-5).all()


def test_the_chain_is_seeded_and_batched():
    bank = NoiseBank(synthetic_noise.noises(2, seed=1))
    chain = Degrade(DegradeConfig(), bank, RoomBank(synthetic_rooms.rooms(3, seed=2)))
    audio = torch.randn(6, 32_000) * 0.1
    first, again, other = (chain(audio, generator(s)) for s in (7, 7, 8))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.isfinite(first).all()
    assert not torch.equal(first, audio[:, 16_000:])


def test_silent_noise_is_not_drawn():
    clip = np.zeros(160_000, np.float32)
    clip[80_000:] = np.random.default_rng(0).normal(size=80_000) * 0.01
    noise = NoiseBank([clip, np.zeros(1000)]).draw(50, 4000, generator())
    assert noise.shape == (50, 4000) and (noise.square().mean(1) > 0).all()
    with pytest.raises(ValueError, match="not silent"):
        NoiseBank([np.zeros(1000)])


def test_short_noise_repeats():
    noise = NoiseBank([np.array([0.5, -1.0, 0.25])]).draw(4, 12, generator())
    assert torch.equal(noise[:, :3], noise[:, 3:6])


def test_pairs_are_shifted_by_no_more_than_the_offset():
    segment, offset, past, margin = 100, 8, 50, 20
    length = crop_length(segment, offset, past, margin)
    crops = torch.arange(length).float().repeat(200, 1)
    clean, shifted = pair_views(crops, segment, offset, past, margin, generator())
    assert clean.shape == (200, margin + segment + margin)
    assert shifted.shape == (200, past + segment)
    shift = shifted[:, past] - clean[:, margin]
    assert shift.min() == -offset and shift.max() == offset
    assert shifted.min() >= 0 and shifted.max() <= length - 1


@pytest.mark.parametrize("colour, slope_db", [("white", 0), ("pink", -3), ("brown", -6)])
def test_noise_colours_have_the_right_slope(colour: str, slope_db: float):
    noise = synthetic_noise.coloured_noise(colour, 160_000, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(noise)) ** 2

    def level(low_hz: int) -> float:
        return 10 * np.log10(spectrum[10 * low_hz : 20 * low_hz].mean())

    assert (level(2000) - level(250)) / 3 == pytest.approx(slope_db, abs=0.3)


@pytest.mark.parametrize("rt60_s", [0.3, 0.7])
def test_simulated_rooms_have_the_reverberation_time(rt60_s: float):
    rir = synthetic_rooms.room(rt60_s, np.random.default_rng(0))
    decay = np.cumsum(np.square(rir[::-1]))[::-1]
    decay_db = 10 * np.log10(decay / decay[0])
    t5, t25 = (int(np.argmax(decay_db < -x)) for x in (5, 25))
    assert 3 * (t25 - t5) / 16_000 == pytest.approx(rt60_s, rel=0.5)


def test_neighbouring_crops_are_a_small_step_apart():
    gap, count, length = (16, 160), 4, 50
    music = torch.arange(length + (count - 1) * gap[1]).float().repeat(300, 1)
    crops = draw_neighbouring_crops(music, count, length, gap, generator())
    crops = crops.view(300, count, length)
    assert (crops[:, 0, 0] == 0).all() and (crops.diff(dim=2) == 1).all()
    steps = crops[:, :, 0].diff(dim=1)
    assert steps.min() >= 16 and steps.max() <= 160
    # Log-uniform: half of the steps are below the geometric mean.
    assert (steps < (16 * 160) ** 0.5).float().mean().item() == pytest.approx(0.5, abs=0.06)


def sine(hertz: float, n: int = 16_000) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hertz * torch.arange(n) / 16_000)


def test_a_speed_change_shifts_pitch_and_keeps_the_end_in_place():
    audio = sine(1000).repeat(3, 1)
    factor = torch.tensor([0.98, 1.0, 1.02])
    played = change_speed(audio, factor)
    for row, f in zip(played, factor, strict=True):
        peak = torch.fft.rfft(row[4000:12_000] * torch.hann_window(8000)).abs().argmax() * 2
        assert peak.item() == pytest.approx(1000 * f.item(), abs=2)
    torch.testing.assert_close(played[1, 2:-3], audio[1, 2:-3])
    torch.testing.assert_close(played[:, -3], audio[:, -3])


def test_colouring_adds_no_delay():
    click = torch.zeros(200, 4000)
    click[:, 2000] = 1
    coloured = colour(click, generator())
    assert coloured.shape == click.shape and (coloured.abs().argmax(dim=1) == 2000).all()
    levels = torch.fft.rfft(coloured).abs()
    assert (levels[:, 1] < 0.5 * levels[:, 250]).float().mean() > 0.9  # 4 Hz against 1 kHz
    assert len(levels[:, 250].round(decimals=3).unique()) > 150  # all different


def test_clipping_is_at_a_share_of_the_peak():
    clipped = clip_peaks(torch.stack([sine(100), 2 * sine(100)]), torch.tensor([0.5, 0.25]))
    torch.testing.assert_close(
        clipped.abs().amax(dim=1), torch.tensor([0.5, 0.5]), atol=1e-3, rtol=0
    )


def test_steps_beyond_the_paper_are_off_by_default():
    audio = torch.randn(4, 32_000, generator=generator())
    plain = Degrade(DegradeConfig())(audio, generator())
    assert torch.equal(plain, audio[:, 16_000:])
    for config in (
        DegradeConfig(colour_probability=1.0),
        DegradeConfig(clip_probability=1.0),
        DegradeConfig(codec_probability=1.0),
    ):
        changed = Degrade(config)(audio, generator())
        assert changed.shape == plain.shape and torch.isfinite(changed).all()
        assert not torch.isclose(changed, plain).all(dim=1).any()
    faster = Degrade(DegradeConfig(speed_change=0.02))(audio, generator())
    assert faster.shape == plain.shape and not torch.isclose(faster, plain).all(dim=1).any()


def test_a_coarse_spectrum_stays_in_place_and_recognisable():
    time_s = torch.arange(16_000) / 16_000
    tune = sum(torch.sin(2 * torch.pi * f * time_s) for f in (330, 495, 1320)) / 3
    music = (tune + 0.02 * torch.randn(16_000, generator=generator()))[None].repeat(6, 1)
    coarse = coarsen(music, generator())
    assert coarse.shape == music.shape and coarse.isfinite().all()
    for one in coarse:
        assert 0.8 < float(torch.corrcoef(torch.stack([one, music[0]]))[0, 1]) < 0.99999
    assert torch.equal(coarsen(torch.zeros(2, 8000), generator()), torch.zeros(2, 8000))


def test_synthetic_rooms_replace_some_recorded_ones():
    dry = RoomBank([np.eye(1, 8000, dtype=np.float32)[0]])
    music = torch.randn(8, 16_000 + 8000, generator=generator())
    config = DegradeConfig(noise_probability=0.0, reverb_probability=1.0, past_s=1.0)
    assert torch.allclose(
        Degrade(config, None, dry)(music, generator()), music[:, 16_000:], atol=1e-4
    )
    degraded = Degrade(replace(config, made_rooms=0.5), None, dry)(music, generator())
    changed = ((degraded - music[:, 16_000:]).abs() > 0.05).any(dim=1)
    assert 1 <= changed.sum() <= 7


def test_masks_erase_a_rectangle_or_the_edges_of_the_band():
    segments = torch.ones(400, 64, 32)
    assert torch.equal(mask(segments, 0.0, 0.0, generator()), segments)
    erased = mask(segments, 1.0, 0.0, generator()) == 0
    for one in erased:  # a rectangle: the same frames in each of its rows
        rows, frames = one.any(dim=1), one.any(dim=0)
        assert torch.equal(one, rows[:, None] & frames)
        assert rows.sum() <= 32 and frames.sum() <= 16
    assert 0.03 < erased.float().mean() < 0.1  # a quarter by a quarter at the mean
    edges = mask(segments, 0.0, 0.5, generator()) == 0
    assert not edges[:, 16:48].any() and torch.equal(edges, edges[:, :, :1].expand_as(edges))
    masked = edges.flatten(1).any(dim=1).float().mean()
    assert 0.4 < masked < 0.6
