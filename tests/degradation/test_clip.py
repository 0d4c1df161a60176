"""Degrading one clip: the same result as in training, without delay, at an exact SNR."""

import numpy as np
import pytest
import torch

from grafprint import audio
from grafprint.degradation import (
    Degradation,
    Loudspeaker,
    Recorder,
    degrade,
    preset,
    synthetic_noise,
    synthetic_rooms,
)
from grafprint.degradation.augmentation import Degrade, DegradeConfig
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.chosen import mix_with_dry
from grafprint.degradation.effects import prepare_rir
from grafprint.degradation.filters import apply_gain_db, filter_hertz
from grafprint.degradation.rerecording import PRESETS, Rerecord, RerecordingConfig
from grafprint.degradation.settings import CODEC_NAMES
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
    # The past may be spoilt a little by what wraps around, so its power differs.
    np.testing.assert_allclose(degraded, expected, atol=2e-5)


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
    click = np.zeros(16_000, np.float32)
    click[8000] = 0.5
    limited = degrade(click, Degradation(low_hz=300, high_hz=3400))
    assert np.abs(limited).argmax() == 8000
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(limited)))
    gain_db -= gain_db[1000]
    assert gain_db[300] == pytest.approx(-3, abs=0.2) == gain_db[3400]
    assert gain_db[75] == pytest.approx(-24, abs=0.5)
    assert gain_db[6800] == pytest.approx(-24, abs=0.5)
    flat = apply_gain_db(torch.from_numpy(click)[None], torch.zeros(len(filter_hertz(16_000))))
    np.testing.assert_allclose(flat[0], click, atol=1e-6)


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
        ({"room": 9.0}, "0.2 to 4 s, not 9"),
        ({"room": float("nan")}, "0.2 to 4 s"),
        ({"speed": 0.2}, "0.5 to 2 times"),
        ({"semitones": float("nan")}, "12 semitones"),
        ({"second_noise_db": float("inf")}, "second noise"),
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


@pytest.fixture(scope="module")
def rerecorded(music: np.ndarray) -> dict[str, np.ndarray]:
    """The clip through each part alone."""
    return {name: degrade(music, wanted) for name, wanted in ALONE.items()}


ALONE = {
    "high-pass": Degradation(loudspeaker=Loudspeaker(high_pass_hz=500)),
    "tilt": Degradation(loudspeaker=Loudspeaker(tilt_db=20)),
    "resonances": Degradation(loudspeaker=Loudspeaker(resonance_db=12)),
    "distortion": Degradation(loudspeaker=Loudspeaker(drive=3)),
    "uneven microphone": Degradation(recorder=Recorder(uneven_db=3)),
    "hiss": Degradation(recorder=Recorder(hiss_db=-15)),
    "suppression": Degradation(recorder=Recorder(suppression_db=15)),
    "gain control": Degradation(recorder=Recorder(gain_control=1)),
    "limiter": Degradation(recorder=Recorder(limiter=3)),
}


@pytest.mark.parametrize("part", ALONE)
def test_every_part_can_be_chosen_alone_and_delays_nothing(
    part: str, music: np.ndarray, rerecorded: dict[str, np.ndarray]
):
    heard = rerecorded[part]
    assert heard.shape == music.shape and heard.dtype == np.float32
    assert np.abs(heard - music).max() > 1e-3
    lag, agreement = best_lag(heard, music)
    assert abs(lag) <= 4 and agreement > 0.5
    np.testing.assert_array_equal(heard, degrade(music, ALONE[part]))


def test_chosen_settings_give_what_training_draws_from_ranges_of_one_value(music: np.ndarray):
    """One chain: what has no part that is always drawn is equal, sample by sample."""
    config = RerecordingConfig(
        high_pass_hz=(300.0, 300.0), high_pass_db=(36.0, 36.0), tilt_db=(9.0, 9.0),
        resonance_db=0.0, distortion_probability=0.0, room_probability=1.0, synthetic_rooms=0.0,
        noise_probability=1.0, second_noise_probability=0.0, snr_db=(3.0, 3.0),
        microphone_probability=1.0, microphone_low_hz=(100.0, 100.0),
        microphone_high_hz=(5000.0, 5000.0), microphone_db=0.0, hiss_probability=0.0,
        suppression_probability=0.0, gain_control_probability=0.0, limiter_probability=0.0,
        coarse_probability=0.0,
    )  # fmt: skip
    # This noise is constant, so it does not matter which part of it is drawn; an impulse as a room
    # stays one at every place in it.
    noises, impulse = NoiseBank([np.ones(1)]), np.ones(1, np.float32)
    rooms = RoomBank([impulse])
    # All of it is the segment, because the two measure the SNR differently otherwise; and quiet,
    # so that it is not attenuated.
    quiet = 0.1 * music
    drawn = Rerecord(config, 0, noises, rooms)(torch.from_numpy(quiet)[None], torch.Generator())
    wanted = Degradation(
        3.0, noises, impulse, low_hz=100, high_hz=5000, noise_in_room=True,
        loudspeaker=Loudspeaker(high_pass_hz=300, high_pass_db=36, tilt_db=9),
    )  # fmt: skip
    np.testing.assert_allclose(degrade(quiet, wanted), drawn[0], atol=1e-6)


