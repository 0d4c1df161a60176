"""The queries of the bench: what is drawn, what is true of them, interruption."""

import csv
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets.stems.trackers import Row
from benchmarks.shared.sample_bench import changes, loops, overlays, queries
from benchmarks.shared.sample_bench.changes import Change, draw_change
from benchmarks.shared.sample_bench.queries import BenchConfig, make_queries, make_query
from benchmarks.shared.sample_bench.sources import Song, Sources, find_sources
from grafprint import audio
from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.tempo import play_at_speed
from grafprint.errors import DataError
from tests.benchmarks.sample_folders import HELD_OUT, ROW_S, write_folders
from tests.libraries import excerpt

CONFIG = BenchConfig(stems=4, recordings=2, empty=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("bench"))


def sources_of(place: Path, **options: Any) -> Sources:
    return find_sources(place / "stems", place / "music", place / "more", place / "drums",
                        place / "speech", HELD_OUT, **options)  # fmt: skip


@pytest.fixture(scope="module")
def sources(place: Path) -> Sources:
    return sources_of(place, recordings=2)


@pytest.fixture(scope="module")
def made(place: Path, sources: Sources) -> list[dict]:
    return make_queries(place / "made", sources, CONFIG)


def test_what_is_laid_over_and_what_training_may_have_heard_is_in_no_library(sources: Sources):
    files = sources.library()
    assert len(sources.songs) == len(sources.recordings) == 2 and len(sources.held_out) == 3
    assert {name for name in files if name.startswith("distractors/")} == {
        "distractors/gamma__one.wav",
        *(f"distractors/{s}.wav" for s in ("alpha__one", "alpha__two", "beta__one")
          if f"music/{s}.wav" not in files),
    }  # fmt: skip
    # The rendering of a song that is a reference is not, and nothing of a package that is held out.
    assert not any("modules0" in path.name or "held" in path.name for path in files.values())
    assert all(song.package in ("modules0", "modules1") for song in sources.songs)


def test_drums_are_single_hits_known_by_their_names(sources: Sources):
    names = {name: [path.stem for path in hits] for name, hits in sources.drums.items()}
    assert names == {"kick": ["bd_one"], "snare": ["snare"], "hat": ["hat closed"]}


def test_missing_sources_are_named(place: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"python -m assets\.stems"):
        replace_folder(place, stems=tmp_path)
    with pytest.raises(DataError, match="recordings of the packages held, kept"):
        replace_folder(place, music=place / "more")
    with pytest.raises(DataError, match="named like a kick or a snare or a hat"):
        replace_folder(place, drums=place / "speech")
    with pytest.raises(DataError, match="should be speech"):
        replace_folder(place, speech=tmp_path / "empty")


def replace_folder(place: Path, **other: Path) -> Sources:
    """The sources, one of them from another folder."""
    where = {name: place / name for name in ("stems", "music", "more", "drums", "speech")} | other
    names = ("stems", "music", "more", "drums", "speech")
    stems, music, more, drums, speech = (where[name] for name in names)
    return find_sources(stems, music, more, drums, speech, HELD_OUT)


def stems_of(song: Song, stems: Iterable[str]) -> np.ndarray:
    """The sum of stems, from their files."""
    return np.sum([audio.load(song.mix.parent / f"{stem}.flac") for stem in stems], axis=0)


def test_loops_are_whole_bars_of_some_stems(sources: Sources):
    rng = np.random.default_rng(0)
    for _ in range(6):
        loop = loops.choose_loop(sources.songs[0], rng)
        assert loop.bars in (1, 2, 4) and len(loop.samples) == loop.bars * 2 * SAMPLE_RATE
        assert loop.start_s % 2 == 0 and loop.start_s in loop.places_s
        assert 1 <= len(loop.stems) < 3
        whole = stems_of(sources.songs[0], loop.stems)
        begin = round(loop.start_s * SAMPLE_RATE)
        np.testing.assert_allclose(
            loop.samples, whole[begin : begin + len(loop.samples)], atol=1e-6
        )
    free = loops.choose_loop(sources.recordings[0], rng)
    assert free.bars == 0 and free.stems == () and 2 <= free.duration_s <= 8


def test_bars_that_a_jump_cuts_short_are_not_used():
    rows = [Row(n * ROW_S, 0, n) for n in range(24)]  # the pattern breaks after 24 rows
    rows += [Row((24 + n) * ROW_S, 1, n) for n in range(33)]
    spans = loops.bar_spans(tuple(rows))
    assert spans == [(0.0, 2.0, 1), (3.0, 5.0, 1), (3.0, 7.0, 2), (5.0, 7.0, 1)]
    assert loops.bar_spans(()) == []


def test_repeats_of_a_loop_in_its_song_are_found():
    bar, other = excerpt(0, 20, 3.0), excerpt(1, 20, 2.0)
    whole = np.concatenate([bar, other, bar, 0.5 * bar, other])
    assert loops.repeats(bar, whole, 5 * SAMPLE_RATE) == (0.0, 5.0, 8.0)


