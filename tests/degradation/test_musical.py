"""Batches of changed samples: each row has the pitch, tempo, band and level asked for."""

import numpy as np
import pytest
import torch

from grafprint.degradation.musical import (
    change_pitch_and_tempo,
    compress,
    filter_band,
    resample_rows,
    stretch_rows,
)

RATE = 16_000


def tone(hertz: float, seconds: float = 8.0) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hertz * torch.arange(round(seconds * RATE)) / RATE)


def peak_hz(audio: torch.Tensor) -> float:
    spectrum = np.abs(np.fft.rfft(audio.numpy() * np.hanning(len(audio))))
    return float(spectrum.argmax() * RATE / len(audio))


def click_s(audio: torch.Tensor) -> float:
    return float(audio.abs().argmax()) / RATE


@pytest.mark.parametrize(
    ("semitones", "speed"),
    [(3.0, 1.0), (-3.0, 1.0), (0.0, 1.5), (0.0, 0.7), (2.0, 1.2), (12 * np.log2(1.3), 1.3)],
)
def test_pitch_and_tempo_are_what_was_asked_for(semitones: float, speed: float) -> None:
    audio = torch.stack([tone(440), 0.01 * tone(440)])
    audio[1, round(2.0 * RATE)] = 1
    changed = change_pitch_and_tempo(
        audio, torch.full((2,), semitones), torch.full((2,), speed), 4 * RATE
    )
    assert changed.shape == (2, 4 * RATE)
    assert peak_hz(changed[0, 4000:-4000]) == pytest.approx(440 * 2 ** (semitones / 12), abs=1.0)
    assert click_s(changed[1]) == pytest.approx(2 / speed, abs=0.03)


def test_changes_may_be_doubles() -> None:
    exact = torch.tensor([1.06], dtype=torch.float64)
    assert torch.equal(
        resample_rows(tone(440)[None], exact, RATE),
        resample_rows(tone(440)[None], exact.float(), RATE),
    )


def test_rows_do_not_depend_on_each_other() -> None:
    audio = torch.randn(3, 6 * RATE, generator=torch.Generator().manual_seed(0))
    semitones, speed = torch.tensor([2.0, 0.0, -3.0]), torch.tensor([1.0, 1.4, 0.8])
    together = change_pitch_and_tempo(audio, semitones, speed, 3 * RATE)
    for row in range(3):
        part = slice(row, row + 1)
        alone = change_pitch_and_tempo(audio[part], semitones[part], speed[part], 3 * RATE)
        assert torch.corrcoef(torch.cat([alone, together[part]]))[0, 1] > 0.999


def test_unchanged_rows_stay_and_levels_are_kept() -> None:
    audio = torch.stack([tone(300), tone(1000)])
    same = change_pitch_and_tempo(audio, torch.zeros(2), torch.ones(2), 4 * RATE)
    torch.testing.assert_close(same, audio[:, : 4 * RATE], atol=1e-4, rtol=0)
    slow = stretch_rows(audio, torch.tensor([1.4, 0.8]), 4 * RATE)
    assert (slow.std(dim=1) / audio.std(dim=1)).numpy() == pytest.approx([1, 1], abs=0.05)


def test_faster_playing_does_not_alias() -> None:
    played = resample_rows(tone(7000)[None], torch.tensor([1.5]), 4 * RATE)
    assert played[:, 1000:-1000].std() < 0.01


def test_bands_are_filtered_and_dynamics_compressed() -> None:
    both = (tone(100) + tone(1000))[None].repeat(2, 1)
    low, high = torch.tensor([400.0, 0.0]), torch.tensor([torch.inf, 250.0])
    filtered = filter_band(both, low, high)
    assert peak_hz(filtered[0]) == pytest.approx(1000, abs=1)
    assert peak_hz(filtered[1]) == pytest.approx(100, abs=1)
    loud = tone(440, 2)
    loud[:RATE] *= 0.5
    even = compress(loud[None].repeat(2, 1), torch.tensor([1.0, 4.0]))
    torch.testing.assert_close(even[0], loud)
    quiet, high_level = even[1, 2000:14000].std(), even[1, 18000:30000].std()
    assert high_level / quiet < 1.5
