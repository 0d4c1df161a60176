"""Tagging clips of any length: windows, silence, short clips, other sample rates, calibration."""

from pathlib import Path

import numpy as np
import pytest
import torch

from grafprint import audio
from grafprint.errors import AudioError, CheckpointError, ConfigError
from grafprint.models.taggers import load_tagger
from grafprint.tagging import DEFAULT_TAGGER, ClipTagger
from tests import audio_files, taggers
from tests.training.labelled_clips import LABELS, clip

RATE = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> ClipTagger:
    return ClipTagger.load(taggers.save(tmp_path_factory.mktemp("tagger") / "t.safetensors"))


def samples(label: str, seconds: float, number: int = 20) -> np.ndarray:
    return clip(label, number, seconds).astype(np.float32)


@pytest.mark.parametrize("label", LABELS)
def test_a_clip_is_what_it_sounds_like(tagger: ClipTagger, label: str):
    found = tagger.tag(samples(label, 5.0), hop_s=1.0)
    best = found.tags(top=1)[0]
    assert best.label == label and best.probability > 0.5 >= found.tags()[1].probability
    assert not found.is_silent and found.duration_s == 5.0


def test_the_probabilities_over_time_say_when(tagger: ClipTagger):
    both = np.concatenate([samples("Hum", 6.0), samples("Hiss", 4.0)])
    found = tagger.tag(both, hop_s=1.0)
    hum, hiss, _ = (found.windows[:, LABELS.index(name)] for name in ("Hum", "Hiss", "Music"))
    middles = (found.begins_s + found.ends_s) / 2
    assert (hum > hiss)[middles < 4.5].all() and (hiss > hum)[middles > 7.5].all()
    # The parts that the windows stand for are the clip, each once.
    assert found.begins_s[0] == 0 and found.ends_s[-1] == 10
    np.testing.assert_array_equal(found.begins_s[1:], found.ends_s[:-1])
    assert (found.ends_s > found.begins_s).all()
    whole = (found.ends_s - found.begins_s) @ found.windows / 10
    np.testing.assert_allclose(found.probabilities, whole, rtol=1e-5)
    begin, end = found.tags(top=3)[0].peak_s
    assert 0 <= begin < end <= 10


def test_chunks_make_no_difference(tagger: ClipTagger):
    music = samples("Music", 7.3)
    whole = tagger.tag(music, hop_s=0.7)
    parts = tagger.tag_stream(np.split(music, [10, 11, 40_000, 90_000]), hop_s=0.7)
    np.testing.assert_array_equal(whole.windows, parts.windows)
    np.testing.assert_array_equal(whole.begins_s, parts.begins_s)


def test_the_last_window_ends_with_the_clip(tagger: ClipTagger):
    size = tagger.window_samples
    hiss_at_the_end = np.concatenate([samples("Hum", 4.3), samples("Hiss", taggers.WINDOW_S)])
    found = tagger.tag(hiss_at_the_end, hop_s=taggers.WINDOW_S)
    alone, _ = tagger.probabilities(hiss_at_the_end[None, -size:])
    np.testing.assert_allclose(found.windows[-1], alone[0], rtol=1e-4)
    assert len(found.windows) == 4
    # A clip of exactly one window is one window.
    assert len(tagger.tag(hiss_at_the_end[:size]).windows) == 1
    assert len(tagger.tag(hiss_at_the_end[: size + 1]).windows) == 2


def test_a_clip_shorter_than_a_window_is_padded(tagger: ClipTagger):
    short = samples("Hiss", 0.2)
    found = tagger.tag(short)
    padded, _ = tagger.probabilities(np.pad(short, (0, tagger.window_samples - len(short)))[None])
    np.testing.assert_array_equal(found.windows, padded)
    assert found.duration_s == 0.2 and len(found.tags()) == len(LABELS)
    assert len(tagger.tag(np.ones(1, np.float32)).tags()) == len(LABELS)  # a single sample


def test_silence_has_no_labels(tagger: ClipTagger):
    silence = tagger.tag(np.zeros(5 * RATE, np.float32))
    assert silence.is_silent and silence.tags() == [] and not silence.probabilities.any()
    assert silence.to_json(over_time=True)["tags"] == []
    # Silence around a sound does not make it less likely.
    around = np.zeros(20 * RATE, np.float32)
    around[8 * RATE : 11 * RATE] = samples("Hiss", 3.0)
    found = tagger.tag(around, hop_s=1.0)
    assert found.silent.any() and not found.silent.all()
    assert not found.windows[found.silent].any()
    weights = (found.ends_s - found.begins_s) * ~found.silent
    np.testing.assert_allclose(
        found.probabilities, weights @ found.windows / weights.sum(), rtol=1e-5
    )


