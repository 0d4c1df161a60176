"""Tell audio files by their first bytes, without decoding them."""

from __future__ import annotations

import re
from pathlib import Path

# The signatures of the formats that decoding.py opens: at the beginning of a file.
_SIGNATURE = re.compile(
    rb"ID3[\x02-\x04]"
    rb"|fLaC|OggS|caff|\.snd|MAC |wvpk|MP\+|MPCK|TTA[12]|tBaK|ajkg|FLV\x01|\.RMF|DSD "
    rb"|EA3\x03|NIST_1A"
    rb"|#!AMR|riff\x2e\x91\xcf\x11|Creative Voice File\x1a|DTSHDHDR|\x7f\xfe\x80\x01"
    rb"|(RIFF|RIFX|RF64|BW64)....(WAVE|AVI )"
    rb"|FORM....(AIFF|AIFC|8SVX)|FRM8........DSD "
    rb"|....ftyp|\x1a\x45\xdf\xa3"  # MP4 and its kin; Matroska
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11"  # ASF
    rb"|\x06\x0e\x2b\x34\x02\x05\x01\x01"  # MXF
    rb"|\x0b\x77"  # AC-3
    rb"|\xff[\xf0\xf1\xf8\xf9][\x40-\xbf]",  # ADTS
    re.DOTALL,
)
_MPEG_LAYERS = frozenset(b"\xe2\xe3\xe4\xe5\xf2\xf3\xf4\xf5\xfa\xfb\xfc\xfd")  # II and III


def begins_like_audio(file: Path) -> bool:
    """Whether a regular file begins like one of a format that can be decoded."""
    try:
        if not file.is_file():  # a pipe would block
            return False
        with file.open("rb") as opened:
            head = opened.read(24)
    except OSError:
        return False
    return _SIGNATURE.match(head) is not None or _is_mpeg_audio(head)


def _is_mpeg_audio(head: bytes) -> bool:
    """Whether bytes begin with a frame of MP2 or MP3 whose bit rate and sample rate exist."""
    # A text in UTF-16 may begin with FF FE, which would be a frame of layer I.
    return (
        len(head) > 2
        and head[0] == 0xFF
        and head[1] in _MPEG_LAYERS
        and 0x10 <= head[2] < 0xF0
        and head[2] & 0x0C != 0x0C
    )
