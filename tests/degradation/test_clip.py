"""Degrading one clip: the same result as in training, without delay, at an exact SNR."""

import numpy as np
import pytest
import torch

from grafprint import audio
from grafprint.degradation import Degradation, degrade, synthetic_noise, synthetic_rooms
from grafprint.degradation.augmentation import Degrade, DegradeConfig
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.clip import CODEC_NAMES, mix_with_dry
from grafprint.degradation.effects import prepare_rir
from grafprint.degradation.filters import apply_gain_db, filter_hertz, limit_band
from grafprint.evaluation.breaking_point import (
    GroundTruth,
    Point,
    holds_until_db,
    judge,
    sweep,
    truth_from,
)
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.matching import identify_audio
from tests.audio_files import best_lag
from tests.paths import ASSETS

RATE = audio.SAMPLE_RATE
ROOM = synthetic_rooms.room(0.6, np.random.default_rng(1))


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.open(ASSETS / "library")


@pytest.fixture(scope="module")
def music(library: Library) -> np.ndarray:
    """7 s of the track Musicbox: two seconds of past, and a clip of five seconds from 20 s on."""
    path = library.audio_path(library.tracks("Musicbox")[0])
    assert path is not None
    return audio.load(path, start_s=18, duration_s=7)


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.square(sound, dtype=np.float64).mean()))


def test_the_default_changes_nothing(music: np.ndarray):
    np.testing.assert_array_equal(degrade(music, Degradation()), music)


def test_it_equals_the_degradation_of_training(music: np.ndarray):
    """Reverb with a past, and noise at one SNR: the same samples as in training."""
    # This noise is constant, so it does not matter which part of it is drawn.
    noise, rooms = NoiseBank([np.ones(1)]), RoomBank([ROOM])
    chain = Degrade(DegradeConfig((5.0, 5.0), 1.0, 1.0, past_s=2.0), noise, rooms)
    expected = chain(torch.from_numpy(music)[None], torch.Generator().manual_seed(0))[0]
    degraded = degrade(music[2 * RATE :], Degradation(5.0, noise, ROOM), music[: 2 * RATE])
    np.testing.assert_allclose(degraded, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["babble", "rain"])
@pytest.mark.parametrize("snr_db", [-10.0, 2.5, 30.0])
def test_the_snr_is_exact_over_the_clip(music: np.ndarray, kind: str, snr_db: float):
    noisy = degrade(0.1 * music, Degradation(snr_db, kind))
    assert np.abs(noisy).max() < 1  # so it was not attenuated
    added = noisy - 0.1 * music
    assert level_db(0.1 * music) - level_db(added) == pytest.approx(snr_db, abs=0.01)


