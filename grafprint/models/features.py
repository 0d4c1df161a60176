"""The encoders' input: log-mel spectrogram, positional channels, one-second windows.

The spectrogram is computed once per recording; windows are slices of it. Frame ``t`` is centred
on sample ``t * hop_length``, so a whole recording, the same recording in chunks
(:class:`LogMelStream`) and a live stream give the same frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.errors import AudioError


@dataclass(frozen=True)
class FeatureConfig:
    """Feature settings; the defaults are Table I and section II-A of the GraFPrint paper.

    Table I asks for a {1 s, 0.1 s} window and hop on a 64 x 32 spectrogram. With an STFT hop of
    32 ms the nearest hop on the frame grid is 3 frames (96 ms), as in the published code.
    """

    sample_rate_hz: int = 16_000
    n_fft: int = 1024
    hop_length: int = 512
    n_mels: int = 64
    f_min_hz: float = 0.0
    f_max_hz: float = 8000.0
    window_frames: int = 32
    hop_frames: int = 3
    # Amplitudes are clipped this far below the loudest bin of their own window, so that a window
    # depends neither on gain nor on other windows.
    dynamic_range_db: float = 80.0
    # A window whose loudest bin is below this counts as silence (about -68 dBFS for a sine).
    silence_db: float = -20.0

    @property
    def window_samples(self) -> int:
        """Samples of audio that give exactly one window: 16,000 (1 s), or more for longer windows.

        The frames' span, rounded up to 20 ms: 65,280 (4.08 s) for 128 frames.
        """
        grain = self.sample_rate_hz // 50
        span = (self.window_frames - 1) * self.hop_length
        return max(self.sample_rate_hz, math.ceil(span / grain) * grain)

    @property
    def window_s(self) -> float:
        """Length of a segment in seconds."""
        return self.window_samples / self.sample_rate_hz

    @property
    def hop_s(self) -> float:
        """Seconds between the starts of consecutive segments."""
        return self.hop_frames * self.hop_length / self.sample_rate_hz


class LogMel(nn.Module):
    """Log-power mel spectrogram in dB: periodic Hann window, power 2, HTK mels without norm.

    Input ``[..., samples]``, output ``[..., frames, n_mels]`` with
    ``frames = 1 + samples // hop_length`` when ``centre`` pads both ends by reflection.
    A floor of 1e-10 (-100 dB) keeps silence finite.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: FeatureConfig | None = None) -> None:
        super().__init__()
        self.config = config or FeatureConfig()
        c = self.config
        self.register_buffer("window", torch.hann_window(c.n_fft), persistent=False)
        self.register_buffer("filters", mel_filters(c), persistent=False)

    def forward(self, audio: Tensor, centre: bool = True) -> Tensor:
        """Mel spectrogram of ``audio [..., samples]``; raises ValueError below 513 samples.

        With ``centre=False`` nothing is padded: frame 0 is centred on sample ``n_fft / 2``.
        """
        half = self.config.n_fft // 2
        if audio.shape[-1] <= half:
            raise ValueError(f"at least {half + 1} samples are needed, got {audio.shape[-1]}")
        lead = audio.shape[:-1]
        flat = audio.reshape(-1, audio.shape[-1]).float()
        if centre:
            flat = F.pad(flat, (half, half), mode="reflect")
        frames = flat.unfold(-1, self.config.n_fft, self.config.hop_length)
        power = torch.fft.rfft(frames * self.window).abs().square()
        # In double precision: a product in single precision rounds differently with the number of
        # frames, and the last digit can decide which of two nodes is the nearer neighbour.
        mel = (power.double() @ self.filters.double()).float()
        return 10 * mel.clamp_min(1e-10).log10().reshape(*lead, mel.shape[1], mel.shape[2])


