"""Open an audio or video file safely and decode its audio with FFmpeg (PyAV).

Only the named file is opened: FFmpeg gets a file object (never a path or an address), a list of
formats that cannot refer to other files, and no protocol to open them with.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import av
from av.container import InputContainer

from grafprint.errors import AudioError

# FFmpeg's names of the formats that may be opened. Playlists (hls, dash, concat) and session
# descriptions (sdp, rtsp) are left out on purpose: even from a file object, they open other files
# and addresses.
FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,"
    "nut,ogg,tta,w64,wav,wv"
)
_SAFE = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}

# Limits of a sane header: beyond them a small file could fill the memory.
MIN_RATE_HZ, MAX_RATE_HZ, MAX_CHANNELS = 1_000, 768_000, 64

CONVERT = "if it plays elsewhere, convert it to WAV, FLAC or MP3"

_log = logging.getLogger(__name__)


class Readable(Protocol):
    """A source of bytes: a file, or something like a file that cannot seek."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class ByteSource:
    """Bytes that do not come from a file, with a name for messages; used in place of a path."""

    name: str
    bytes: Readable

    def __fspath__(self) -> str:
        return self.name


def error(path: str | os.PathLike[str], reason: str, remedy: str) -> AudioError:
    """Build the error for a file, in the form that all such errors share."""
    return AudioError(f"cannot read {os.fspath(path)!r}: {reason}; {remedy}")


@contextmanager
def open_audio(path: str | os.PathLike[str]) -> Iterator[tuple[InputContainer, av.AudioStream]]:
    """Open a file or :class:`ByteSource` and find its main audio stream. Raises AudioError."""
    with _open_file(path) as file:
        try:
            container = cast(
                InputContainer,
                av.open(file, container_options=_SAFE, metadata_errors="replace"),
            )
        except av.ArgumentError:  # not on the list of formats
            reason = "it is a playlist, or of another kind that holds no audio itself"
            raise error(path, reason, "name the audio file") from None
        except (av.FFmpegError, OSError):  # OSError: a seek to an impossible position
            raise error(path, "it is not audio, or is damaged or cut off", CONVERT) from None
        with container:
            source = container.streams.best("audio")
            if source is None:
                raise error(path, "it has no sound track", "choose another file")
            if not isinstance(source, av.AudioStream) or source.codec_context is None:
                raise error(path, "its audio codec is unknown", CONVERT)
            check_header(path, source.sample_rate, source.channels)
            yield container, source


def check_header(path: str | os.PathLike[str], rate_hz: int, channels: int) -> None:
    """Raise AudioError for rates and channel counts that no recording has."""
    if not (MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ and 1 <= channels <= MAX_CHANNELS):
        reason = f"its header claims {channels} channels at {rate_hz} Hz"
        raise error(path, reason, CONVERT)


def header_duration_s(container: InputContainer, source: av.AudioStream) -> float | None:
    """The duration in the header, or None if it has none."""
    if source.duration is not None and source.time_base is not None:
        return float(source.duration * source.time_base)
    if container.duration is not None:
        return container.duration / av.time_base
    return None


def frames(
    path: str | os.PathLike[str], container: InputContainer, source: av.AudioStream
) -> Iterator[av.AudioFrame]:
    """Decode a stream, skipping damaged packets. Raises AudioError only if nothing decodes."""
    n_damaged, n_decoded, reason = 0, 0, ""
    for packet in _packets(path, container, source):
        try:
            decoded = source.decode(packet)
        except av.FFmpegError as failure:
            n_damaged, reason = n_damaged + 1, _text(failure)
            continue
        for frame in decoded:
            if frame.samples:
                n_decoded += 1
                yield frame
    if n_damaged and not n_decoded:
        raise error(path, f"nothing in it decodes ({reason})", CONVERT)
    if n_damaged:
        _log.warning("%s: damaged packets skipped: %d (%s)", os.fspath(path), n_damaged, reason)


def _packets(
    path: str | os.PathLike[str], container: InputContainer, source: av.AudioStream
) -> Iterator[av.Packet | None]:
    """The packets of a stream; the last one is empty or None, to drain the decoder."""
    try:
        yield from container.demux(source)
    except (av.FFmpegError, OSError) as failure:  # like the ffmpeg program, read no further
        _log.warning("%s: reading stopped early (%s)", os.fspath(path), _text(failure))
        yield None


def _text(failure: av.FFmpegError | OSError) -> str:
    return failure.strerror or type(failure).__name__


@contextmanager
def _open_file(path: str | os.PathLike[str]) -> Iterator[Readable]:
    """Open a regular, non-empty file, or the bytes of a :class:`ByteSource`."""
    if isinstance(path, ByteSource):
        yield path.bytes
        return
    if os.path.isdir(path):
        raise error(path, "it is a folder", "name a file in it, or index the folder")
    if os.path.exists(path) and not os.path.isfile(path):
        raise error(path, "it is a device or a pipe", "save it to a file first")
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise error(path, "there is no such file", "check the path") from None
    except OSError as failure:
        raise error(path, failure.strerror or str(failure), "check its permissions") from None
    except ValueError:  # the name contains NUL
        raise error(path, "no file can have this name", "check the path") from None
    with file:
        if os.fstat(file.fileno()).st_size == 0:
            raise error(path, "it is empty", "copy, download or record it again")
        yield file
