"""How well samples are found: mAP, hit rates, places and false accepts, with intervals.

A query is a song, or a clip of one, and a ranking of the songs of a library is the answer. Average
precision is divided by all songs that the query samples, not by those that were found.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grafprint.errors import DataError
from grafprint.evaluation.intervals import Rate, percentiles, plain, wilson
from grafprint.evaluation.ranking import draws, rank

RANKS = (1, 5, 10)  # of the hit rates
TOLERANCE_S = 2.5  # of a place, in the query and in the sampled song
_LEAST_S = 1.0  # of an occurrence that is in a clip
_ROUNDS = 1000  # of the bootstrap


@dataclass(frozen=True)
class Occurrence:
    """A part of a query in which a part of another song sounds.

    ``places_s`` are where that part begins and ends in the song: the song may repeat it, and each
    time is as right. ``aligned``: begin and end in the query are begin and end there, so what
    sounds in between is known, too; if not, any time within the place is right.
    """

    start_s: float
    end_s: float
    places_s: tuple[tuple[float, float], ...]
    aligned: bool = True

    def error_s(self, query_s: float, song_s: float) -> float:
        """How far a pair of times, in the query and in the song, is from being right.

        The larger of both distances, in seconds.
        """
        inside = min(max(query_s, self.start_s), self.end_s)
        share = (inside - self.start_s) / max(self.end_s - self.start_s, 1e-9)
        distances = []
        for begin, end in self.places_s:
            nearest = (
                begin + share * (end - begin) if self.aligned else min(max(song_s, begin), end)
            )
            distances.append(abs(song_s - nearest))
        return max(abs(query_s - inside), min(distances, default=math.inf))

    def cut(self, start_s: float, end_s: float) -> Occurrence | None:
        """What is left of it in a clip of the query, in the clip's time; None if it is nothing."""
        begin, end = max(self.start_s, start_s), min(self.end_s, end_s)
        if end <= begin:
            return None
        places = self.places_s
        if self.aligned:
            share = [(t - self.start_s) / (self.end_s - self.start_s) for t in (begin, end)]
            places = tuple((a + share[0] * (b - a), a + share[1] * (b - a)) for a, b in places)
        return Occurrence(begin - start_s, end - start_s, places, self.aligned)


@dataclass(frozen=True)
class SampleQuery:
    """What is true of a query: the songs that it samples, and where; none for an *empty* query.

    ``groups`` say what kind of query it is (``{"change": "tempo"}``). Queries of one ``cluster``
    are alike, as those that sample the same song: intervals count with that.
    """

    name: str
    sampled: Mapping[str, tuple[Occurrence, ...]]
    groups: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""

    def cut(self, start_s: float, end_s: float) -> SampleQuery:
        """What is true of a clip: a song counts if at least a second of it is in the clip."""
        sampled = {}
        for song, occurrences in self.sampled.items():
            parts = [part for o in occurrences if (part := o.cut(start_s, end_s))]
            # Loops are cut at the clip's ends, so what counts is how long they sound together.
            if sum(part.end_s - part.start_s for part in parts) >= _LEAST_S:
                sampled[song] = tuple(parts)
        return SampleQuery(self.name, sampled, self.groups, self.cluster)


@dataclass(frozen=True)
class RankedSong:
    """A song of the library that a query may sample, and a pair of times that match."""

    song: str
    score: float
    query_s: float
    song_s: float


@dataclass(frozen=True)
class SampleAnswer:
    """The songs that a query may sample, best first. ``reported``: whether the first is named."""

    songs: tuple[RankedSong, ...]
    reported: bool


@dataclass(frozen=True)
class SampleScores:
    """Figures of one set of queries; rates are with 95 % intervals, None if nothing is measured.

    Of the ``queries`` that sample something: mean average precision, hit rates by rank, how often
    the first song is right and its place within 2.5 s (``located``; ``located_of_first``: of those
    whose first song is right), and how often a right song is reported. Of the ``empty`` ones: how
    often any is reported (``false_accepts``). ``area`` is that under the ROC curve of the best
    scores, between both.
    """

    queries: int
    empty: int
    mean_average_precision: Rate | None
    hit_rates: dict[int, Rate | None]
    located: Rate | None
    located_of_first: Rate | None
    reported: Rate | None
    false_accepts: Rate | None
    area: Rate | None

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values; rates are [value, low, high]."""
        return {
            "queries": self.queries,
            "empty": self.empty,
            "mean_average_precision": plain(self.mean_average_precision),
            "hit_rates": {str(k): plain(rate) for k, rate in self.hit_rates.items()},
            "located": plain(self.located),
            "located_of_first": plain(self.located_of_first),
            "reported": plain(self.reported),
            "false_accepts": plain(self.false_accepts),
            "area": plain(self.area),
        }


def average_precision(ranking: Sequence[str], relevant: Collection[str]) -> float:
    """Mean over all ``relevant`` songs of the precision down to each; 0 for those not ranked.

    A song that is ranked twice counts once. Raises ValueError if no song is relevant.
    """
    if not relevant:
        raise ValueError("average precision needs a relevant song")
    distinct = list(dict.fromkeys(ranking))
    hits = np.array([song in relevant for song in distinct], bool)
    if not hits.any():
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].sum() / len(set(relevant)))


def is_located(
    song: RankedSong,
    sampled: Mapping[str, tuple[Occurrence, ...]],
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Whether a song is sampled, and its pair of times right within the tolerance."""
    occurrences = sampled.get(song.song, ())
    return any(o.error_s(song.query_s, song.song_s) <= tolerance_s for o in occurrences)