@pytest.mark.parametrize("kind", list(changes.KINDS))
def test_changes_are_what_the_table_says(kind: str):
    loop = excerpt(3, 20, 4.0)
    semitones = {changes.VARISPEED: 12 * np.log2(1.25), changes.TEMPO: 0.0, changes.APART: -2.0}
    change = Change(kind, 1.25, float(semitones[kind]))
    played = changes.change(loop, change)
    assert len(played) == round(len(loop) / 1.25)
    # Undone, it has the song's spectrum again.
    back = play_at_speed(played, float(2 ** (-change.semitones / 12)))
    before, after = (np.abs(np.fft.rfft(x, 2**17))[2000:30_000].reshape(-1, 100).mean(axis=1)
                     for x in (loop, back))  # fmt: skip
    assert np.corrcoef(np.log(before + 1e-3), np.log(after + 1e-3))[0, 1] > 0.95


def test_slices_are_played_in_the_order_of_the_table():
    loop = excerpt(3, 20, 4.0)
    played = changes.change(loop, Change(changes.VARISPEED, 1.0, 0.0, slices=(2, 0, 3, 1)))
    quarters = np.split(loop, 4)
    expected = np.concatenate([quarters[n] for n in (2, 0, 3, 1)])
    assert len(played) == len(loop)
    assert np.corrcoef(played, expected)[0, 1] > 0.995


def test_changes_have_the_protocols_shares():
    rng = np.random.default_rng(0)
    drawn = [draw_change(4.0, rng) for _ in range(3000)]
    shares = {kind: np.mean([c.kind == kind for c in drawn]) for kind in changes.KINDS}
    assert shares == pytest.approx(changes.KINDS, abs=0.03)
    assert np.mean([bool(c.low_hz or c.high_hz) for c in drawn]) == pytest.approx(0.6, abs=0.03)
    assert np.mean([bool(c.compression) for c in drawn]) == pytest.approx(0.3, abs=0.03)
    assert np.mean([bool(c.slices) for c in drawn]) == pytest.approx(0.15, abs=0.03)
    # Sample100: 39 of 106 ratios are 1, 86 within a tenth.
    assert sum(changes.SAMPLE100_TEMPO.values()) == 106
    assert np.mean([c.speed == 1 for c in drawn]) == pytest.approx(39 / 106, abs=0.03)
    assert np.mean([abs(c.speed - 1) < 0.105 for c in drawn]) == pytest.approx(86 / 106, abs=0.03)
    for c in drawn:
        if c.kind == changes.VARISPEED:
            assert c.semitones == pytest.approx(12 * np.log2(c.speed), abs=1e-3)
        else:
            assert abs(c.semitones) <= (0 if c.kind == changes.TEMPO else 3)
    layers = [overlays.draw_layers(rng) for _ in range(3000)]
    some = 1 - 0.3 * 0.4 * 0.3  # none at all is drawn again
    for name, share in overlays.SHARES.items():
        assert np.mean([name in x for x in layers]) == pytest.approx(share / some, abs=0.03)


def test_a_beat_is_in_the_tempo_of_the_loop(sources: Sources):
    bar_s, first_s = 2.0, 3.3
    pattern = overlays.beat(sources.drums, bar_s, first_s, 20 * SAMPLE_RATE,
                            np.random.default_rng(0))  # fmt: skip
    bars = [pattern[round((first_s + n * bar_s) * SAMPLE_RATE) :][: 2 * SAMPLE_RATE]
            for n in range(-1, 8)]  # fmt: skip
    assert np.abs(pattern).max() > 0
    for a, b in pairwise(bars[:-1]):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert overlays.bar_of(4.0, 2, np.random.default_rng(0)) == 2.0
    for length in (1.5, 2.0, 3.7, 8.0, 10.6):
        beat_s = overlays.bar_of(length, 0, np.random.default_rng(0)) / 4
        assert 60 / 140 <= beat_s <= 60 / 70
        assert length / beat_s == pytest.approx(round(length / beat_s))