def test_one_setting_leaves_what_the_seed_draws_for_the_others(music: np.ndarray):
    """The noise that is added stays the same when the loudspeaker starts to distort."""

    def added(**parts: float) -> np.ndarray:
        speaker = Loudspeaker(**parts)
        noisy, clean = (
            degrade(0.1 * music, Degradation(snr, "babble", loudspeaker=speaker))
            for snr in (0.0, None)
        )
        return noisy - clean

    assert np.corrcoef(added(), added(drive=2.0, resonance_db=6.0))[0, 1] > 0.9999


def test_noises_ring_in_the_room_only_if_they_stand_in_it(music: np.ndarray):
    click = np.zeros(5 * RATE, np.float32)
    click[0] = 1.0
    bank = NoiseBank([click])

    def added(in_room: bool) -> np.ndarray:
        noisy, clean = (
            degrade(0.02 * music, Degradation(snr, bank, room=0.8, noise_in_room=in_room))
            for snr in (0.0, None)
        )
        return np.square(noisy - clean)

    for rings, sound in ((rings, added(rings)) for rings in (False, True)):
        peak = sound.argmax()
        late = sound[peak + 800 : peak + 8000].sum() / sound[peak : peak + 8000].sum()
        assert (late > 0.05) == rings


def test_the_snr_is_that_of_both_noises(music: np.ndarray):
    wanted = Degradation(-10.0, "street", second_noise="street", second_noise_db=0.0)
    quiet = 0.01 * music
    both = degrade(quiet, wanted) - quiet
    assert level_db(quiet) - level_db(both) == pytest.approx(-10, abs=0.01)
    one = degrade(quiet, Degradation(-10.0, "street")) - quiet
    # Two parts of equal level, of which one is the first noise.
    assert np.corrcoef(both, one)[0, 1] == pytest.approx(np.sqrt(0.5), abs=0.1)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_from_the_ranges_of_training(name: str, music: np.ndarray):
    config, wanted = PRESETS[name], preset(name, seed=3)
    assert wanted.seed == 3 and wanted.snr_db is not None
    for value, (low, high) in (
        (wanted.snr_db, config.snr_db),
        (wanted.loudspeaker.high_pass_hz, config.high_pass_hz),
        (wanted.loudspeaker.tilt_db, config.tilt_db),
    ):
        assert low <= value <= high
    heard = degrade(music[2 * RATE :], wanted, music[: 2 * RATE])
    assert np.isfinite(heard).all() and heard.std() > 0.01


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="no preset 'cinema'; there are: phone across the room"):
        preset("cinema")


@pytest.mark.parametrize(
    "settings", [{"high_pass_hz": -1.0}, {"high_pass_db": 0.0}, {"tilt_db": float("nan")},
                 {"resonance_db": -3.0}, {"drive": float("inf")}],
)  # fmt: skip
def test_impossible_loudspeakers_are_refused(settings: dict):
    with pytest.raises(ValueError, match=r"^the loudspeaker's .* must be .* to .*, not"):
        Loudspeaker(**settings)


@pytest.mark.parametrize(
    "settings", [{"uneven_db": -1.0}, {"hiss_db": float("nan")}, {"suppression_db": 100.0},
                 {"gain_control": 1.1}, {"limiter": -1.0}],
)  # fmt: skip
def test_impossible_recorders_are_refused(settings: dict):
    with pytest.raises(ValueError, match=r"must be .* to .*, not"):
        Recorder(**settings)


def test_a_faster_clip_is_shorter_and_begins_at_the_same_place(music: np.ndarray):
    past, clip = music[: 2 * RATE], music[2 * RATE :]
    fast = degrade(clip, Degradation(speed=1.25), past)
    assert len(fast) == len(clip) / 1.25
    again = degrade(fast, Degradation(speed=0.8))
    lag, agreement = best_lag(again, clip)
    # Above 6.4 kHz it is lost.
    assert abs(lag) <= 1 and agreement > 0.99


def test_the_pitch_is_shifted_without_the_tempo():
    time = np.arange(2 * RATE) / RATE
    tone = (0.3 * np.sin(2 * np.pi * 440 * time) * (time % 0.5 < 0.25)).astype(np.float32)
    shifted = degrade(tone, Degradation(semitones=3.0))
    assert len(shifted) == len(tone)
    peak_hz = np.abs(np.fft.rfft(shifted)).argmax() / 2
    assert peak_hz == pytest.approx(440 * 2**0.25, abs=3)
    before, after = (np.convolve(np.abs(x), np.ones(800) / 800, "same") for x in (tone, shifted))
    assert np.abs(after - before).mean() < 0.02 * before.mean()
