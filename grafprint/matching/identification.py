"""Which recording a clip is and where in it the clip begins: sequence search and open-set decision.

Section II-D of the GraFPrint paper. Every segment of the query proposes its nearest neighbours;
each, less the segment's own position (Eq. 7), is a candidate start. Every candidate is scored with
the uncompressed fingerprints from there on (Eq. 8), but never across the end of a track.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grafprint import audio
from grafprint.errors import MatchError
from grafprint.library.records import Track
from grafprint.matching import alignment
from grafprint.matching.alignment import Candidates
from grafprint.matching.collection import Collection
from grafprint.matching.confidence import CALIBRATION

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

LONGEST_S = 30.0  # of a clip, so much is used
# Places of two tracks whose fingerprints agree so well on average are the same music: of others,
# clean seconds agree to less than 0.7 (benchmarks/calibration.py).
SAME_MUSIC = 0.75
_RIVALS = 20  # are looked at for that


@dataclass(frozen=True, eq=False)
class Match:
    """A track that the query may be.

    ``start_s`` is the time in the track at which the query begins; negative if it begins before
    the track does. ``score`` is the mean inner product of Eq. 8 (1: identical), ``segment_scores``
    its terms, float32 [m], NaN for segments that are silent or outside the track. ``confidence``
    is the probability (0..1) that this is right, by confidence.py. ``alternative``: what it has
    there is the best match's music, as in a version, a compilation, or with a loop in common.
    """

    track: Track
    start_s: float
    score: float
    confidence: float
    segment_scores: np.ndarray
    alternative: bool = False

    def to_json(self) -> dict[str, Any]:
        """The match as plain values; a segment that was not compared is None."""
        terms = [None if np.isnan(s) else round(float(s), 4) for s in self.segment_scores]
        return {
            "title": self.track.title,
            "artist": self.track.artist,
            "album": self.track.album,
            "licence": self.track.licence,
            "start_s": round(self.start_s, 3),
            "score": round(self.score, 4),
            "confidence": round(self.confidence, 4),
            "alternative": self.alternative,
            "segment_scores": terms,
        }


@dataclass(frozen=True, eq=False)
class Answer:
    """What a query may be: the best match of each track, best first.

    ``identified`` says whether the best one reaches the confidence threshold, which it does if its
    score reaches ``threshold``; if not, the honest answer is that the library does not have it.
    ``lead`` is the best score less the best of another track that is no alternative (or less 0, if
    there was none).
    ``query_start_s`` and ``query_duration_s`` tell which part of the clip was used; ``start_s`` of
    the matches is where that part begins.
    """

    matches: list[Match]
    identified: bool
    threshold: float
    lead: float
    query_start_s: float
    query_duration_s: float

    @property
    def best(self) -> Match | None:
        """The best match, identified or not; None if there is none at all."""
        return self.matches[0] if self.matches else None

    def to_json(self) -> dict[str, Any]:
        """The answer as plain values for a program: times in seconds, best match first."""
        return {
            "identified": self.identified,
            "threshold": self.threshold,
            "query_start_s": round(self.query_start_s, 3),
            "query_duration_s": round(self.query_duration_s, 3),
            "matches": [match.to_json() for match in self.matches],
        }

    @property
    def runner_up(self) -> Match | None:
        """The best match of another track than the best one's."""
        return self.matches[1] if len(self.matches) > 1 else None

    @property
    def alternatives(self) -> list[Match]:
        """The matches of other tracks with the best one's music."""
        return [match for match in self.matches if match.alternative]


def identify(
    library: Collection,
    fingerprints: np.ndarray,
    *,
    top_k: int = 5,
    k: int | None = None,
    confidence: float | None = None,
) -> Answer:
    """Find the tracks from which consecutive query ``fingerprints [m, dim]`` may come.

    ``k`` neighbours a segment propose candidates (None: as many as the library's index needs,
    at least 20); the best candidate of each of the ``top_k`` best
    tracks is returned. Silent segments (zero vectors) are left out of everything. A query may
    begin before a track or go on after it: the mean is over the segments inside, which must be at
    least half of the query's, or the whole track if that is shorter. The start is refined between
    the fingerprints of the track (a parabola through the scores one hop before and after).
    ``confidence`` is the threshold (0 to 1, both excluded) from which the best match counts as
    identified; if None, the one at which the false positive rate is about 1 %. Work grows with
    the square of ``m``, memory does not.

    Raises MatchError if the library is empty or all segments are silent, LibraryError if the
    fingerprints of a track that would be named are damaged, ValueError for fingerprints of the
    wrong shape or not finite, or an impossible ``confidence``.
    """
    (answer,) = identify_many(library, [fingerprints], top_k=top_k, k=k, confidence=confidence)
    if answer is None:
        raise MatchError("the clip is silent: record or choose a part with sound")
    return answer