def test_the_loop_is_where_the_table_says(place: Path, sources: Sources, made: list[dict]):
    """Each occurrence, undone, is the song at the place that the table names."""
    files = {song.name: song for song in sources.songs}
    checked = 0
    for number, entry in enumerate(made[: CONFIG.stems]):
        # The same query with nothing over it: what is drawn does not depend on the overlay.
        alone = render_without_overlay(number, entry, sources)
        song = files[entry["song"]]
        whole = stems_of(song, entry["stems"])
        for occurrence in queries.occurrences(entry):
            heard = alone[round(occurrence.start_s * SAMPLE_RATE) :
                          round(occurrence.end_s * SAMPLE_RATE)]  # fmt: skip
            for begin, end in occurrence.places_s:
                there = whole[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
                assert envelope_correlation(heard, there) > 0.7
                checked += 1
    assert checked >= 10


def render_without_overlay(number: int, entry: dict, sources: Sources) -> np.ndarray:
    """What the entry says, rendered from the song alone, as a reader of the table would."""
    song = next(s for s in sources.songs if s.name == entry["song"])
    whole = stems_of(song, entry["stems"])
    begin = round(entry["loop_start_s"] * SAMPLE_RATE)
    loop = whole[begin : begin + round(entry["loop_s"] * SAMPLE_RATE)]
    change = Change(**{**entry["change"], "slices": tuple(entry["change"]["slices"])})
    played = changes.change(np.asarray(loop, np.float32), change)
    total = np.zeros(60 * SAMPLE_RATE, np.float32)
    first = round(entry["first_s"] * SAMPLE_RATE)
    total[first : first + entry["repeats"] * len(played)] = np.tile(played, entry["repeats"])
    # It is in the query: at the level that the table says, against what is over it.
    _, mixed = make_query(number, sources, CONFIG)
    sounding = slice(first, first + entry["repeats"] * len(played))
    gain = (mixed[sounding] @ total[sounding]) / (total[sounding] @ total[sounding])
    rest = mixed[sounding] - gain * total[sounding]
    level = loops.rms_db(gain * total[sounding]) - loops.rms_db(rest)
    assert level == pytest.approx(entry["level_db"], abs=1.5)
    return total


def envelope_correlation(heard: np.ndarray, there: np.ndarray) -> float:
    """Correlation of loudness over time, in 20 pieces, of sounds of different lengths."""
    curves = [
        [loops.rms_db(part) for part in np.array_split(sound, 20)] for sound in (heard, there)
    ]
    return float(np.corrcoef(np.array(curves))[0, 1])


def test_queries_are_as_long_and_as_often_sampled_as_the_protocol_says(
    place: Path, made: list[dict]
):
    assert [e["kind"] for e in made] == ["stems"] * 4 + ["recording"] * 2 + ["empty"] * 2
    for entry in made:
        assert len(audio.load(place / "made" / entry["file"])) == 60 * SAMPLE_RATE
        sounding = entry["repeats"] * entry["repeat_s"]
        assert 10 <= sounding <= 40 and entry["first_s"] + sounding <= 60.001
        assert -6 <= entry["level_db"] <= 6 and entry["layers"]
    assert len({e["song"] for e in made[:2]}) == 2  # each song has its turn


def test_packages_do_not_mix_and_empty_queries_have_no_loop_of_a_reference(
    sources: Sources, made: list[dict]
):
    held = {song.name for song in sources.held_out}
    library = sources.library()
    for entry in made:
        assert entry["music"] is None or entry["music"] in held
        assert entry["music"] != entry["song"]
        assert (entry["song"] in library) == (entry["kind"] != "empty")
        assert bool(queries.truth(entry).sampled) == (entry["kind"] != "empty")
        if entry["kind"] == "empty":
            assert entry["song"] in held


def test_an_interrupted_run_makes_the_same_queries(
    place: Path, sources: Sources, made: list[dict], tmp_path: Path
):
    class Interrupted(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        make_queries(tmp_path, sources, CONFIG, stop)
    assert not (tmp_path / "queries.csv").exists()
    steps: list[int] = []
    again = make_queries(tmp_path, sources, CONFIG, lambda done, total: steps.append(done))
    assert again == made and steps == [4, 5, 6, 7, 8]
    for entry in made:
        files = [(folder / entry["file"]).read_bytes() for folder in (tmp_path, place / "made")]
        assert files[0] == files[1]
    with pytest.raises(DataError, match="belongs to another evaluation"):
        make_queries(tmp_path, sources, replace(CONFIG, seed=1))


def test_the_tables_say_what_is_true_of_each_query(place: Path, made: list[dict]):
    with (place / "made" / "queries.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [f"q{n:03d}" for n in range(8)]
    assert rows[0]["song"] == made[0]["song"] and rows[0]["change"] in changes.KINDS
    with (place / "made" / "occurrences.csv").open() as file:
        where = list(csv.DictReader(file))
    slices = [max(1, len(e["change"]["slices"])) for e in made]
    expected = sum(e["repeats"] * n for e, n in zip(made[:6], slices[:6], strict=True))
    assert len(where) == expected and {row["name"] for row in where} == {
        f"q{n:03d}" for n in range(6)
    }


def test_clips_have_as_much_of_the_sample_as_there_can_be(made: list[dict]):
    for number, entry in enumerate(made):
        for length in (5.0, 20.0):
            begin, end = queries.clip_span(entry, length, CONFIG, number)
            assert begin >= 0 and end == pytest.approx(begin + length) and end <= 60.001
            first = entry["first_s"]
            last = first + entry["repeats"] * entry["repeat_s"]
            inside = min(end, last) - max(begin, first)
            assert inside == pytest.approx(min(length, last - first), abs=1e-3)
