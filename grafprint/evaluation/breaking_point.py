"""Breaking point: the SNR at which a clip is no longer identified, with and without a room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from grafprint import matching
from grafprint.degradation import Degradation, degrade
from grafprint.fingerprint import Fingerprinter
from grafprint.matching import Answer
from grafprint.remote.opening import AnyLibrary

SNRS_DB = tuple(np.arange(30.0, -10.1, -2.5).tolist())
ROOM_RT60_S = 0.5  # reverberation time when no room was chosen

# The best match is the right place in the right track, to within a hop; only the right track
# (music repeats itself); or another track.
Judgement = Literal["place", "track", "wrong"]


@dataclass(frozen=True)
class GroundTruth:
    """The track a clip is from, and where in it the clip starts.

    ``given``: known from where the clip was cut. Otherwise it is what the clip was identified as
    before degrading it.
    """

    track_id: int
    start_s: float
    given: bool


@dataclass(frozen=True)
class Point:
    """The result of identifying a clip degraded in one way.

    ``named``: the ``score`` of the best match, right or wrong, reaches the ``threshold``.
    """

    snr_db: float
    reverb: bool
    judgement: Judgement
    named: bool
    score: float
    threshold: float

    def to_json(self) -> dict[str, Any]:
        """The point as JSON-able values."""
        return asdict(self) | {"score": round(self.score, 4), "threshold": round(self.threshold, 4)}


def truth_from(clean: Answer) -> GroundTruth | None:
    """The ground truth from identifying the clean clip; None if it was not identified."""
    if not clean.identified or clean.best is None:
        return None
    start_s = clean.best.start_s - clean.query_start_s
    return GroundTruth(clean.best.track.id, start_s, given=False)


def judge(answer: Answer, truth: GroundTruth, hop_s: float) -> Judgement:
    """Judge the best match of an answer; its place may be off by ``hop_s``."""
    best = answer.best
    if best is None or best.track.id != truth.track_id:
        return "wrong"
    error_s = best.start_s - answer.query_start_s - truth.start_s
    return "place" if abs(error_s) <= hop_s else "track"


def sweep(
    library: AnyLibrary,
    fingerprinter: Fingerprinter,
    samples: np.ndarray,
    wanted: Degradation,
    truth: GroundTruth,
    past: np.ndarray | None = None,
    snrs_db: Sequence[float] = SNRS_DB,
) -> Iterator[Point]:
    """Identify a clip at each SNR, without and with the room of ``wanted``.

    If ``wanted`` has no room, a simulated one of ROOM_RT60_S is used. All other steps are as
    ``wanted`` says. Raises what :func:`degrade` and :func:`matching.identify_audio` raise:
    MatchError, LibraryError, ValueError.
    """
    room = ROOM_RT60_S if wanted.room is None else wanted.room
    for snr_db in snrs_db:
        for reverb in (False, True):
            plan = replace(wanted, snr_db=snr_db, room=room if reverb else None)
            degraded = degrade(samples, plan, past)
            answer = matching.identify_audio(library, fingerprinter, degraded, top_k=1)
            score = answer.best.score if answer.best else 0.0
            drift_s = wanted.drift_s(len(degraded))
            judgement = judge(answer, truth, library.hop_s + drift_s)
            yield Point(snr_db, reverb, judgement, answer.identified, score, answer.threshold)


def holds_until_db(points: Iterable[Point]) -> float | None:
    """The lowest SNR down to which the right place in the right track is reported at every SNR.

    None if it is not reported even at the highest.
    """
    until = None
    for point in sorted(points, key=lambda p: -p.snr_db):
        if not (point.judgement == "place" and point.named):
            break
        until = point.snr_db
    return until
