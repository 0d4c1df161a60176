"""Lines of matches: loops, speeds, noise, gaps; and the regions in seconds."""

import numpy as np
import pytest

from grafprint.matching.samples.places import regions_of
from grafprint.matching.samples.regions import Pairs, find_lines

HOP_S, WINDOW_S = 0.512, 4.08


def line(first: int, last: int, speed: float, offset: float, weight: float = 1.0) -> Pairs:
    song = np.arange(first, last + 1)
    track = np.round(speed * song + offset).astype(int)
    return Pairs(song, track, np.full(len(song), weight))


def joined(*parts: Pairs) -> Pairs:
    return Pairs(
        *(np.concatenate([getattr(p, n) for p in parts]) for n in ("song", "track", "weight"))
    )


def noise(count: int, weight: float = 0.3) -> Pairs:
    rng = np.random.default_rng(0)
    return Pairs(rng.integers(0, 120, count), rng.integers(0, 400, count), np.full(count, weight))


@pytest.mark.parametrize("speed", [0.75, 0.94, 1.0, 1.12, 1.4])
def test_a_loop_at_any_speed_is_one_line_and_its_speed_is_told(speed: float):
    pairs = joined(noise(100), line(20, 50, speed, 60))
    best = find_lines(pairs, HOP_S, WINDOW_S)[0]
    assert best.told and best.speed == pytest.approx(speed, abs=0.04)
    assert {20, 35, 50} <= set(pairs.song[best.members].tolist())
    assert set(pairs.song[best.members].tolist()) <= set(range(11, 60))


def test_each_repetition_of_a_loop_is_a_region():
    pairs = joined(*(line(begin, begin + 12, 1.0, 100 - begin) for begin in (0, 25, 50)))
    lines = find_lines(pairs, HOP_S, WINDOW_S)
    assert len(lines) == 3
    assert sorted(int(pairs.song[x.members[0]]) for x in lines) == [0, 25, 50]


def test_of_each_part_of_the_song_only_the_best_place_is_kept():
    pairs = joined(line(10, 30, 1.0, 5, weight=1.0), line(10, 30, 1.0, 205, weight=0.8))
    (only,) = find_lines(pairs, HOP_S, WINDOW_S)
    assert (pairs.track[only.members] < 100).all()


def test_a_long_gap_parts_a_line():
    lines = find_lines(joined(line(0, 10, 1.0, 0), line(40, 50, 1.0, 0)), HOP_S, WINDOW_S)
    assert len(lines) == 2


def test_one_match_makes_a_region_of_a_window_whose_speed_is_not_told():
    pairs = Pairs(np.array([4]), np.array([9]), np.array([0.5]))
    (only,) = find_lines(pairs, HOP_S, WINDOW_S)
    assert not only.told and only.speed == 1
    (region,) = regions_of(pairs, [only], np.array([0.7]), None, HOP_S, WINDOW_S, 60.0)
    assert region.end_s - region.start_s == pytest.approx(WINDOW_S)
    assert region.track_start_s == pytest.approx(9 * HOP_S)
    assert (region.speed, region.probability, region.segments) == (None, None, 1)


def test_weights_of_nothing_make_no_line():
    assert find_lines(Pairs(np.arange(3), np.arange(3), np.zeros(3)), HOP_S, WINDOW_S) == []


def test_regions_are_in_order_do_not_overlap_and_stay_in_the_track():
    pairs = joined(line(30, 50, 1.3, 10), line(0, 24, 1.0, 0))
    lines = find_lines(pairs, HOP_S, WINDOW_S)
    count = len(pairs)
    regions = regions_of(
        pairs, lines, np.full(count, 0.8), np.full(count, 0.9), HOP_S, WINDOW_S, 40.0, start_s=100.0
    )
    assert len(regions) == 2
    first, second = regions
    assert first.start_s == pytest.approx(100) and first.end_s <= second.start_s
    assert second.track_end_s <= 40.0
    assert (first.probability, first.similarity) == (0.9, 0.8)
    # The middle of what matches is where the line says, whatever the speed.
    faster = regions_of(
        line(0, 20, 1.25, 0), find_lines(line(0, 20, 1.25, 0), HOP_S, WINDOW_S),
        np.ones(21), None, HOP_S, WINDOW_S, 99.0,
    )[0]  # fmt: skip
    middle_s = (faster.track_start_s + faster.track_end_s) / 2
    assert middle_s == pytest.approx(1.25 * 10 * HOP_S + WINDOW_S / 2, abs=0.3)


def test_lines_of_an_hour_are_found():
    pairs = joined(noise(3000), line(3000, 3020, 1.1, -3000))
    best = find_lines(pairs, HOP_S, WINDOW_S, most=1)[0]
    assert pairs.song[best.members].min() >= 2990
