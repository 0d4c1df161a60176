"""Read audio of any kind as mono float32 samples at 16 kHz, in chunks if it is long.

PyAV (FFmpeg) decodes; it brings its own libraries, reads the sound of video files too, and copes
with files on which libsndfile stops. Only local files are ever opened: FFmpeg is given a file
object, a list of formats that cannot refer to other files, and no means to open any.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

SAMPLE_RATE = 16_000

# What counts as audio in a folder: the usual endings of the containers in _FORMATS.
AUDIO_SUFFIXES = frozenset(
    f".{ending}"
    for endings in (
        "wav w64 flac mp3 mp2 ogg oga opus spx m4a m4b aac alac aif aiff aifc caf au wma wv ape",
        "mpc tta ac3 amr mka weba webm mkv mp4 m4v mov avi wmv flv mpg mpeg ts 3gp ogv",
    )
    for ending in endings.split()
)

# FFmpeg's names of the formats that may be opened. Playlists (hls, dash, concat) and session
# descriptions (sdp, rtsp) are left out on purpose: they make FFmpeg open other files and addresses.
_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,"
    "nut,ogg,tta,w64,wav,wv"
)
_REMEDY = "convert it to WAV, FLAC or MP3 and try again"
# Limits of what a sane header says; beyond them a small file could fill the memory.
_MIN_RATE_HZ, _MAX_RATE_HZ, _MAX_CHANNELS = 1_000, 768_000, 64

_log = logging.getLogger(__name__)


class AudioError(ValueError):
    """Audio that cannot be used; the message names the file, the reason and the remedy."""


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a file says.

    ``duration_s`` is None where the header does not tell; for some MP3 and AAC files it is an
    estimate. ``codec`` is FFmpeg's name, such as ``flac``, ``opus`` or ``pcm_s16le``.
    """

    duration_s: float | None
    sample_rate_hz: int
    channels: int
    codec: str


class Resampler:
    """Band-limited conversion of a mono signal to 16 kHz, piece by piece and without seams.

    FFmpeg's polyphase resampler (a windowed sinc of 32 taps at the lower of the two rates, cutoff
    at 0.97 of the Nyquist frequency). Time is kept: output sample ``n`` is the input at second
    ``n / 16000``.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._swr: av.AudioResampler | None = None
        if sample_rate_hz != SAMPLE_RATE:
            self._swr = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert the next piece, float32 [n]; what comes out may be shorter, also empty."""
        if self._swr is None or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples)[None], format="flt", layout="mono"
        )
        frame.sample_rate = self._rate_hz
        return self._collect(frame)

    def flush(self) -> NDArray[np.float32]:
        """The last samples, once every piece has been pushed."""
        return self._collect(None) if self._swr is not None else np.empty(0, np.float32)

    def _collect(self, frame: av.AudioFrame | None) -> NDArray[np.float32]:
        assert self._swr is not None
        pieces = [out.to_ndarray()[0] for out in self._swr.resample(frame)]
        return np.concatenate(pieces) if pieces else np.empty(0, np.float32)


def load(
    path: str | os.PathLike[str], *, start_s: float = 0.0, duration_s: float | None = None
) -> NDArray[np.float32]:
    """Decode a file, or ``duration_s`` seconds of it from ``start_s`` on.

    Returns mono float32 [samples] at 16 kHz: the mean of all channels, resampled. It is shorter
    than ``duration_s`` where the file ends earlier. Raises :class:`AudioError` like :func:`stream`.
    """
    return np.concatenate(list(stream(path, start_s=start_s, duration_s=duration_s)))