def identify_many(
    library: Collection,
    clips: Iterable[np.ndarray],
    *,
    top_k: int = 5,
    k: int | None = None,
    confidence: float | None = None,
) -> list[Answer | None]:
    """As :func:`identify` for many ``clips``, each ``[m, dim]``; None for those that are silent.

    Where search is exact, their segments are searched for together.
    """
    if confidence is not None and not 0 < confidence < 1:
        raise ValueError(f"the confidence threshold must be between 0 and 1, not {confidence}")
    queries = [np.asarray(clip, np.float32) for clip in clips]
    for q in queries:
        if q.ndim != 2 or q.shape[1] != library.dim or not np.isfinite(q).all():
            raise ValueError(f"fingerprints must be finite and [m, {library.dim}], not {q.shape}")
    sounding = [np.flatnonzero(q.any(axis=1)) for q in queries]
    with library.locked():
        if not len(library):
            raise MatchError(f"the library {library.location} is empty: index some music first")
        segments = [q[positions] for q, positions in zip(queries, sounding, strict=True)]
        if library.exact:  # together, which is several times faster
            rows = library.search(
                np.concatenate([*segments, np.empty((0, library.dim), np.float32)]), k
            )[1]
            neighbours = np.split(rows, np.cumsum([len(part) for part in segments])[:-1])
        else:  # each by itself: how far it looks depends on its length
            neighbours = [library.search(part, k)[1] for part in segments]
        return [
            _answer(library, q, positions, near, top_k, confidence) if len(positions) else None
            for q, positions, near in zip(queries, sounding, neighbours, strict=True)
        ]


def _answer(
    library: Collection,
    fingerprints: np.ndarray,
    positions: np.ndarray,
    neighbours: np.ndarray,
    top_k: int,
    confidence: float | None,
) -> Answer:
    """Align and decide; ``neighbours [n, k]`` are rows near the segments at ``positions [n]``."""
    queries = fingerprints[positions]
    candidates = alignment.propose(library, neighbours, positions)
    candidates, scores = alignment.score_candidates(library, queries, positions, candidates)
    best = alignment.best_of_tracks(candidates, scores)
    alternatives = _alternatives(library, positions, candidates, best)
    rivals = [number for number in best[1:] if number not in alternatives]
    leader = float(scores[best[0]]) if len(best) else 0.0
    other = float(scores[rivals[0]]) if rivals else 0.0
    sounding_s, size = (len(queries) - 1) * library.hop_s + library.window_s, len(library)
    threshold = CALIBRATION.score_needed(sounding_s, size, confidence)
    named = best[:top_k]
    places = candidates.take(named)
    tracks = [library.track(int(number)) for number in library.spans(places.firsts)[0]]
    nearby = alignment.around(library, queries, positions, places)
    starts = places.starts + alignment.peaks(nearby)
    matches = []
    for number, track, start, near in zip(named, tracks, starts, nearby, strict=True):
        library.require_intact(track)
        score = float(scores[number])
        terms = np.full(len(fingerprints), np.nan, np.float32)
        terms[positions] = near[1]
        matches.append(
            Match(
                track,
                float(start - track.first) * library.hop_s,
                score,
                CALIBRATION.confidence(score, sounding_s, size),
                terms,
                number in alternatives,
            )
        )
    duration_s = (len(fingerprints) - 1) * library.hop_s + library.window_s
    identified = bool(matches) and matches[0].score >= threshold
    return Answer(matches, identified, threshold, leader - other, 0.0, duration_s)


