"""Which track is this clip, where in it, and how confident is the answer?"""

from grafprint.errors import MatchError
from grafprint.matching.clips import LONGEST_S, identify_audio, identify_file, loudest
from grafprint.matching.identification import (
    Answer,
    Match,
    identify,
    identify_many,
    shift_answer,
)

__all__ = [
    "LONGEST_S",
    "Answer",
    "Match",
    "MatchError",
    "identify",
    "identify_audio",
    "identify_file",
    "identify_many",
    "loudest",
    "shift_answer",
]
