"""Figures of sample identification against values worked out by hand, and against loops."""

import math

import numpy as np
import pytest

from grafprint.errors import DataError
from grafprint.evaluation.samples import (
    Occurrence,
    RankedSong,
    SampleAnswer,
    SampleQuery,
    average_precision,
    compare_precision,
    is_located,
    least_score,
    score_groups,
    score_samples,
)

LOOP = Occurrence(10.0, 14.0, ((30.0, 35.0), (50.0, 55.0)))  # played 1.25 times as fast


def answer(*songs: str, reported: bool = True, score: float = 1.0) -> SampleAnswer:
    """A ranking whose first song is at the right place of LOOP."""
    ranked = (RankedSong(name, score - n, 12.0, 32.5) for n, name in enumerate(songs))
    return SampleAnswer(tuple(ranked), reported)


def query(name: str, *songs: str, **groups: str) -> SampleQuery:
    return SampleQuery(name, dict.fromkeys(songs, (LOOP,)), groups, songs[0] if songs else name)


def test_average_precision_is_divided_by_all_relevant_songs():
    assert average_precision(["a", "x", "b"], {"a", "b", "c"}) == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision(["x", "a"], {"a"}) == 0.5
    assert average_precision(["x"], {"a"}) == 0.0 == average_precision([], {"a"})
    assert average_precision(["x", "x", "a"], {"a"}) == 0.5  # named twice, counted once
    with pytest.raises(ValueError, match="needs a relevant song"):
        average_precision(["a"], set())


def test_average_precision_equals_a_loop_over_ranks():
    rng = np.random.default_rng(0)
    for _ in range(50):
        ranking = [str(n) for n in rng.permutation(30)[: rng.integers(1, 30)]]
        relevant = {str(n) for n in rng.permutation(40)[: rng.integers(1, 6)]}
        total, hits = 0.0, 0
        for place, song in enumerate(ranking, 1):
            if song in relevant:
                hits += 1
                total += hits / place
        assert average_precision(ranking, relevant) == pytest.approx(total / len(relevant))


def test_a_place_is_right_where_the_loop_and_its_repeats_are():
    assert LOOP.error_s(12.0, 32.5) == 0 == LOOP.error_s(12.0, 52.5)
    assert LOOP.error_s(12.0, 30.0) == pytest.approx(2.5)  # the loop, but another moment of it
    assert LOOP.error_s(15.0, 35.0) == pytest.approx(1.0)  # after its end in the query
    found = RankedSong("a", 1.0, 12.0, 34.9)
    assert is_located(found, {"a": (LOOP,)})
    assert not is_located(found, {"a": (LOOP,)}, tolerance_s=2.0)
    assert not is_located(found, {"b": (LOOP,)})
    loose = Occurrence(10.0, 14.0, ((30.0, 35.0),), aligned=False)
    assert loose.error_s(12.0, 34.9) == 0
    assert loose.error_s(12.0, 38.0) == pytest.approx(3.0)
    assert math.isinf(Occurrence(0, 1, ()).error_s(0.5, 0.5))


def test_a_clip_has_what_is_left_of_the_loop_in_it():
    whole = query("q", "a")
    clip = whole.cut(11.0, 21.0)
    (part,) = clip.sampled["a"]
    assert (part.start_s, part.end_s) == (0.0, 3.0)
    assert part.places_s == ((31.25, 35.0), (51.25, 55.0))
    # Half a second of it does not count, but many short pieces do.
    assert not whole.cut(13.5, 20.0).sampled
    slices = tuple(Occurrence(n / 2, n / 2 + 0.5, ((n, n + 0.5),)) for n in range(4))
    assert len(SampleQuery("q", {"a": slices}).cut(0.25, 9.0).sampled["a"]) == 4


