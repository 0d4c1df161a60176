"""Make the queries of the bench, one by one, and write down what is true of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.stems.songs import write_flac
from benchmarks.shared.sample_bench import changes, loops, overlays
from benchmarks.shared.sample_bench.changes import Change
from benchmarks.shared.sample_bench.sources import Song, Sources
from grafprint.audio import SAMPLE_RATE
from grafprint.errors import DataError
from grafprint.evaluation.journal import Journal
from grafprint.evaluation.samples import Occurrence, SampleQuery
from grafprint.files import replace_text

JOURNAL, TABLE, OCCURRENCES = "queries.jsonl", "queries.csv", "occurrences.csv"
STEMS, RECORDING, EMPTY = "stems", "recording", "empty"
_PEAK = 0.9


@dataclass(frozen=True)
class BenchConfig:
    """How many queries there are of each kind, and what is drawn for them; see the page."""

    stems: int = 200
    recordings: int = 100
    empty: int = 50
    length_s: float = 60.0
    repeated_s: tuple[float, float] = (10.0, 40.0)
    level_db: tuple[float, float] = (-6.0, 6.0)
    seed: int = 0

    @property
    def queries(self) -> int:
        """All of them."""
        return self.stems + self.recordings + self.empty


def make_queries(
    folder: Path,
    sources: Sources,
    config: BenchConfig,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Write every query that is not written yet, then the tables; returns what is true of each.

    Query ``n`` follows from the seed and ``n`` alone, so an interrupted run is resumed with the
    same ones. Raises DataError if the folder has the queries of other sources or settings.
    """
    subject = {"config": asdict(config), "sources": sources.digest()}
    journal = Journal(folder / JOURNAL, subject)
    for number in range(len(journal.entries), config.queries):
        entry, samples = make_query(number, sources, config)
        file = folder / entry["file"]
        file.parent.mkdir(parents=True, exist_ok=True)
        write_flac(file, samples)
        journal.add(entry)
        if progress:
            progress(number + 1, config.queries)
    _write_tables(folder, journal.entries)
    return journal.entries