def test_files_of_any_sample_rate_are_tagged(tagger: ClipTagger, tmp_path: Path):
    for rate in (8000, 44_100):
        path = tmp_path / f"{rate}.wav"
        audio_files.write(path, audio_files.music(6.0, rate, 2), rate, "pcm_s16le")
        assert tagger.tag_file(path, hop_s=1.0).tags(top=1)[0].label == "Music"
    part = tagger.tag_file(path, start_s=1.0, duration_s=2.0)
    assert part.duration_s == 2.0


def test_what_cannot_be_tagged_is_refused(tagger: ClipTagger, tmp_path: Path):
    with pytest.raises(AudioError, match="the audio is empty"):
        tagger.tag(np.empty(0, np.float32))
    with pytest.raises(AudioError, match="NaN or infinite"):
        tagger.tag(np.array([0, np.nan], np.float32))
    with pytest.raises(AudioError, match="mono audio"):
        tagger.tag(np.zeros((2, 3), np.float32))
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(AudioError):
        tagger.tag_file(tmp_path / "text.wav")
    for hop_s in (0.0, -1.0, 3.0, float("nan")):
        with pytest.raises(ConfigError, match="the hop is above 0"):
            tagger.tag(np.ones(RATE, np.float32), hop_s)


def test_an_hour_is_tagged_in_bounded_memory(tagger: ClipTagger):
    """What is held at a time is a window and a chunk, however long the clip is."""
    held = []
    hour, chunk = 3600, samples("Hum", 30.0)

    def chunks():
        for _ in range(hour // 30):
            yield chunk

    probabilities = tagger.probabilities

    def watch(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        held.append(windows.size)
        return probabilities(windows)

    tagger.probabilities = watch  # type: ignore[method-assign]
    try:
        found = tagger.tag_stream(chunks(), hop_s=taggers.WINDOW_S)
    finally:
        del tagger.probabilities
    assert found.duration_s == hour and found.ends_s[-1] == hour
    assert len(found.windows) == pytest.approx(hour / taggers.WINDOW_S, abs=2)
    assert max(held) <= 4 * tagger.window_samples


def test_calibrated_probabilities_are_of_scaled_logits(tmp_path: Path):
    plain = taggers.save(tmp_path / "plain.safetensors")
    scale, bias = [0.5, 2.0, 1.0], [0.0, -1.0, 3.0]
    given = {"scale": scale, "bias": bias}
    file = taggers.save(tmp_path / "calibrated.safetensors", calibration=given)
    music = samples("Music", taggers.WINDOW_S)
    tagger, calibrated = ClipTagger.load(plain), ClipTagger.load(file)
    with torch.inference_mode():
        logits = load_tagger(plain).network(tagger.inputs(music[None])[0])[0]
    expected = (torch.tensor(scale) * logits + torch.tensor(bias)).sigmoid()
    np.testing.assert_allclose(calibrated.tag(music).probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(tagger.tag(music).probabilities, logits.sigmoid(), atol=1e-5)
    # They are other tags, so they are another tagger.
    assert tagger.tagger_id != calibrated.tagger_id
    assert tagger.tagger_id == ClipTagger.load(plain).tagger_id
    for wrong in ({"scale": [1.0]}, {"scale": scale, "bias": [1.0]}, {"scale": scale, "bias": 3},
                  {"scale": scale, "bias": [0.0, 0.0, float("inf")]}):  # fmt: skip
        file = taggers.save(tmp_path / "wrong.safetensors", calibration=wrong)
        with pytest.raises(CheckpointError, match="calibration"):
            ClipTagger.load(file)


def test_broken_weights_are_told(tmp_path: Path):
    tagger = ClipTagger.load(taggers.save(tmp_path / "t.safetensors"))
    with torch.no_grad():
        tagger.network.readout.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        tagger.tag(np.ones(RATE, np.float32))


def test_without_a_bundled_tagger_the_message_says_what_to_do(monkeypatch, tmp_path: Path):
    monkeypatch.setattr("grafprint.tagging.tagger.DEFAULT_TAGGER", tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match=r"--tagger .*docs/tagging\.md"):
        ClipTagger.load()
    with pytest.raises(CheckpointError, match=r"other\.safetensors: there is no such file"):
        ClipTagger.load(tmp_path / "other.safetensors")
    assert DEFAULT_TAGGER.name == "tagger.safetensors"
