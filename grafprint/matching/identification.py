"""Which recording a clip is and where it begins in it: sequence search and open-set decision.

Section II-D of the GraFPrint paper. Each query segment proposes its nearest neighbours; a neighbour
minus the segment's own position (Eq. 7) is a candidate start. Each candidate is scored with the
uncompressed fingerprints from there on (Eq. 8), but never across the end of a track.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grafprint.errors import MatchError
from grafprint.library.records import Track
from grafprint.matching import alignment, witness
from grafprint.matching.alignment import Candidates
from grafprint.matching.collection import Collection
from grafprint.matching.confidence import FINGERPRINTS, LANDMARKS
from grafprint.matching.landmarks import ClipContrast

# Mean inner product from which two places have the same audio; between different music, even clean
# seconds stay below 0.7 (benchmarks/calibration.py).
SAME_MUSIC = 0.75
_RIVALS = 20  # how many tracks are compared with the best one for that
_HEARD = 512  # candidates that are scored in full where landmarks decide too


@dataclass(frozen=True, eq=False)
class Match:
    """A track that the query may come from.

    ``start_s`` is the time in the track at which the query begins; negative if it begins before
    the track does. ``score`` is the mean inner product of Eq. 8 (1: identical), less where the
    query hangs over an end of the track (alignment.py), ``segment_scores`` its terms, float32 [m],
    NaN for segments that are silent or outside the track. ``confidence`` is the probability (0..1)
    that the match is right, by confidence.py. ``alternative``: this track has the same audio there
    as the best match (another release, a compilation, a shared loop). ``landmarks`` is how much
    louder the clip is at the track's spectral peaks than around them, in standard deviations; None
    if they were not asked.
    """

    track: Track
    start_s: float
    score: float
    confidence: float
    segment_scores: np.ndarray
    alternative: bool = False
    landmarks: float | None = None

    @property
    def evidence(self) -> float:
        """What speaks for the match: its score, and more where its landmarks are in the clip."""
        return self.score + witness.WEIGHT * (self.landmarks or 0.0)

    def to_json(self) -> dict[str, Any]:
        """The match as plain values; a segment that was not compared is None."""
        terms = [None if np.isnan(s) else round(float(s), 4) for s in self.segment_scores]
        return {
            "track": self.track.id,
            "path": self.track.path,
            "duration_s": round(self.track.duration_s, 3),
            "title": self.track.title,
            "artist": self.track.artist,
            "album": self.track.album,
            "licence": self.track.licence,
            "start_s": round(self.start_s, 3),
            "score": round(self.score, 4),
            "confidence": round(self.confidence, 4),
            "landmarks": None if self.landmarks is None else round(self.landmarks, 4),
            "alternative": self.alternative,
            "segment_scores": terms,
        }


@dataclass(frozen=True, eq=False)
class Answer:
    """The best match of each track, best first.

    ``identified``: the best match reaches the confidence threshold, that is, its score reaches
    ``threshold``, which depends on its landmarks and its lead (0: with these any score would do);
    if not, the query is probably not in the library. ``lead`` is the evidence for the best match
    minus that for the best track that is not an alternative; None if there is no such track.
    ``query_start_s`` and ``query_duration_s`` tell which part of the clip was used, ``part``
    whether there is more of it; the matches' ``start_s`` is where that part begins in the track.
    """

    matches: list[Match]
    identified: bool
    threshold: float
    lead: float | None
    query_start_s: float
    query_duration_s: float
    part: bool = False

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
    def alternatives(self) -> list[Match]:
        """The other tracks that have the same audio as the best match."""
        return [match for match in self.matches if match.alternative]


def identify(
    library: Collection,
    fingerprints: np.ndarray,
    *,
    top_k: int = 5,
    k: int | None = None,
    confidence: float | None = None,
    looks: int = 1,
    spectrum: np.ndarray | None = None,
) -> Answer:
    """Find the tracks from which consecutive query ``fingerprints [m, dim]`` may come.

    ``k`` neighbours of each segment propose candidates (None: as many as the library's index needs,
    at least 20); the best candidate of each of the ``top_k`` best tracks is returned. Silent
    segments (zero vectors) are ignored. A query may begin before a track or end after it: the score
    is that of the segments inside (see :func:`~grafprint.matching.alignment.score_candidates`),
    which must be at least half of the query's, or the whole track if that is shorter. The start is
    refined between the fingerprints of the track (a parabola through the scores one hop before and
    after). ``spectrum [frames, 256]`` (:func:`grafprint.audio.landmarks.contrast`) is the clip's
    spectrogram: with it, the landmarks of a library that has them decide too. ``confidence`` is the
    threshold (0 to 1, both excluded) from which the best match counts as identified; None: the one
    with a false positive rate of about 1 %. ``looks`` is how many versions or parts of a recording
    are tried: a match counts as identified at odds as many times as high, since each is another
    chance to be wrong. Time grows with the square of ``m``, memory does not.

    Raises MatchError if the library is empty or all segments are silent, LibraryError if the
    fingerprints of a returned track are damaged, ValueError if ``fingerprints`` have the wrong
    shape or are not finite, or ``confidence`` is out of range.
    """
    (answer,) = identify_many(
        library,
        [fingerprints],
        top_k=top_k,
        k=k,
        confidence=confidence,
        looks=looks,
        spectra=[spectrum],
    )
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
    looks: int = 1,
    spectra: Sequence[np.ndarray | None] | None = None,
) -> list[Answer | None]:
    """:func:`identify` for many ``clips``, each ``[m, dim]``; None for silent ones.

    ``spectra`` are those of each clip, if there are any. If search is exact, all their segments
    are searched for together.
    """
    if confidence is not None and not 0 < confidence < 1:
        raise ValueError(f"the confidence threshold must be between 0 and 1, not {confidence}")
    queries = [np.asarray(clip, np.float32) for clip in clips]
    for q in queries:
        if q.ndim != 2 or q.shape[1] != library.dim or not np.isfinite(q).all():
            raise ValueError(f"fingerprints must be finite and [m, {library.dim}], not {q.shape}")
    non_silent = [np.flatnonzero(q.any(axis=1)) for q in queries]
    with library.locked():
        if not len(library):
            raise MatchError(f"the library {library.location} is empty: index some music first")
        segments = [q[positions] for q, positions in zip(queries, non_silent, strict=True)]
        if library.exact:  # together, which is several times faster
            rows = library.search(
                np.concatenate([*segments, np.empty((0, library.dim), np.float32)]), k
            )[1]
            neighbours = np.split(rows, np.cumsum([len(part) for part in segments])[:-1])
        else:  # one by one: nprobe and k depend on the clip's length
            neighbours = [library.search(part, k)[1] for part in segments]
        return [
            _answer(library, q, positions, near, top_k, confidence, looks, heard)
            if len(positions)
            else None
            for q, positions, near, heard in zip(
                queries, non_silent, neighbours, spectra or [None] * len(queries), strict=True
            )
        ]


def _answer(
    library: Collection,
    fingerprints: np.ndarray,
    positions: np.ndarray,
    neighbours: np.ndarray,
    top_k: int,
    confidence: float | None,
    looks: int,
    spectrum: np.ndarray | None,
) -> Answer:
    """Align and decide; ``neighbours [n, k]`` are rows near the segments at ``positions [n]``."""
    queries = fingerprints[positions]
    candidates = alignment.propose(library, neighbours, positions)
    if spectrum is not None and library.has_landmarks:
        candidates, scores = alignment.score_candidates(
            library, queries, positions, candidates, short=_HEARD
        )
        candidates, scores, fits = witness.hear(
            library, ClipContrast(spectrum), queries, positions, candidates, scores
        )
        calibration, evidence = LANDMARKS, scores + witness.WEIGHT * fits
    else:
        candidates, scores = alignment.score_candidates(library, queries, positions, candidates)
        fits, calibration, evidence = None, FINGERPRINTS, scores
    best = alignment.best_of_tracks(candidates, evidence)
    alternatives = _alternatives(library, positions, candidates, best)
    rivals = [number for number in best[1:] if number not in alternatives]
    leader = float(evidence[best[0]]) if len(best) else 0.0
    rival = float(evidence[rivals[0]]) if rivals else None
    sounding_s, size = (len(queries) - 1) * library.hop_s + library.window_s, len(library)
    needed = calibration.score_needed(sounding_s, size, confidence, rival, looks)
    named = best[:top_k]
    places = candidates.take(named)
    tracks = [library.track(int(number)) for number in library.spans(places.firsts)[0]]
    nearby = alignment.around(library, queries, positions, places)
    # From the track's beginning: row numbers may be too large for fractions.
    starts = places.starts - places.firsts + alignment.peaks(nearby)
    matches = []
    for number, track, start, near in zip(named, tracks, starts, nearby, strict=True):
        library.require_intact(track)
        terms = np.full(len(fingerprints), np.nan, np.float32)
        terms[positions] = near[1]
        matches.append(
            Match(
                track,
                float(start) * library.hop_s,
                float(scores[number]),
                calibration.confidence(
                    float(evidence[number]),
                    sounding_s,
                    size,
                    # Alternatives do not compete with the best match; others do.
                    rival if number == best[0] or number in alternatives else leader,
                ),
                terms,
                number in alternatives,
                float(fits[number]) if fits is not None else None,
            )
        )
    duration_s = (len(fingerprints) - 1) * library.hop_s + library.window_s
    identified = bool(matches) and leader >= needed
    of_landmarks = witness.WEIGHT * (matches[0].landmarks or 0.0) if matches else 0.0
    threshold = max(0.0, needed - of_landmarks)
    lead = None if rival is None else leader - rival
    return Answer(matches, identified, threshold, lead, 0.0, duration_s)


def _alternatives(
    library: Collection, positions: np.ndarray, candidates: Candidates, best: np.ndarray
) -> set[int]:
    """Those of the ``best`` candidates that have the same audio as the first one."""
    if len(best) < 2:
        return set()
    others = best[1 : 1 + _RIVALS]
    alike = alignment.agreement(
        library, positions, candidates.take(best[:1]), candidates.take(others)
    )
    return {int(number) for number in others[alike >= SAME_MUSIC]}


def shift_answer(answer: Answer, seconds: float) -> Answer:
    """The answer for a clip that begins ``seconds`` into the audio it is a part of."""
    return replace(answer, query_start_s=answer.query_start_s + seconds)
