"""What the tab Degrade does, without its page: values, recordings, truth, one channel, reports."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from demo.clips import Clip, ClipError, from_file, from_track
from demo.degrade import breaking
from demo.degrade.chain import degrade_clip, one_channel, prepare
from demo.degrade.chain import verdict as verdict_card
from demo.degrade.recordings import Recordings
from demo.degrade.values import (
    LEFT,
    NAMES,
    NONE,
    OWN,
    RECORDED,
    SIMULATED,
    Own,
    Values,
    changed,
    describe,
    of_preset,
    plan,
)
from demo.identifier import Identifier
from demo.studio import Studio
from grafprint import audio
from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.evaluation.breaking_point import SNRS_DB, Point

RATE = audio.SAMPLE_RATE
PLAIN = Values("cafe", 10, NONE, 0.5, 100, 0, 8000, 100, NONE, 0)


def test_recorded_noises_and_rooms_come_from_the_folders(studio: Studio, tmp_path: Path):
    noise, room = tmp_path / "noise", tmp_path / "rooms"
    noise.mkdir()
    room.mkdir()
    wavfile.write(noise / "fan.wav", RATE, synthetic_noise.noise("machine", RATE, 0))
    wavfile.write(room / "hall.wav", RATE, synthetic_rooms.room(0.8, np.random.default_rng(0)))
    (room / "broken.wav").write_text("not a room")
    recorded = Recordings.of(Studio(studio.fingerprinter, studio.home, noise=noise, rooms=room))
    assert set(recorded.noises) == {"fan"} and set(recorded.rooms) == {"hall", "broken"}
    values = Values(RECORDED + "fan", 0, RECORDED + "hall", 0.5, 100, 0, 8000, 100, NONE, 0)
    steps = plan(values, Own(), recorded)
    assert len(steps.noise) == 1 and isinstance(steps.room, np.ndarray)
    with pytest.raises(ClipError, match=r"^cannot read 'broken.wav'"):
        recorded.room("broken")
    with pytest.raises(ClipError, match="no recording “"):
        recorded.noise("../x")
    with pytest.raises(ClipError, match="room response first"):
        plan(Values("cafe", 0, OWN, 0.5, 100, 0, 8000, 100, NONE, 0), Own(), recorded)


def test_the_truth_is_where_a_clip_of_this_library_was_cut(identifier: Identifier):
    track = identifier.library.tracks("Musicbox")[0]
    clip = from_track(identifier.library, track, 20.0, 12.0)
    source = prepare(identifier, clip, clip, ())
    assert source.truth and source.truth.given and source.clip.duration_s == 10
    elsewhere = Clip(clip.samples, "of another library", past=clip.past, place=(track.id, 3.0))
    guess = prepare(identifier, elsewhere, elsewhere, ()).truth
    assert guess and not guess.given and guess.start_s == pytest.approx(20, abs=0.05)
    rng = np.random.default_rng(0)
    hiss = Clip(rng.normal(0, 0.1, 3 * RATE).astype(np.float32), "hiss")
    assert prepare(identifier, hiss, hiss, ()).truth is None


def test_a_degraded_clip_has_no_clean_past(identifier: Identifier):
    track = identifier.library.tracks("Musicbox")[0]
    clip = from_track(identifier.library, track, 20.0, 3.0)
    values = Values("rain", 5, SIMULATED, 0.3, 100, 0, 8000, 100, NONE, 0)
    degraded = degrade_clip(clip, plan(values, Own(), Recordings({}, {})))
    assert len(degraded.past) == 0 and degraded.place == clip.place
    assert degraded.samples.shape == clip.samples.shape


def test_the_report_says_where_the_clip_is_still_found():
    points = [
        Point(snr, reverb, "place" if snr > 0 else "wrong", snr > 0, 0.8 if snr > 0 else 0.4, 0.5)
        for snr in SNRS_DB
        for reverb in (False, True)
    ]
    html = breaking.report(points, PLAIN, "<b>Title</b>", given=False)
    assert "Without a room, it is found down to 2.5 dB." in html and "<b>Title" not in html
    assert "café at every SNR." in html and "the clean clip is identified as" in html
    assert "Tested 4 of 34" in breaking.report(points[:4], PLAIN, "Title", given=True)


def test_one_channel_of_a_stereo_clip_is_played_alone(identifier: Identifier, tmp_path: Path):
    rng = np.random.default_rng(0)
    both = rng.normal(0, 0.1, (3 * RATE, 2))
    wavfile.write(tmp_path / "stereo.wav", RATE, (both * 32767).astype(np.int16))
    clip = from_file(str(tmp_path / "stereo.wav"))
    source = prepare(identifier, clip, clip, ())
    assert source.stereo and one_channel(source.clip, None) is source.clip
    for channel in (0, 1):
        alone = one_channel(source.clip, channel)
        np.testing.assert_allclose(alone.samples, both[:, channel], atol=1e-4)
    track = identifier.library.tracks("Musicbox")[0]
    mono = from_track(identifier.library, track, 20.0, 3.0)
    assert not prepare(identifier, mono, mono, ()).stereo and one_channel(mono, 0) is mono
    later = replace(clip, samples=clip.samples[RATE:], past=clip.samples[:RATE], offset_s=1.0)
    right = one_channel(later, 1)
    np.testing.assert_allclose(right.past, both[:RATE, 1], atol=1e-4)
    np.testing.assert_allclose(right.samples, both[RATE:, 1], atol=1e-4)
    (tmp_path / "stereo.wav").unlink()
    assert one_channel(clip, 0) is clip  # deleted after an hour: the mix is still there


def test_every_value_reaches_the_degradation():
    """A change of any control changes what is done, but for those of parts that are off."""
    recorded, own = Recordings({}, {}), Own()
    on = replace(
        of_preset("club"), second="rain", codec="opus 6 kbit/s", suppression_db=9.0, speed=2.0
    )
    other: dict[str, object] = {
        "noise": "rain", "room": NONE, "codec": NONE, "second": NONE, "noise_in_room": False,
        "wet": 50.0, "clip_at": 50.0,
    }  # fmt: skip
    first = plan(on, own, recorded)
    for name in set(NAMES) - {"channel"}:
        value = other[name] if name in other else getattr(on, name) + 1
        assert vars(plan(changed(on, {name: value}), own, recorded)) != vars(first), name


def test_the_settings_in_words():
    assert describe(of_preset(NONE)) == ""
    assert describe(PLAIN) == "Café at 10 dB."
    words = describe(replace(of_preset("laptop in a café"), channel=LEFT, speed=-3.0))
    assert words.startswith("Speed −3 %; loudspeaker: left channel only, from 500 Hz, tilt +15 dB")
    assert "room of RT60 0.7 s; café and babble of voices at −2.5 dB" in words


def test_changes_by_name_are_checked():
    assert changed(PLAIN, {"tilt_db": 3, "second": "rain"}).second == "rain"
    for wrong in ({"noise": 3}, {"tilt_db": "much"}, {"tilt_db": None}, {"tilt_db": float("nan")}):
        with pytest.raises(ClipError, match="must be a"):
            changed(PLAIN, wrong)


def test_a_faster_clip_is_judged_by_where_it_begins(identifier: Identifier):
    track = identifier.library.tracks("Musicbox")[0]
    clip = from_track(identifier.library, track, 20.0, 5.0)
    source = prepare(identifier, clip, None, ())
    steps = plan(Values(speed=1.0), Own(), Recordings({}, {}))
    degraded = degrade_clip(clip, steps)
    assert degraded.duration_s == pytest.approx(5 / 1.01, abs=0.01)
    assert "That is right" in verdict_card(identifier, source, degraded, steps)
