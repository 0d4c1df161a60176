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
from io import BufferedReader
from typing import Protocol, cast

import av
from av.container import InputContainer

from grafprint.errors import AudioError

# FFmpeg's names of the formats that may be opened. Playlists (hls, dash, concat) and session
# descriptions (sdp, rtsp) are left out on purpose: even from a file object, they open other files
# and addresses.
FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,ircam,matroska,mlp,mov,"
    "mp3,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nut,ogg,oma,rm,shn,tak,truehd,tta,voc,w64,wav,wv"
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
            raise _unsupported(path, file) from None
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


# How files begin that name others instead of holding audio.
_PLAYLISTS = (b"#extm3u", b"[playlist]", b"ffconcat", b"<?xml", b"<mpd", b"<asx", b"v=0", b"#ext")


def _unsupported(path: str | os.PathLike[str], file: Readable) -> AudioError:
    """The error for a file of a format that is not on the list."""
    head = b""
    if isinstance(file, BufferedReader):
        file.seek(0)
        head = file.read(100).lstrip(b"\xef\xbb\xbf \r\n").lower()
    if head.startswith(_PLAYLISTS):
        reason = "it is a playlist, or of another kind that holds no audio itself"
        return error(path, reason, "name the audio file")
    suffix = os.path.splitext(os.fspath(path))[1].lstrip(".").lower()
    kind = f" ({suffix})" if suffix else ""
    return error(path, f"it is not audio of a format that is supported{kind}", CONVERT)


def check_header(path: str | os.PathLike[str], rate_hz: int, channels: int) -> None:
    """Raise AudioError for rates and channel counts that no recording has."""
    if not (MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ and 1 <= channels <= MAX_CHANNELS):
        reason = f"its header claims {channels} channels at {rate_hz} Hz"
        raise error(path, reason, CONVERT)


# Formats without a header for the whole file: FFmpeg estimates their length from the first frames.
_HEADLESS = {"aac", "ac3", "amr", "dts", "eac3", "mlp", "mpeg", "shn", "truehd"}


def length_is_estimated(container: InputContainer, path: str | os.PathLike[str]) -> bool:
    """Whether :func:`header_duration_s` is FFmpeg's guess, such as for an MP3 without a header."""
    name = container.format.name
    if name != "mp3" or isinstance(path, ByteSource):
        return name in _HEADLESS
    with open(path, "rb") as file:
        head = file.read(10)
        if head.startswith(b"ID3") and len(head) == 10:  # the size of the tag, 7 bits a byte
            file.seek(
                10
                + sum(
                    (byte & 127) << shift
                    for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
                )
            )
        else:
            file.seek(0)
        first = file.read(4096)
    return not any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def header_duration_s(container: InputContainer, source: av.AudioStream) -> float | None:
    """The duration in the header, or None if it has none."""
    if source.duration is not None and source.time_base is not None:
        return float(source.duration * source.time_base)
    if container.duration is not None:
        return container.duration / av.time_base
    return None


# The clock of these formats begins at 0; others, such as those of broadcasts, at any time. Beyond
# this limit it is taken for a part of a longer recording.
_FROM_ZERO, _MOST_DELAY_S = ("mov", "matroska"), 60.0


def clock_s(container: InputContainer, source: av.AudioStream) -> tuple[float, float | None]:
    """The timestamps at which a file begins and (None: not known) ends, by its header."""
    start_s = (container.start_time or 0) / av.time_base
    header_s = header_duration_s(container, source)
    end_s = None
    if header_s is not None:
        end_s = start_s + max(header_s, (container.duration or 0) / av.time_base)
    if container.format.name.startswith(_FROM_ZERO) and 0 < start_s <= _MOST_DELAY_S:
        start_s = 0.0
    return start_s, end_s


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