def stream(
    path: str | os.PathLike[str],
    *,
    chunk_s: float = 30.0,
    start_s: float = 0.0,
    duration_s: float | None = None,
) -> Iterator[NDArray[np.float32]]:
    """The samples of :func:`load` in chunks of ``chunk_s`` seconds (the last may be shorter).

    Memory stays bounded however long the file is. Time 0 is the first decoded sample and
    ``start_s`` counts from it sample-accurately: everything before is decoded and dropped, since
    seeking is inexact in most compressed formats.

    Parts that do not decode are skipped, and a file that ends early gives what is there; both are
    logged as warnings. Raises :class:`AudioError` if the file is missing, empty, not audio,
    nothing in it decodes, it holds NaN or infinite samples, or it ends before ``start_s``.
    """
    if not (math.isfinite(start_s) and start_s >= 0):
        raise ValueError(f"start_s must be 0 or more seconds, not {start_s}")
    if not (chunk_s > 0 and (duration_s is None or duration_s > 0)):
        raise ValueError(f"chunk_s and duration_s must be above 0, not {chunk_s} and {duration_s}")
    skip = round(start_s * SAMPLE_RATE)
    left = None if duration_s is None else max(1, round(duration_s * SAMPLE_RATE))
    chunk = max(1, round(chunk_s * SAMPLE_RATE))

    held: list[NDArray[np.float32]] = []
    n_held = n_decoded = 0
    for piece in _decode(path):
        n_decoded += len(piece)
        if skip:
            n_skipped = min(skip, len(piece))
            skip -= n_skipped
            piece = piece[n_skipped:]
        if left is not None:
            piece = piece[:left]
            left -= len(piece)
        held.append(piece)
        n_held += len(piece)
        if n_held >= chunk:
            joined = np.concatenate(held)
            whole = n_held - n_held % chunk
            yield from np.split(joined[:whole], whole // chunk)
            held, n_held = [joined[whole:].copy()], n_held - whole
        if left == 0:
            break
    if n_held:
        yield np.concatenate(held)
    if n_decoded == 0:
        raise _error(path, "it holds no audio samples", "record or export it again")
    if skip:
        raise _error(
            path,
            f"it ends at {n_decoded / SAMPLE_RATE:.2f} s, before the start of {start_s:g} s",
            "ask for an earlier start",
        )


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """What the header says of length, rate, channels and codec, without decoding the file.

    Raises :class:`AudioError` if the file is missing, empty or not audio.
    """
    with _open(path) as (container, source):
        return AudioInfo(
            duration_s=_duration_s(container, source),
            sample_rate_hz=source.sample_rate,
            channels=source.channels,
            codec=source.codec_context.codec.canonical_name,
        )


def from_array(samples: NDArray[np.generic], sample_rate_hz: int) -> NDArray[np.float32]:
    """Convert decoded samples, [n] or [n, channels], to mono float32 [samples] at 16 kHz.

    Integers are scaled so that full scale is 1; floats are taken as they are. Raises
    :class:`AudioError` for an empty array, non-finite samples, or an impossible shape, type or
    rate.
    """
    samples = np.asarray(samples)
    if not _MIN_RATE_HZ <= sample_rate_hz <= _MAX_RATE_HZ:
        raise AudioError(f"cannot use audio at {sample_rate_hz} Hz; {_REMEDY}")
    if samples.ndim not in (1, 2):
        raise AudioError(f"audio must be [n] or [n, channels], not of shape {samples.shape}")
    if not samples.size:
        raise AudioError("the audio is empty: record or choose some")
    if samples.ndim == 2 and samples.shape[1] > _MAX_CHANNELS:
        raise AudioError(
            f"audio of shape {samples.shape} has too many channels; it must be [n, channels]"
        )
    if samples.dtype.kind not in "iuf":
        raise AudioError(f"audio must be integers or floats, not {samples.dtype}")
    mono = _mono(samples if samples.ndim == 2 else samples[:, None])
    if not np.isfinite(mono).all():
        raise AudioError("the audio holds NaN or infinite samples: record or export it again")
    resampler = Resampler(sample_rate_hz)
    return np.concatenate([resampler.push(mono), resampler.flush()])


def _mono(samples: NDArray[np.generic]) -> NDArray[np.float32]:
    """[n, channels] of any integer or float type -> [n] in float32, the plain mean of channels.

    FFmpeg's own down-mix weighs channels by their loudspeaker (and drops the LFE of 5.1), so the
    same sound in two layouts would come out differently.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # the caller checks for infinities
        if samples.dtype.kind == "f":
            scaled = samples.astype(np.float32, copy=False)
        else:
            half = 2.0 ** (8 * samples.dtype.itemsize - 1)
            scaled = samples.astype(np.float32)
            scaled -= half if samples.dtype.kind == "u" else 0.0
            scaled /= half
        if scaled.shape[1] == 1:
            return np.ascontiguousarray(scaled[:, 0])
        return scaled.mean(axis=1, dtype=np.float32)


def _decode(path: str | os.PathLike[str]) -> Iterator[NDArray[np.float32]]:
    """Decode a file to mono pieces at 16 kHz, as long as the decoder happens to make them."""
    with _open(path) as (container, source):
        resampler: Resampler | None = None
        rate_hz, decoded_s = 0, 0.0
        for frame in _frames(path, container, source):
            if frame.sample_rate != rate_hz:  # the first frame, or a file joined from several
                if resampler is not None:
                    yield resampler.flush()
                rate_hz = frame.sample_rate
                _check_header(path, rate_hz, frame.layout.nb_channels)
                resampler = Resampler(rate_hz)
            assert resampler is not None
            decoded_s += frame.samples / rate_hz
            try:
                samples = frame.to_ndarray()
            except ValueError:
                raise _error(path, f"samples of type {frame.format.name}", _REMEDY) from None
            by_channel = samples.T if frame.format.is_planar else samples.reshape(frame.samples, -1)
            mono = _mono(by_channel)
            if not np.isfinite(mono).all():
                raise _error(path, "it holds NaN or infinite samples", "export it again")
            yield resampler.push(mono)
        if resampler is not None:
            yield resampler.flush()
        promised_s = _duration_s(container, source)
        # Half a second and 1 % of tolerance: some headers round, and some are estimates.
        if decoded_s and promised_s is not None and decoded_s < 0.99 * promised_s - 0.5:
            _log.warning(
                "%s: only %.1f s of the %.1f s in its header decoded; it may be cut off or damaged",
                os.fspath(path), decoded_s, promised_s,
            )  # fmt: skip


def _frames(
    path: str | os.PathLike[str], container: InputContainer, source: av.AudioStream
) -> Iterator[av.AudioFrame]:
    """The frames of a stream; damaged packets are skipped, and an unreadable rest is left out."""
    packets = container.demux(source)
    n_damaged, n_good, reason = 0, 0, ""
    while True:
        packet: av.Packet | None = None
        try:
            packet = next(packets, None)  # the last one is empty and drains the decoder
            frames = source.decode(packet) if packet is not None else []
        except av.FFmpegError as error:
            n_damaged += 1
            reason = error.strerror or type(error).__name__
            if packet is None:  # reading failed: nothing more comes, as with the ffmpeg program
                frames = _drain(source)
            else:
                continue
        for frame in frames:
            if frame.samples:
                n_good += 1
                yield frame
        if packet is None:
            break
    if n_damaged and not n_good:
        raise _error(path, f"nothing in it decodes ({reason})", _REMEDY)
    if n_damaged:
        _log.warning("%s: skipped %d damaged parts (%s)", os.fspath(path), n_damaged, reason)


def _drain(source: av.AudioStream) -> list[av.AudioFrame]:
    """The frames that the decoder still holds."""
    try:
        return source.codec_context.decode(None)
    except av.FFmpegError:
        return []


@contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[tuple[InputContainer, av.AudioStream]]:
    """Open a local file and find its main audio stream; an AudioError says why it cannot be."""
    with _open_file(path) as file:
        try:
            container = cast(
                InputContainer,
                av.open(
                    file,
                    container_options={"format_whitelist": _FORMATS, "protocol_whitelist": "none"},
                    metadata_errors="replace",
                    io_open=_refuse,
                ),
            )
        except av.FFmpegError as error:
            reason = error.strerror or type(error).__name__
            raise _error(path, f"it is not audio, or is damaged ({reason})", _REMEDY) from None
        with container:
            source = container.streams.best("audio")
            if source is None:
                raise _error(path, "it has no sound track", "choose another file")
            if not hasattr(source, "codec_context") or source.codec_context is None:
                raise _error(path, "its audio codec is unknown", _REMEDY)
            source = cast(av.AudioStream, source)
            _check_header(path, source.sample_rate, source.channels)
            yield container, source


@contextmanager
def _open_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a regular file that is not empty."""
    try:
        if os.path.isdir(path):
            raise _error(path, "it is a folder", "name a file in it, or index the folder")
        if os.path.exists(path) and not os.path.isfile(path):
            raise _error(path, "it is a device or a pipe", "save it to a file first")
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise _error(path, "there is no such file", "check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, AudioError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise _error(path, reason, "check the path and its permissions") from None
    with file:
        if os.fstat(file.fileno()).st_size == 0:
            raise _error(path, "it is empty", "copy, download or record it again")
        yield file


def _check_header(path: str | os.PathLike[str], rate_hz: int, channels: int) -> None:
    if not (_MIN_RATE_HZ <= rate_hz <= _MAX_RATE_HZ and 1 <= channels <= _MAX_CHANNELS):
        raise _error(path, f"its header claims {channels} channels at {rate_hz} Hz", _REMEDY)


def _duration_s(container: InputContainer, source: av.AudioStream) -> float | None:
    if source.duration is not None and source.time_base is not None:
        return float(source.duration * source.time_base)
    if container.duration is not None:
        return container.duration / av.time_base
    return None


def _refuse(url: str, flags: int, options: dict[str, str]) -> BinaryIO:
    """FFmpeg asks here for any file that the opened one refers to."""
    raise PermissionError(f"refused to open {url}")


def _error(path: str | os.PathLike[str], reason: str, remedy: str) -> AudioError:
    return AudioError(f"cannot read {os.fspath(path)!r}: {reason}; {remedy}")