def test_a_result_above_full_scale_is_attenuated_not_clipped(music: np.ndarray):
    quiet, loud = (degrade(gain * music, Degradation(-10.0, "street")) for gain in (0.01, 3.0))
    assert np.abs(loud).max() == 1
    assert np.corrcoef(quiet, loud)[0, 1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("wet", [0.2, 0.7, 1.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_mixing_wet_and_dry_keeps_the_direct_sound_in_place(
    music: np.ndarray, wet: float, sign: int
):
    late = np.concatenate([np.zeros(500, np.float32), sign * ROOM])
    mixed = mix_with_dry(prepare_rir(late), wet)
    assert np.abs(mixed).argmax() <= np.abs(prepare_rir(late)).argmax() and mixed[0] * sign > 0
    clip = music[2 * RATE :]
    degraded = degrade(clip, Degradation(room=late, wet=wet), music[: 2 * RATE])
    lag, agreement = best_lag(sign * degraded, clip)
    assert abs(lag) <= 16 and agreement > 0.4  # a millisecond
    assert degrade(clip, Degradation(room=late, wet=0.0)) == pytest.approx(clip)


def test_the_reverb_of_the_past_is_included(music: np.ndarray):
    past, clip = music[: 2 * RATE], music[2 * RATE :]
    whole = degrade(music, Degradation(room=ROOM))[2 * RATE :]
    with_past, without = (degrade(clip, Degradation(room=ROOM), p) for p in (past, None))
    assert np.corrcoef(with_past[:1600], whole[:1600])[0, 1] > 0.999
    assert np.corrcoef(without[:1600], whole[:1600])[0, 1] < 0.95


def test_a_band_is_limited_without_delay():
    clicks = torch.zeros(1, 8000)
    clicks[0, 4000] = 1
    limited = limit_band(clicks, 300, 3400)
    assert limited.abs().argmax() == 4000
    gain_db = 20 * torch.fft.rfft(limited[0]).abs().log10()  # in steps of 2 Hz
    assert gain_db[500].item() == pytest.approx(0, abs=0.2)
    assert gain_db[150].item() == pytest.approx(-3, abs=0.2) == gain_db[1700].item()
    assert gain_db[75].item() == pytest.approx(-24, abs=1)
    flat = apply_gain_db(clicks, torch.zeros(len(filter_hertz(8000))))
    torch.testing.assert_close(flat, clicks)


@pytest.mark.parametrize("codec", CODEC_NAMES)
def test_clipping_and_codecs_add_no_delay(music: np.ndarray, codec: str):
    wanted = Degradation(20.0, "pink", low_hz=200, high_hz=3400, clip_share=0.3, codec=codec)
    degraded = degrade(music, wanted)
    assert degraded.shape == music.shape and degraded.dtype == np.float32
    lag, agreement = best_lag(degraded, music)
    assert abs(lag) <= 16 and agreement > 0.5


def test_the_same_seed_gives_the_same_result(music: np.ndarray):
    bank = NoiseBank([synthetic_noise.noise("rain", 10 * RATE, 0)])
    for noise in ("cafe", bank):
        first, again, other = (
            degrade(music, Degradation(0.0, noise, room=0.4, seed=seed)) for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert not np.allclose(first, other)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"wet": 1.5}, "share of the room"),
        ({"room": 9.0}, "0.2 to 1 s, not 9"),
        ({"room": float("nan")}, "0.2 to 1 s"),
        ({"clip_share": 0.0}, "clipping"),
        ({"low_hz": 4000.0, "high_hz": 300.0}, "no band"),
        ({"codec": "telegraph"}, "no codec 'telegraph'; there are: opus 6 kbit/s"),
        ({"snr_db": float("nan")}, "decibels"),
    ],
)
def test_invalid_values_are_refused(values: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Degradation(**values)


def test_the_breaking_point_is_at_a_higher_snr_in_a_room(
    library: Library, fingerprinter: Fingerprinter, music: np.ndarray
):
    track = library.tracks("Musicbox")[0]
    clip, past = music[2 * RATE :], music[: 2 * RATE]
    truth = truth_from(identify_audio(library, fingerprinter, clip))
    assert truth is not None and truth.track_id == track.id and not truth.given
    assert truth.start_s == pytest.approx(20, abs=0.05)
    truth, snrs = GroundTruth(track.id, 20.0, given=True), (30.0, 10.0, 0.0, -10.0, -20.0)
    wanted = Degradation(noise="machine")
    points = list(sweep(library, fingerprinter, clip, wanted, truth, past, snrs))
    assert [(p.snr_db, p.reverb) for p in points] == [(s, r) for s in snrs for r in (False, True)]
    dry, wet = ([p for p in points if p.reverb == reverb] for reverb in (False, True))
    assert dry[0].judgement == "place" == wet[0].judgement and dry[0].named and wet[0].named
    assert dry[-1].judgement == "wrong" and not dry[-1].named
    assert all(a.score > b.score for a, b in zip(dry[:3], wet[:3], strict=True))
    broken, sooner = holds_until_db(dry), holds_until_db(wet)
    assert broken is not None and sooner is not None and -10 <= broken <= sooner < 30


def test_another_place_in_the_right_track_is_judged_as_track_only(
    library: Library, fingerprinter: Fingerprinter, music: np.ndarray
):
    answer = identify_audio(library, fingerprinter, music)  # begins at 18 s
    assert answer.best is not None
    track = answer.best.track.id
    assert judge(answer, GroundTruth(track, 18.05, True), library.hop_s) == "place"
    assert judge(answer, GroundTruth(track, 18.2, True), library.hop_s) == "track"
    assert judge(answer, GroundTruth(track + 1, 18.0, True), library.hop_s) == "wrong"


def test_the_breaking_point_is_above_the_first_miss():
    def point(snr_db: float, right: bool) -> Point:
        return Point(snr_db, False, "place" if right else "wrong", right, 0.8, 0.5)

    fared = {10.0: True, 5.0: True, 0.0: False, -5.0: True}
    assert holds_until_db(point(*item) for item in fared.items()) == 5.0
    assert holds_until_db([point(10.0, False)]) is None
