"""Log-mel and windows: known values, silence, and whole = chunked = streamed."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from grafprint.fingerprint import Fingerprinter
from grafprint.models.encoders import ENCODERS
from grafprint.models.features import (
    FeatureConfig,
    LogMel,
    LogMelStream,
    count_windows,
    is_silent,
    mel_filters,
    normalise,
    slice_windows,
    stream_windows,
    windows,
)
from tests.paths import ROOT

CONFIG = FeatureConfig()
LOGMEL = LogMel(CONFIG)


def music(seconds: float, seed: int = 0) -> torch.Tensor:
    """Tones with vibrato, and noise, so that no two frames are alike."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * 16_000)) / 16_000
    tones = sum(np.sin(2 * np.pi * f * t * (1 + 0.01 * np.sin(t))) for f in (220, 554, 1318))
    return torch.from_numpy(0.1 * tones + 0.01 * rng.standard_normal(len(t))).float()


def test_one_second_is_exactly_one_window_of_table_i():
    assert windows(LOGMEL(torch.randn(16_000)), CONFIG).shape == (1, 3, 64, 32)
    assert CONFIG.hop_s == pytest.approx(0.096)


def test_mel_agrees_with_a_naive_computation():
    audio = music(0.5)
    padded = np.pad(audio.numpy().astype(np.float64), 512, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    mels = np.linspace(0, 2595 * math.log10(1 + 8000 / 700), 66)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = np.linspace(0, 8000, 513)
    mel = LOGMEL(audio)
    for frame in (0, 7, len(mel) - 1):
        spectrum = np.abs(np.fft.rfft(window * padded[512 * frame : 512 * frame + 1024])) ** 2
        for band in (0, 20, 63):
            low, centre, high = edges[band : band + 3]
            rise, fall = (bins - low) / (centre - low), (high - bins) / (high - centre)
            power = (np.maximum(0, np.minimum(rise, fall)) * spectrum).sum()
            assert mel[frame, band].item() == pytest.approx(
                10 * math.log10(max(power, 1e-10)), abs=0.02
            )


IN_USE = list(dict.fromkeys(entry.features for entry in ENCODERS.values()))


@pytest.mark.parametrize("config", [*IN_USE, FeatureConfig(n_fft=2048, f_min_hz=300, n_mels=80)])
def test_fallback_filters_are_torchaudios_bit_for_bit(config, monkeypatch):
    torchaudio = pytest.importorskip("torchaudio.functional")
    expected = torchaudio.melscale_fbanks(
        config.n_fft // 2 + 1, config.f_min_hz, config.f_max_hz, config.n_mels, 16_000
    )
    assert torch.equal(mel_filters(config), expected)
    monkeypatch.setitem(sys.modules, "torchaudio.functional", None)
    assert mel_filters(config).numpy().tobytes() == expected.numpy().tobytes()


@pytest.mark.parametrize("error", ["ImportError", "OSError", "RuntimeError", "AttributeError"])
def test_filters_are_the_same_if_torchaudio_fails_to_import(error, tmp_path, monkeypatch):
    expected = mel_filters(CONFIG)
    break_torchaudio(tmp_path, error)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(Exception, match="another PyTorch"):
        __import__("torchaudio")
    assert torch.equal(mel_filters(CONFIG), expected)


def test_fingerprints_without_torchaudio_are_the_same(tmp_path):
    break_torchaudio(tmp_path, "OSError")
    audio = music(1.5).numpy()
    np.save(tmp_path / "audio.npy", audio)
    code = """
import sys
import numpy as np
from grafprint.fingerprint import Fingerprinter
folder = sys.argv[1]
vectors = Fingerprinter.load(precision="fp32")(np.load(f"{folder}/audio.npy"))
np.save(f"{folder}/vectors.npy", vectors)
assert "torchaudio" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    expected = Fingerprinter.load(precision="fp32")(audio)
    np.testing.assert_array_equal(np.load(tmp_path / "vectors.npy"), expected)


def break_torchaudio(folder: Path, error: str) -> None:
    """Put a torchaudio into ``folder`` that raises ``error`` when it is imported."""
    (folder / "torchaudio.py").write_text(f"raise {error}('built for another PyTorch')\n")


def test_silence_is_finite_and_detected():
    mel = LOGMEL(torch.zeros(16_000))
    cut = slice_windows(mel, CONFIG)
    assert is_silent(cut, CONFIG).all()
    assert torch.equal(normalise(cut, CONFIG), torch.zeros_like(cut))


def test_amplitude_is_between_zero_and_one_whatever_the_gain():
    mel = LOGMEL(music(3))
    loud, soft = LOGMEL(music(3) * 2), LOGMEL(music(3) / 8)
    amplitude = windows(mel, CONFIG)[:, 2]
    assert amplitude.min() >= 0 and amplitude.max() == 1
    torch.testing.assert_close(windows(loud, CONFIG)[:, 2], amplitude, atol=1e-5, rtol=0)
    torch.testing.assert_close(windows(soft, CONFIG)[:, 2], amplitude, atol=1e-5, rtol=0)


def test_position_channels_rise_along_their_own_axis():
    x = windows(LOGMEL(music(2)), CONFIG)
    time, frequency = x[0, 0], x[0, 1]
    assert torch.equal(time[0], torch.linspace(0, 1, 32)) and torch.equal(time[0], time[63])
    assert torch.equal(frequency[:, 0], torch.linspace(0, 1, 64))


@pytest.mark.parametrize("samples", [513, 1024, 1025, 16_000, 16_383, 16_384, 50_000])
@pytest.mark.parametrize("chunk", [1, 511, 512, 1000, 7777, 100_000])
def test_chunked_frames_equal_whole_frames(samples: int, chunk: int):
    if chunk == 1:
        samples = min(samples, 2000)
    audio = music(4)[:samples]
    stream = LogMelStream(LOGMEL)
    parts = [stream.push(audio[i : i + chunk]) for i in range(0, samples, chunk)]
    streamed = torch.cat([*parts, stream.finish()])
    assert torch.equal(streamed, LOGMEL(audio))


def test_streamed_windows_equal_whole_windows():
    audio = music(7.3)
    parts = list(stream_windows(audio.split(5000), LOGMEL, batch=16))
    assert torch.equal(torch.cat([x for x, _ in parts]), windows(LOGMEL(audio), CONFIG))
    assert all(len(x) <= 16 for x, _ in parts)


def test_the_error_for_short_audio_gives_its_length():
    with pytest.raises(ValueError, match=r"0\.30 s.*at least 1 s"):
        list(stream_windows([torch.zeros(4800)], LOGMEL))
    with pytest.raises(ValueError, match="at least 513 samples"):
        LOGMEL(torch.zeros(100))


def test_count_windows_agrees_with_the_slices():
    for frames in range(20, 80):
        cut = slice_windows(torch.zeros(frames, 64), CONFIG)
        assert len(cut) == count_windows(frames, CONFIG)