def test_figures_are_those_worked_out_by_hand():
    queries = [query("1", "a"), query("2", "b"), query("3", "c", "d"), query("4"), query("5")]
    answers = [
        answer("a", score=5.0),
        answer("x", "y", "b", score=4.0, reported=False),
        answer("c", "x", "d", score=3.0),
        answer("x", score=3.5, reported=False),
        answer("y", score=2.0),
    ]
    found = score_samples(queries, answers)
    assert (found.queries, found.empty) == (3, 2)
    assert found.mean_average_precision is not None
    assert found.mean_average_precision[0] == pytest.approx((1 + 1 / 3 + (1 + 2 / 3) / 2) / 3)
    rates = [rate[0] for rate in found.hit_rates.values() if rate]
    assert rates == pytest.approx([2 / 3, 1, 1])
    assert found.located and found.located[0] == pytest.approx(2 / 3)
    assert found.located_of_first and found.located_of_first[0] == 1
    assert found.reported and found.reported[0] == pytest.approx(2 / 3)
    assert found.false_accepts and found.false_accepts[0] == 0.5
    # 5 and 4 are above both empty ones, 3 above one: five of six pairs.
    assert found.area and found.area[0] == pytest.approx(5 / 6)
    low, high = found.mean_average_precision[1:]
    assert 0.3 < low <= found.mean_average_precision[0] <= high <= 1


def test_a_query_without_any_answer_counts_as_missed_and_least_likely():
    queries = [query("1", "a"), query("2", "b"), query("3")]
    answers = [answer("a"), SampleAnswer((), False), answer("x", score=0.5, reported=False)]
    found = score_samples(queries, answers)
    assert found.mean_average_precision and found.mean_average_precision[0] == 0.5
    assert found.area and found.area[0] == 0.5
    assert score_samples(queries[2:], answers[2:]).mean_average_precision is None
    assert score_samples(queries[:2], answers[:2]).area is None
    with pytest.raises(DataError, match="one is needed each"):
        score_samples(queries, answers[:2])


def test_intervals_are_wider_where_queries_are_of_few_songs():
    rng = np.random.default_rng(1)
    right = rng.random(12) < 0.5
    queries, alike, answers = [], [], []
    for song in range(12):  # each sampled by ten queries, which all succeed or all fail
        for number in range(10):
            name, sampled = f"{song} {number}", {f"s{song}": (LOOP,)}
            queries.append(SampleQuery(name, sampled, {}, name))
            alike.append(SampleQuery(name, sampled, {}, f"s{song}"))
            answers.append(answer(f"s{song}" if right[song] else "x"))

    def width(asked: list[SampleQuery]) -> float:
        rate = score_samples(asked, answers).mean_average_precision
        assert rate is not None
        return rate[2] - rate[1]

    assert width(alike) > 2 * width(queries)
    assert score_samples(queries, answers).to_json() == score_samples(queries, answers).to_json()


def test_groups_have_their_own_figures():
    queries = [query("1", "a", change="tempo"), query("2", "b", change="pitch"), query("3")]
    answers = [answer("a"), answer("x"), answer("x")]
    found = score_groups(queries, answers)
    rates = {value: scores.mean_average_precision for value, scores in found["change"].items()}
    assert rates["tempo"] == (1.0, 1.0, 1.0) and rates["pitch"] == (0.0, 0.0, 0.0)


def test_two_answers_to_the_same_queries_are_compared_in_pairs():
    queries = [query(str(n), f"s{n}") for n in range(40)] + [query("none")]
    first = [answer("x", f"s{n}") for n in range(40)] + [answer("x")]
    second = [answer(f"s{n}") for n in range(40)] + [answer("x")]
    assert compare_precision(queries, first, second) == (0.5, 0.5, 0.5)
    with pytest.raises(DataError, match="none of the queries"):
        compare_precision(queries[40:], first[40:], second[40:])


def test_the_least_score_lets_a_share_of_the_empty_queries_through():
    queries = [query(str(n)) for n in range(20)] + [query("full", "a")]
    answers = [answer("x", score=float(n)) for n in range(20)] + [answer("a", score=99.0)]
    least = least_score(queries, answers, share=0.1)
    assert least is not None and sum(a.songs[0].score >= least for a in answers[:20]) == 2
    assert 17.0 < least < 17.001
    assert (least_score(queries, answers, share=0.0) or 0) > 19.0
    nothing = [answer(), answer("x", score=5.0), *[answer()] * 18, answer("a")]
    assert least_score(queries, nothing) is None  # one in twenty may be let through
    assert least_score(queries[20:], answers[20:]) is None
