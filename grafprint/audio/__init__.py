"""Read files, microphones, streams and datasets as mono float32 samples at 16 kHz."""

from grafprint.audio.reader import (
    AUDIO_SUFFIXES,
    MAX_PEAK,
    SAMPLE_RATE,
    AudioInfo,
    Resampler,
    from_array,
    load,
    probe,
    stream,
    unusable_reason,
)
from grafprint.errors import AudioError

__all__ = [
    "AUDIO_SUFFIXES",
    "MAX_PEAK",
    "SAMPLE_RATE",
    "AudioError",
    "AudioInfo",
    "Resampler",
    "from_array",
    "load",
    "probe",
    "stream",
    "unusable_reason",
]
