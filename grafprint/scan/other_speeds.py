"""Music that is played faster or slower than it is in the library, in tempo and pitch.

The fingerprint of a second of music changes with its pitch; from about 4 % on it is no longer like
the track's. So the audio is slowed down by a few factors, and looked up again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grafprint import audio
from grafprint.matching import Answer, identify_audio
from grafprint.matching.collection import Collection
from grafprint.scan.config import less_sure
from grafprint.scan.speed import speed_of

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

# Music is found up to about 3 % beside a speed that is tried, so with its own speed these two cover
# 6 % either way, and some more (benchmarks/speed.py). The likelier one, faster, comes first.
OTHER_SPEEDS = (1.05, 0.95)


class Slowing:
    """Slows audio down by the factor ``speed`` (below 1: speeds it up), pitch included.

    The factor is rounded to what a whole sample rate can express. Raises ValueError if it is not
    between 0.5 and 2.
    """

    def __init__(self, speed: float) -> None:
        if not 0.5 <= speed <= 2:
            raise ValueError(f"a speed must be between 0.5 and 2, not {speed}")
        self._rate_hz = round(audio.SAMPLE_RATE / speed)
        self.speed = audio.SAMPLE_RATE / self._rate_hz

    def pieces(self, pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Slow down audio that comes in pieces ``[n]``."""
        resampler = audio.Resampler(self._rate_hz)
        for piece in pieces:
            yield resampler.push(np.asarray(piece, np.float32))
        yield resampler.flush()

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Slow down ``samples [n]``."""
        return np.concatenate(list(self.pieces([samples])))


@dataclass(frozen=True, eq=False)
class AnswerAtSpeed(Answer):
    """An answer for a clip that plays at ``speed``, in seconds of the track per second."""

    speed: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """The answer as plain values, with the speed."""
        return {**super().to_json(), "speed": round(self.speed, 4)}


def identify_at_other_speeds(
    library: Collection,
    fingerprinter: Fingerprinter,
    path: str | os.PathLike[str],
    answer: Answer,
    *,
    speeds: Sequence[float] = OTHER_SPEEDS,
    top_k: int = 5,
    confidence: float | None = None,
) -> Answer:
    """Look a file up again, if its ``answer`` found nothing, as if it were played at other speeds.

    Of the part that the answer is about, each of the ``speeds`` is tried, and the first with a
    match is returned. Since these are more chances of an error, a match needs a higher score than
    at the clip's own speed, and has less ``confidence`` for it. If nothing is found, ``answer`` is
    returned. Raises as :func:`~grafprint.matching.identify_file` does.
    """
    if answer.identified:
        return answer
    looks = 1 + len(speeds)
    start_s, duration_s = answer.query_start_s, answer.query_duration_s
    clip = audio.load(path, start_s=start_s, duration_s=duration_s)
    for slowing in map(Slowing, speeds):
        slowed = slowing(clip)
        if len(slowed) < fingerprinter.window_s * audio.SAMPLE_RATE:
            continue
        found = identify_audio(
            library,
            fingerprinter,
            slowed,
            longest_s=len(slowed) / audio.SAMPLE_RATE,
            top_k=top_k,
            confidence=confidence,
            looks=looks,
        )
        if not found.identified:
            continue
        begin, length = found.query_start_s, found.query_duration_s
        part = slowed[round(begin * audio.SAMPLE_RATE) :][: round(length * audio.SAMPLE_RATE)]
        slope = speed_of(library, fingerprinter(part), found.matches[0]) or 1.0
        values = {field.name: getattr(found, field.name) for field in fields(found)}
        values["matches"] = [
            replace(match, confidence=less_sure(match.confidence, looks)) for match in found.matches
        ]
        values["query_start_s"] = start_s + begin / slowing.speed
        values["query_duration_s"] = length / slowing.speed
        return AnswerAtSpeed(**values, speed=slope * slowing.speed)
    return answer