def _alternatives(
    library: Collection, positions: np.ndarray, candidates: Candidates, best: np.ndarray
) -> set[int]:
    """Which of the ``best`` candidates have the music that the first one has."""
    if len(best) < 2:
        return set()
    others = best[1 : 1 + _RIVALS]
    alike = alignment.agreement(
        library, positions, candidates.take(best[:1]), candidates.take(others)
    )
    return {int(number) for number in others[alike >= SAME_MUSIC]}


def identify_audio(
    library: Collection,
    fingerprinter: Fingerprinter,
    samples: np.ndarray,
    *,
    longest_s: float = LONGEST_S,
    top_k: int = 5,
    k: int | None = None,
    confidence: float | None = None,
) -> Answer:
    """Find out which recording mono ``samples [n]`` at 16 kHz are; see :func:`identify`.

    Of a clip longer than ``longest_s`` the loudest so many seconds are used (the first of equally
    loud ones); the answer says which.

    Raises MatchError for a clip that is silent or shorter than a segment, LibraryError if another
    network made the library, ValueError for samples that are not finite or not [n].
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise ValueError(f"mono audio [samples] is expected, got an array of {samples.shape}")
    pieces = np.split(samples, range(audio.SAMPLE_RATE, len(samples), audio.SAMPLE_RATE))
    library.check_query(fingerprinter)
    clip, start_s = loudest(pieces, longest_s)
    return _identify_clip(
        library, fingerprinter, clip, start_s, top_k=top_k, k=k, confidence=confidence
    )


def identify_file(
    library: Collection,
    fingerprinter: Fingerprinter,
    path: str | os.PathLike[str],
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    longest_s: float = LONGEST_S,
    top_k: int = 5,
    k: int | None = None,
    confidence: float | None = None,
) -> Answer:
    """Find out which recording an audio file is, or ``duration_s`` seconds from ``start_s`` on.

    As :func:`identify_audio`, with ``query_start_s`` counted from the beginning of the file. Memory
    is bounded however long the file is. Also raises AudioError if it cannot be read.
    """
    library.check_query(fingerprinter)
    # Seconds, so that the loudest part can be chosen in one pass without holding them all.
    pieces = audio.stream(path, chunk_s=1.0, start_s=start_s, duration_s=duration_s)
    clip, offset_s = loudest(pieces, longest_s)
    return _identify_clip(
        library, fingerprinter, clip, start_s + offset_s, top_k=top_k, k=k, confidence=confidence
    )


def shift_answer(answer: Answer, seconds: float) -> Answer:
    """The answer for a clip that begins so many seconds into what it is a part of."""
    return replace(answer, query_start_s=answer.query_start_s + seconds)


def _identify_clip(
    library: Collection,
    fingerprinter: Fingerprinter,
    clip: np.ndarray,
    start_s: float,
    *,
    top_k: int,
    k: int | None,
    confidence: float | None,
) -> Answer:
    duration_s = len(clip) / audio.SAMPLE_RATE
    if duration_s < fingerprinter.window_s:
        raise MatchError(
            f"the clip is {duration_s:.2f} s long, and at least {fingerprinter.window_s:g} s is "
            "needed: record or choose more"
        )
    answer = identify(library, fingerprinter(clip), top_k=top_k, k=k, confidence=confidence)
    return replace(answer, query_start_s=start_s, query_duration_s=duration_s)


def loudest(pieces: Iterable[np.ndarray], longest_s: float = LONGEST_S) -> tuple[np.ndarray, float]:
    """Of audio in pieces of a second, the loudest ``longest_s`` seconds and where they begin.

    Of equally loud ones the first; in one pass, and never holding more.
    """
    size = max(1, round(longest_s))
    window: deque[np.ndarray] = deque(maxlen=size)
    energies: deque[float] = deque(maxlen=size)
    loudest, most, begin = [np.empty(0, np.float32)], -1.0, 0
    for number, piece in enumerate(pieces):
        window.append(piece)
        energies.append(float(np.square(piece, dtype=np.float64).sum()))
        total = math.fsum(energies)
        if len(window) < size or number < size or total > most:
            loudest, most, begin = list(window), total, number + 1 - len(window)
    return np.concatenate(loudest), float(begin)
