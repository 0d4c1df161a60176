"""Cover art: the picture in a recording's file, small enough to be part of the page."""

from __future__ import annotations

import base64
import io
import logging
from pathlib import Path

import av
from PIL import Image

SIDE = 240  # pixels: twice its size on the page, for fine screens
MOST_PIXELS = 64_000_000  # a small file can hold a picture that fills the memory
_ATTACHED = 0x400  # FFmpeg's AV_DISPOSITION_ATTACHED_PIC: a cover, not a film

_log = logging.getLogger(__name__)


def cover(path: Path | None) -> str:
    """The cover in an audio file as a data URI of a JPEG, at most SIDE pixels wide and high.

    Empty if there is none or it cannot be used: anything may be in a file.
    """
    if path is None:
        return ""
    try:
        data = _attached(path)
        return _small(data) if data else ""
    except (
        av.FFmpegError,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as error:
        _log.info("%s: its cover cannot be used (%s)", path, error)
        return ""


def _attached(path: Path) -> bytes:
    with av.open(path) as container:
        for stream in container.streams.video:
            if int(stream.disposition) & _ATTACHED:
                return bytes(next(iter(container.demux(stream))))
    return b""


def _small(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels")
        image.draft("RGB", (SIDE, SIDE))  # a JPEG is read in a smaller size
        image.thumbnail((SIDE, SIDE))
        packed = io.BytesIO()
        image.convert("RGB").save(packed, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode()