def make_query(
    number: int, sources: Sources, config: BenchConfig
) -> tuple[dict[str, Any], np.ndarray]:
    """A query: what is true of it, as plain values, and its samples ``[n]``."""
    rng = np.random.default_rng([config.seed, 2, number])
    kind = EMPTY
    songs, place = sources.held_out, number - config.stems - config.recordings
    if number < config.stems:
        kind, songs, place = STEMS, sources.songs, number
    elif number < config.stems + config.recordings:
        kind, songs, place = RECORDING, sources.recordings, number - config.stems
    loop = _loop(songs, place, kind, config.seed, rng)
    change = changes.draw_change(loop.duration_s, rng)
    played = changes.change(loop.samples, change)
    length = round(config.length_s * SAMPLE_RATE)
    shortest, longest = (round(s * SAMPLE_RATE) for s in config.repeated_s)
    fewest, most = max(1, -(-shortest // len(played))), max(1, longest // len(played))
    count = int(rng.integers(fewest, max(fewest, most) + 1))
    sounding = min(count * len(played), length)
    first = int(rng.integers(length - sounding + 1))
    sample = np.zeros(length, np.float32)
    sample[first : first + sounding] = np.tile(played, count)[:sounding]
    layers = overlays.draw_layers(rng)
    music = _other(sources.held_out, loop.song, rng)
    bar_s = overlays.bar_of(len(played) / SAMPLE_RATE, loop.bars, rng)
    over = overlays.overlay(layers, music, sources, bar_s, first / SAMPLE_RATE, length, rng)
    level_db = float(rng.uniform(*config.level_db))
    mixed = mix(sample, over, slice(first, first + sounding), level_db)
    entry = {
        "name": f"q{number:03d}",
        "file": f"queries/q{number:03d}.flac",
        "kind": kind,
        "song": loop.song.name,
        "package": loop.song.package,
        "stems": list(loop.stems),
        "loop_start_s": round(loop.start_s, 4),
        "loop_s": loop.duration_s,
        "bars": loop.bars,
        "places_s": list(loop.places_s),
        "change": asdict(change) | {"slices": list(change.slices)},
        "first_s": first / SAMPLE_RATE,
        "repeats": count,
        "repeat_s": len(played) / SAMPLE_RATE,
        "layers": layers,
        "music": music.name if "music" in layers else None,
        "level_db": round(level_db, 2),
    }
    return entry, mixed


def mix(sample: np.ndarray, over: np.ndarray, where: slice, level_db: float) -> np.ndarray:
    """Both together, the sample at a level against what is over it while it sounds."""
    below_db = loops.rms_db(sample[where]) - loops.rms_db(over[where]) - level_db
    if loops.rms_db(over[where]) > -90:  # not a pause of the speech alone
        over = over * 10 ** (below_db / 20)
    total = sample + over
    return np.asarray(total * (_PEAK / max(float(np.abs(total).max()), 1e-6)), np.float32)


def occurrences(entry: dict[str, Any]) -> list[Occurrence]:
    """Where the sample of a query sounds, slice by slice, and where it is in its song."""
    slices = tuple(entry["change"]["slices"])
    samples = round(entry["repeat_s"] * SAMPLE_RATE)
    found = []
    for repeat in range(entry["repeats"]):
        now = entry["first_s"] + repeat * entry["repeat_s"]
        for begin, end in changes.slice_bounds(samples, slices):
            there = [entry["loop_s"] * n / samples for n in (begin, end)]
            places = tuple((at + there[0], at + there[1]) for at in entry["places_s"])
            found.append(Occurrence(now, now + (end - begin) / SAMPLE_RATE, places))
            now += (end - begin) / SAMPLE_RATE
    return found


def truth(entry: dict[str, Any]) -> SampleQuery:
    """What is true of a query, for the metrics."""
    if entry["kind"] == EMPTY:
        return SampleQuery(entry["name"], {}, {}, entry["name"])
    level = entry["level_db"]
    groups = {
        "sampled": entry["kind"],
        **Change(**{**entry["change"], "slices": tuple(entry["change"]["slices"])}).groups,
        "layers over it": str(len(entry["layers"])),
        "level": "-6 to -2 dB" if level < -2 else "-2 to 2 dB" if level < 2 else "2 to 6 dB",
    }
    sampled = {entry["song"]: tuple(occurrences(entry))}
    return SampleQuery(entry["name"], sampled, groups, entry["song"])


def clip_span(
    entry: dict[str, Any], length_s: float, config: BenchConfig, number: int
) -> tuple[float, float]:
    """A clip of a query with as much of the sample in it as there can be: begin and end, in s."""
    rng = np.random.default_rng([config.seed, 3, number, round(10 * length_s)])
    first = entry["first_s"]
    last = min(first + entry["repeats"] * entry["repeat_s"], config.length_s)
    low, high = sorted((first, last - length_s))
    begin = rng.uniform(max(0.0, low), min(config.length_s - length_s, high))
    return float(begin), float(begin) + length_s


def _loop(
    songs: list[Song], place: int, kind: str, seed: int, rng: np.random.Generator
) -> loops.Loop:
    """A loop of one of the songs, each of which has its turn; of the next one if it has none."""
    order = np.random.default_rng([seed, 4, (STEMS, RECORDING, EMPTY).index(kind)]).permutation(
        len(songs)
    )
    for further in range(len(songs)):
        song = songs[int(order[(place + further) % len(songs)])]
        try:
            return loops.choose_loop(song, rng)
        except DataError as error:
            print(f"not sampled: {error}", flush=True)
    raise DataError("none of the songs can be sampled: they are too short, or silent")


def _other(held_out: list[Song], song: Song, rng: np.random.Generator) -> Song:
    """Music of another package than the sample's, if there is one, and never the same song."""
    others = [s for s in held_out if s.package != song.package]
    others = others or [s for s in held_out if s.name != song.name]
    return others[int(rng.integers(len(others)))]


def _write_tables(folder: Path, entries: list[dict[str, Any]]) -> None:
    """What is true of each query, and of each occurrence, for people and other programs."""
    plain = ("name", "file", "kind", "song", "package", "loop_start_s", "loop_s", "bars",
             "first_s", "repeats", "repeat_s", "music", "level_db")  # fmt: skip
    listed = [
        {key: entry[key] for key in plain}
        | {"stems": "+".join(entry["stems"]), "layers": "+".join(entry["layers"])}
        | {key: value if key != "slices" else " ".join(map(str, value))
           for key, value in entry["change"].items() if key != "kind"}
        | {"change": entry["change"]["kind"]}
        for entry in entries
    ]  # fmt: skip
    where = [
        {"name": entry["name"], "song": entry["song"],
         "start_s": round(o.start_s, 4), "end_s": round(o.end_s, 4),
         "places_s": " ".join(f"{a:.3f}" for a, _ in o.places_s)}
        for entry in entries if entry["kind"] != EMPTY for o in occurrences(entry)
    ]  # fmt: skip
    for name, rows in ((TABLE, listed), (OCCURRENCES, where)):
        text = io.StringIO()
        table = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        replace_text(folder / name, text.getvalue())