def mel_filters(config: FeatureConfig) -> Tensor:
    """Triangular filters ``[n_fft / 2 + 1, n_mels]``: HTK mels, peaks of 1 (no normalisation)."""
    c = config
    try:
        from torchaudio.functional import melscale_fbanks
    except Exception:  # not installed, or built for another PyTorch, which can raise anything
        melscale_fbanks = _melscale_fbanks
    filters = melscale_fbanks(c.n_fft // 2 + 1, c.f_min_hz, c.f_max_hz, c.n_mels, c.sample_rate_hz)
    return cast(Tensor, filters)


def _melscale_fbanks(
    n_freqs: int, f_min: float, f_max: float, n_mels: int, sample_rate: int
) -> Tensor:
    """``torchaudio.functional.melscale_fbanks`` with its default options, bit for bit.

    Keep the float32 operations and their order: fingerprints depend on every bit.
    """
    frequencies = torch.linspace(0, sample_rate // 2, n_freqs)
    low, high = (2595.0 * math.log10(1.0 + hz / 700.0) for hz in (f_min, f_max))
    edges = 700.0 * (10.0 ** (torch.linspace(low, high, n_mels + 2) / 2595.0) - 1.0)
    widths = edges[1:] - edges[:-1]
    slopes = edges - frequencies[:, None]
    rising = -1.0 * slopes[:, :-2] / widths[:-1]
    falling = slopes[:, 2:] / widths[1:]
    return torch.minimum(rising, falling).clamp_min(0)


def mel_bin_hz(bins: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Frequencies in Hz of mel bins, also fractional ones: bin 0 is the lowest filter's centre."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (config.f_min_hz, config.f_max_hz))
    mel = low + (high - low) * (np.asarray(bins) + 1) / (config.n_mels + 1)
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


class LogMelStream:
    """The same frames as :class:`LogMel`, for audio in pieces, in bounded memory."""

    def __init__(self, logmel: LogMel) -> None:
        self.logmel = logmel
        self._half = logmel.config.n_fft // 2
        self._pending = torch.zeros(0)
        self._started = False

    def push(self, chunk: Tensor) -> Tensor:
        """Take samples ``[n]`` and return the frames ``[m, n_mels]`` that are now complete."""
        self._pending = torch.cat([self._pending, chunk.float()])
        if not self._started:
            if len(self._pending) <= self._half:
                return self._empty()
            self._pending = _reflect(self._pending, self._half, 0)
            self._started = True
        return self._drain(held=1)

    def finish(self) -> Tensor:
        """Return the last frames, padded by reflection as :class:`LogMel` does."""
        if not self._started:
            raise ValueError(f"at least {self._half + 1} samples are needed")
        self._pending = _reflect(self._pending, 0, self._half)
        return self._drain(held=0)

    def _drain(self, held: int) -> Tensor:
        c = self.logmel.config
        # A frame waits for one sample more than it needs, so that the remaining tail always has
        # the more than n_fft / 2 samples that finish() reflects.
        n = (len(self._pending) - held - c.n_fft) // c.hop_length + 1
        if n <= 0:
            return self._empty()
        frames = self.logmel(self._pending[: (n - 1) * c.hop_length + c.n_fft], centre=False)
        self._pending = self._pending[n * c.hop_length :]
        return cast(Tensor, frames)

    def _empty(self) -> Tensor:
        return torch.zeros(0, self.logmel.config.n_mels)


def _reflect(audio: Tensor, left: int, right: int) -> Tensor:
    return F.pad(audio[None], (left, right), mode="reflect")[0]


def count_windows(frames: int, config: FeatureConfig) -> int:
    """Number of whole windows in ``frames`` frames."""
    return max(0, (frames - config.window_frames) // config.hop_frames + 1)


def count_frames(windows: int, config: FeatureConfig) -> int:
    """Number of frames in ``windows`` windows, at least one: inverse of :func:`count_windows`."""
    return config.window_frames + config.hop_frames * (windows - 1)


def require_a_window(samples: int, config: FeatureConfig) -> None:
    """Raise ValueError if ``samples`` samples are shorter than one segment."""
    if samples < config.window_samples:
        raise AudioError(
            f"the audio lasts {samples / config.sample_rate_hz:.2f} s; "
            f"at least {config.window_s:g} s is needed"
        )


def slice_windows(logmel: Tensor, config: FeatureConfig) -> Tensor:
    """Cut ``[frames, n_mels]`` into overlapping windows ``[n, n_mels, window_frames]`` (a view)."""
    if logmel.shape[0] < config.window_frames:
        return logmel.new_zeros(0, config.n_mels, config.window_frames)
    return logmel.unfold(0, config.window_frames, config.hop_frames)


def normalise(segments: Tensor, config: FeatureConfig) -> Tensor:
    """Scale each window ``[..., n_mels, frames]`` from dB to [0, 1], relative to its own peak.

    The loudest bin is 1 and anything ``dynamic_range_db`` below it is 0. The published code
    divides by (max - min) without an epsilon, which makes silence NaN; here a silent window is
    all zeros, and a window just above silence fades in.
    """
    peak = segments.amax(dim=(-2, -1), keepdim=True).clamp_min(config.silence_db)
    return ((segments - peak) / config.dynamic_range_db + 1).clamp_min(0)


def is_silent(segments: Tensor, config: FeatureConfig) -> Tensor:
    """Whether no bin of a window ``[..., n_mels, frames]`` in dB reaches ``silence_db``."""
    return segments.amax(dim=(-2, -1)) < config.silence_db


def add_positions(amplitude: Tensor) -> Tensor:
    """Stack time index, frequency index (both 0..1) and amplitude: ``[n, F, T] -> [n, 3, F, T]``.

    From section II-A of the paper, with the channel order of the published code.
    """
    n, f, t = amplitude.shape
    time = torch.linspace(0, 1, t, device=amplitude.device).expand(n, f, t)
    frequency = torch.linspace(0, 1, f, device=amplitude.device)[:, None].expand(n, f, t)
    return torch.stack([time, frequency, amplitude], dim=1)


def windows(logmel: Tensor, config: FeatureConfig) -> Tensor:
    """Encoder input ``[n, 3, n_mels, window_frames]`` from a log-mel ``[frames, n_mels]``."""
    return add_positions(normalise(slice_windows(logmel, config), config))


class WindowStream:
    """Encoder inputs from audio that arrives in pieces, at most ``batch`` windows at once.

    Yields ``(inputs [n, 3, n_mels, window_frames], silent [n])``; concatenated, they equal
    :func:`windows` and :func:`is_silent` of the whole recording.
    """

    def __init__(self, logmel: LogMel, batch: int = 256) -> None:
        self._config, self._batch = logmel.config, batch
        self._stream = LogMelStream(logmel)
        self._pending = torch.zeros(0, self._config.n_mels)

    def push(self, chunk: Tensor, least: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Take samples ``[n]``; yield the windows now complete, if there are ``least`` or more."""
        self._pending = torch.cat([self._pending, self._stream.push(chunk)])
        yield from self._ready(least)

    def finish(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the last windows. Raises ValueError if there are too few samples for a frame."""
        self._pending = torch.cat([self._pending, self._stream.finish()])
        yield from self._ready(1)

    def _ready(self, least: int) -> Iterator[tuple[Tensor, Tensor]]:
        c = self._config
        while (n := min(self._batch, count_windows(len(self._pending), c))) >= least:
            segments = slice_windows(self._pending, c)[:n]
            yield add_positions(normalise(segments, c)), is_silent(segments, c)
            self._pending = self._pending[n * c.hop_frames :]


def stream_windows(
    chunks: Iterable[Tensor], logmel: LogMel, batch: int = 256
) -> Iterator[tuple[Tensor, Tensor]]:
    """Run a whole recording through :class:`WindowStream`, ``batch`` windows at a time.

    Raises ValueError if the audio is shorter than one segment.
    """
    stream = WindowStream(logmel, batch)
    samples = 0
    for chunk in chunks:
        samples += len(chunk)
        yield from stream.push(chunk, least=batch)
    require_a_window(samples, logmel.config)
    yield from stream.finish()