def score_samples(
    queries: Sequence[SampleQuery], answers: Sequence[SampleAnswer], seed: int = 0
) -> SampleScores:
    """The figures of answers to queries, one each.

    Intervals are of the percentile bootstrap over clusters of queries, those of false accepts
    Wilson's. Raises DataError if there is no query, or not one answer for each.
    """
    if not queries or len(queries) != len(answers):
        raise DataError(f"{len(queries)} queries, but {len(answers)} answers: one is needed each")
    weights = _weights([query.cluster or query.name for query in queries], seed)
    full = np.array([bool(query.sampled) for query in queries])
    rankings = [[song.song for song in answer.songs] for answer in answers]
    precision = np.zeros(len(queries))
    ranks = np.full(len(queries), np.inf)  # of the first right song
    located, reported = np.zeros((2, len(queries)), bool)
    for number, (query, answer) in enumerate(zip(queries, answers, strict=True)):
        if not query.sampled:
            continue
        ranking = rankings[number]
        precision[number] = average_precision(ranking, query.sampled)
        ranks[number] = next((n for n, s in enumerate(ranking, 1) if s in query.sampled), np.inf)
        located[number] = bool(answer.songs) and is_located(answer.songs[0], query.sampled)
        reported[number] = answer.reported and ranks[number] == 1
    wrong = [answer.reported for query, answer in zip(queries, answers, strict=True)
             if not query.sampled]  # fmt: skip
    return SampleScores(
        int(full.sum()),
        int((~full).sum()),
        _mean(precision, full, weights),
        {k: _mean(ranks <= k, full, weights) for k in RANKS},
        _mean(located, full, weights),
        _mean(located, full & (ranks == 1), weights),
        _mean(reported, full, weights),
        wilson(sum(wrong), len(wrong)) if wrong else None,
        _area([answer.songs[0].score if answer.songs else None for answer in answers],
              full, weights),
    )  # fmt: skip


def score_groups(
    queries: Sequence[SampleQuery], answers: Sequence[SampleAnswer], seed: int = 0
) -> dict[str, dict[str, SampleScores]]:
    """:func:`score_samples` for each value of each group, in order of appearance."""
    members: dict[str, dict[str, list[int]]] = {}
    for number, query in enumerate(queries):
        for group, value in query.groups.items():
            members.setdefault(group, {}).setdefault(value, []).append(number)
    return {
        group: {
            value: score_samples([queries[n] for n in those], [answers[n] for n in those], seed)
            for value, those in values.items()
        }
        for group, values in members.items()
    }


def empty_scores(queries: Sequence[SampleQuery], answers: Sequence[SampleAnswer]) -> list[float]:
    """The score of the best song that each empty query found, if any, the highest first."""
    empty = [answer for query, answer in zip(queries, answers, strict=True) if not query.sampled]
    return sorted((answer.songs[0].score for answer in empty if answer.songs), reverse=True)


def least_score(
    queries: Sequence[SampleQuery], answers: Sequence[SampleAnswer], share: float = 0.05
) -> float | None:
    """The lowest threshold that the best songs of at most ``share`` of the empty queries reach.

    None if there is no empty query, or so few of them has an answer that any threshold will do.
    """
    best = empty_scores(queries, answers)
    allowed = int(share * sum(not query.sampled for query in queries))
    return float(np.nextafter(best[allowed], np.inf)) if len(best) > allowed else None


def compare_precision(
    queries: Sequence[SampleQuery],
    first: Sequence[SampleAnswer],
    second: Sequence[SampleAnswer],
    seed: int = 0,
) -> Rate:
    """By how much the mean average precision of ``second`` answers exceeds that of ``first`` ones.

    The interval is paired: both answer the queries that are drawn. Raises DataError if no query
    samples anything.
    """
    full = np.array([bool(query.sampled) for query in queries])
    gains = np.zeros(len(queries))
    for number, (query, one, two) in enumerate(zip(queries, first, second, strict=True)):
        if query.sampled:
            before, after = ([song.song for song in answer.songs] for answer in (one, two))
            gains[number] = average_precision(after, query.sampled)
            gains[number] -= average_precision(before, query.sampled)
    gain = _mean(gains, full, _weights([query.cluster or query.name for query in queries], seed))
    if gain is None:
        raise DataError("none of the queries samples anything")
    return gain


def _weights(clusters: list[str], seed: int) -> np.ndarray:
    """How often each query counts: once in the first row, then as its cluster is drawn."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    drawn = draws(len(numbers), _ROUNDS, seed)
    columns = drawn[:, [numbers[name] for name in clusters]]
    return np.concatenate([np.ones((1, len(clusters)), np.float32), columns])


def _mean(values: np.ndarray, which: np.ndarray, weights: np.ndarray) -> Rate | None:
    """The mean of some queries' values, and its interval."""
    if not which.any():
        return None
    part = weights[:, which].astype(np.float64)
    with np.errstate(invalid="ignore"):
        means = part @ values[which].astype(np.float64) / part.sum(axis=1)
    return float(means[0]), *percentiles(means[1:])


def _area(scores: list[float | None], full: np.ndarray, weights: np.ndarray) -> Rate | None:
    """The area under the ROC curve; a query that found no song scores below all others."""
    known = [score for score in scores if score is not None]
    if full.all() or not full.any():
        return None
    lowest = min(known, default=0.0) - 1
    filled = np.array([lowest if score is None else score for score in scores])
    areas = rank(filled, full, weights).area
    return float(areas[0]), *percentiles(areas[1:])
