"""Read audio in any format as mono float32 samples at 16 kHz, in chunks if it is long."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import ArrayLike, NDArray

from grafprint.audio import decoding
from grafprint.audio.clock import Clock
from grafprint.audio.downmix import Downmix
from grafprint.errors import AudioError

__all__ = [
    "AUDIO_SUFFIXES",
    "SAMPLE_RATE",
    "AudioError",
    "AudioInfo",
    "Resampler",
    "from_array",
    "load",
    "probe",
    "stream",
]

SAMPLE_RATE = 16_000

# Files that count as audio in a folder: the usual suffixes of the formats that decoding.py opens.
AUDIO_SUFFIXES = frozenset(
    f".{ending}"
    for endings in (
        "wav wave bwf rf64 w64 flac mp3 mp2 mpga mpa ogg oga opus spx m4a m4b m4r 3ga aac adts aif",
        "aiff aifc caf au snd wma asf wv ape mpc tta tak shn ac3 eac3 dts dtshd thd mlp amr awb",
        "voc dsf dff oma sph nist rm ra mka weba webm mkv mp4 m4v mov qt avi wmv flv f4v mpg",
        "mpeg vob ts m2ts mts mxf nut 3gp 3g2 ogv ogx",
    )
    for ending in endings.split()
)

# Up to here it may be integers turned into floats without scaling; beyond, powers would overflow.
MAX_PEAK = 1e10

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AudioInfo:
    """Facts from the header of a file.

    ``duration_s`` is None if the header does not say; for some MP3 and AAC files it is an
    estimate. ``codec`` is FFmpeg's name, such as ``flac``, ``opus`` or ``pcm_s16le``.
    """

    duration_s: float | None
    sample_rate_hz: int
    channels: int
    codec: str


_BATCH_S = 0.3  # frames are short: so much is mixed and resampled together


class Resampler:
    """Band-limited conversion of a mono signal to 16 kHz, piece by piece and without seams.

    The output does not depend on how the input is cut into pieces, and is not delayed: output
    sample ``n`` is the input at second ``n / 16000``. This is FFmpeg's polyphase filter with 128
    taps (at the lower of the two rates). Its default of 32 taps aliases frequencies above 8 kHz at
    -13 dB and loses 3 dB at 7.5 kHz; with 128 taps this is below -50 dB and 0.1 dB.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._swr: av.AudioResampler | None = None
        if sample_rate_hz != SAMPLE_RATE:
            self._swr = av.AudioResampler(
                format="flt", layout="mono", rate=SAMPLE_RATE, options={"filter_size": "128"}
            )

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert the next piece, float32 [n]; the output lags behind and may be empty."""
        if self._swr is None or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples)[None], format="flt", layout="mono"
        )
        frame.sample_rate = self._rate_hz
        return _join([out.to_ndarray()[0] for out in self._swr.resample(frame)])

    def flush(self) -> NDArray[np.float32]:
        """The last samples, after all pieces. Inputs under 8 ms in total give none."""
        if self._swr is None:
            return _join([])
        return _join([out.to_ndarray()[0] for out in self._swr.resample(None)])


def load(
    path: str | os.PathLike[str],
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    channel: int | None = None,
) -> NDArray[np.float32]:
    """Decode a file, or ``duration_s`` seconds of it from ``start_s`` on.

    Returns mono float32 [samples] at 16 kHz: the mean of all channels, or one ``channel`` (0: left,
    1: right; the last one if there are fewer), resampled. Where the channels cancel each other,
    :class:`~grafprint.audio.downmix.Downmix` chooses another mix. The result is shorter than
    ``duration_s`` if the file ends earlier. Raises :class:`AudioError` like :func:`stream`.
    """
    return _join(list(stream(path, start_s=start_s, duration_s=duration_s, channel=channel)))


def stream(
    path: str | os.PathLike[str],
    *,
    chunk_s: float = 30.0,
    start_s: float = 0.0,
    duration_s: float | None = None,
    channel: int | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Yield the samples of :func:`load` in chunks of ``chunk_s`` seconds, the last maybe shorter.

    Memory is bounded however long the file is. Times are those of the file's own clock, as in a
    player: sound that begins late begins after silence. ``start_s`` is exact to the sample:
    everything before is decoded and dropped, since seeking is inexact in most compressed formats.

    Holes in the timestamps, where a recorder was muted or a part does not decode, become silence
    (over 10 s: if the length in the header leaves room for it; over an hour: never);
    otherwise they are skipped. A file that is cut off gives what is there. Both are logged as
    warnings. Raises :class:`AudioError` (at the first chunk, or at the place of the fault) if the
    file is missing, empty or not audio, if nothing in it decodes, if it holds NaN, infinite or
    absurdly large samples, or if it ends before ``start_s``; ValueError for an impossible time.
    """
    if not 0 <= start_s < math.inf:
        raise ValueError(f"start_s must be 0 or more seconds, not {start_s}")
    if not (0 < chunk_s < math.inf and (duration_s is None or 0 < duration_s < math.inf)):
        raise ValueError(f"chunk_s and duration_s must be above 0, not {chunk_s} and {duration_s}")
    chunk = max(1, round(chunk_s * SAMPLE_RATE))
    first = round(start_s * SAMPLE_RATE)
    end = math.inf if duration_s is None else first + max(1.0, round(duration_s * SAMPLE_RATE))

    held: list[NDArray[np.float32]] = []
    n_held = n_decoded = 0
    for piece in _decode(path, channel):
        begin, n_decoded = n_decoded, n_decoded + len(piece)
        piece = piece[max(0, first - begin) : int(min(len(piece), end - begin))]
        if len(piece):
            held.append(piece)
            n_held += len(piece)
        if n_held >= chunk:
            joined = _join(held)
            n_ready = n_held - n_held % chunk
            yield from np.split(joined[:n_ready], n_ready // chunk)
            held, n_held = [joined[n_ready:].copy()], n_held - n_ready
        if n_decoded >= end:
            break
    if n_held:
        yield _join(held)
    if n_decoded == 0:
        raise decoding.error(path, "it holds no audio samples", "record or export it again")
    if n_decoded <= first:
        length_s = n_decoded / SAMPLE_RATE
        reason = f"it ends at {length_s:.2f} s, before the start of {start_s:g} s"
        raise decoding.error(path, reason, "ask for an earlier start")


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Read duration, sample rate, channels and codec from the header, without decoding the file.

    Raises :class:`AudioError` if the file is missing, empty or not audio.
    """
    with decoding.open_audio(path) as (container, source):
        return AudioInfo(
            duration_s=decoding.header_duration_s(container, source),
            sample_rate_hz=source.sample_rate,
            channels=source.channels,
            codec=source.codec_context.codec.canonical_name,
        )


def from_array(samples: ArrayLike, sample_rate_hz: int) -> NDArray[np.float32]:
    """Convert decoded samples, [n] or [n, channels], to mono float32 [samples] at 16 kHz.

    Integers are scaled so that full scale is 1; floats are taken as they are. Raises
    :class:`AudioError` if the samples are empty, too short to resample (some milliseconds) or not
    finite, or if their shape, type or rate is impossible.
    """
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or (
        samples.ndim == 2 and samples.shape[1] > decoding.MAX_CHANNELS
    ):
        raise AudioError(f"audio must be [n] or [n, channels], not of shape {samples.shape}")
    if samples.dtype.kind not in "iuf":
        raise AudioError(f"audio must be integers or floats, not {samples.dtype}")
    if not decoding.MIN_RATE_HZ <= sample_rate_hz <= decoding.MAX_RATE_HZ:
        raise AudioError(f"audio cannot be at {sample_rate_hz} Hz: give its real sample rate")
    if not samples.size:
        raise AudioError("the audio is empty: record or choose some")
    scaled = _scaled(samples if samples.ndim == 2 else samples[:, None])
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        mono = Downmix(sample_rate_hz).push(scaled)
    if reason := unusable_reason(mono):
        raise AudioError(f"the audio holds {reason}: record or export it again")
    resampler = Resampler(sample_rate_hz)
    resampled = _join([resampler.push(mono), resampler.flush()])
    if not len(resampled):
        raise AudioError(f"the audio is only {len(mono)} samples long: record or choose more")
    return resampled


def unusable_reason(samples: NDArray[np.floating]) -> str | None:
    """Why samples cannot be used: they are not finite, or absurdly large; or None."""
    if not np.isfinite(samples).all():
        return "NaN or infinite samples"
    peak = float(np.abs(samples).max(initial=0.0))
    return f"samples of {peak:.0e}, where 1 is full scale" if peak > MAX_PEAK else None


def _decode(path: str | os.PathLike[str], channel: int | None) -> Iterator[NDArray[np.float32]]:
    """Decode a file to mono pieces at 16 kHz, of the lengths that the decoder gives."""
    with decoding.open_audio(path) as (container, source):
        resampler, downmix = Resampler(SAMPLE_RATE), Downmix(SAMPLE_RATE)
        rate_hz = 0
        clock = Clock(*decoding.clock_s(container, source))
        held: list[NDArray[np.generic]] = []
        n_held = 0

        def mono() -> NDArray[np.float32]:
            nonlocal n_held
            with np.errstate(over="ignore", invalid="ignore"):  # checked below
                mixed = downmix.push(_scaled(np.concatenate(held))) if held else _join([])
            held.clear()
            n_held = 0
            if reason := unusable_reason(mixed):
                raise decoding.error(path, f"it holds {reason}", "record or export it again")
            return mixed

        for frame in decoding.frames(path, container, source):
            if frame.sample_rate != rate_hz:  # the first frame, or a file joined from several
                yield resampler.push(mono())
                yield resampler.flush()
                rate_hz = frame.sample_rate
                decoding.check_header(path, rate_hz, frame.layout.nb_channels)
                resampler, downmix = Resampler(rate_hz), Downmix(rate_hz)
            try:
                samples = frame.to_ndarray()
            except ValueError:
                reason = f"its samples are of type {frame.format.name}"
                raise decoding.error(path, reason, decoding.CONVERT) from None
            samples = samples.T if frame.format.is_planar else samples.reshape(frame.samples, -1)
            if channel is not None:
                samples = samples[:, [min(channel, samples.shape[1] - 1)]]
            other = held and (held[0].dtype, held[0].shape[1]) != (samples.dtype, samples.shape[1])
            if n_held >= _BATCH_S * rate_hz or other:
                yield resampler.push(mono())
            if hole_s := clock.hole_s(frame.time):
                yield resampler.push(mono())
                for n_silent in _pieces(round(hole_s * rate_hz), rate_hz):
                    yield resampler.push(np.zeros(n_silent, np.float32))
            held.append(samples)
            n_held += len(samples)
            clock.advance(frame.samples / rate_hz)
        yield resampler.push(mono())
        yield resampler.flush()
        _warn_of_losses(path, clock, container, source)


def _warn_of_losses(
    path: str | os.PathLike[str], clock: Clock, container: InputContainer, source: av.AudioStream
) -> None:
    """Log what is missing from a file that has been decoded to its end."""
    if clock.unfilled:
        _log.warning(
            "%s: its timestamps jump ahead by %.0f s in total; later times do not count these",
            os.fspath(path),
            sum(clock.unfilled),
        )
    header_s = decoding.header_duration_s(container, source)
    reached_s = max(clock.heard_s, clock.last_s)
    if container.format.name == "ogg":  # it has no holes of its own: pages are lost
        reached_s = clock.heard_s - clock.filled_s
    # Half a second and 1 % of tolerance: some headers are rounded.
    if not clock.heard_s or header_s is None or reached_s >= 0.99 * header_s - 0.5:
        return
    if not decoding.length_is_estimated(container, path):
        _log.warning(
            "%s: %.1f s decoded of the %.1f s in its header; it may be cut off or damaged",
            os.fspath(path),
            clock.heard_s,
            header_s,
        )


def _pieces(total: int, most: int) -> Iterator[int]:
    """``total`` in pieces of at most ``most``."""
    while total > 0:
        yield min(total, most)
        total -= most


def _scaled(samples: NDArray[np.generic]) -> NDArray[np.float32]:
    """Samples of any integer or float type as float32; the full scale of integers becomes 1."""
    with np.errstate(over="ignore", invalid="ignore"):  # callers check for infinities
        scaled = samples.astype(np.float32)
        if samples.dtype.kind != "f":
            half = 2.0 ** (8 * samples.dtype.itemsize - 1)
            scaled = scaled / half - (1.0 if samples.dtype.kind == "u" else 0.0)
        return scaled


def _join(pieces: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate([np.empty(0, np.float32), *pieces])
