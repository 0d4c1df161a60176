"""Choose what is sampled: bars of some stems of a song, or seconds of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.signal import fftconvolve, find_peaks, resample_poly

from assets.stems.trackers import Row
from benchmarks.shared.sample_bench.sources import Song
from grafprint import audio
from grafprint.audio import SAMPLE_RATE
from grafprint.errors import DataError

LENGTHS_S = (2.0, 8.0)
STEMS = (1, 4)  # of a sample
BAR_ROWS = 16  # of a tracker's pattern; four beats
_BARS = (1, 2, 4, 8)
_AUDIBLE_DB = -15.0  # stems below the mix where they are sampled, and the mix below the song
_TRIES = 60
_SAME = 0.95  # correlation from which a place in the song is a repeat of the loop
_COARSE = 2  # repeats are looked for at half the rate


@dataclass(frozen=True, eq=False)
class Loop:
    """Seconds of a song's stems, of all if ``stems`` is empty: ``samples [n]``.

    ``bars`` is 0 if they are not known. ``places_s`` are all the times in the song from which the
    same stems play the same.
    """

    song: Song
    stems: tuple[str, ...]
    start_s: float
    bars: int
    samples: np.ndarray
    places_s: tuple[float, ...]

    @property
    def duration_s(self) -> float:
        """Its length as it is in the song."""
        return len(self.samples) / SAMPLE_RATE


def choose_loop(song: Song, rng: np.random.Generator) -> Loop:
    """Draw a loop that is well audible in its song.

    Raises DataError if there is none: the song is shorter than a loop, or silent.
    """
    mix = audio.load(song.mix)
    stems = {path.stem: _like(audio.load(path), mix) for path in song.stems}
    spans = bar_spans(song.rows)
    for _ in range(_TRIES):
        start, length, bars = _place(spans, len(mix), rng)
        part = slice(start, start + length)
        level = rms_db(mix[part])
        if level < rms_db(mix) + _AUDIBLE_DB:
            continue
        chosen = _subset(stems, part, level, rng)
        if chosen is None:
            continue
        whole = sum((stems[name] for name in chosen), np.zeros_like(mix)) if chosen else mix
        if rms_db(whole[part]) < level + _AUDIBLE_DB:
            continue
        loop = whole[part].astype(np.float32)
        return Loop(song, chosen, start / SAMPLE_RATE, bars, loop, repeats(loop, whole, start))
    raise DataError(f"{song.mix}: no {LENGTHS_S[0]:g} to {LENGTHS_S[1]:g} s of it can be sampled")


def bar_spans(rows: tuple[Row, ...]) -> list[tuple[float, float, int]]:
    """Stretches of whole bars that a loop can be: begin and end in seconds, and how many bars.

    Within a stretch all rows follow each other. Empty if a song has no such rows.
    """
    spans = []
    for first, row in enumerate(rows):
        if row.row % BAR_ROWS:
            continue
        for bars in _BARS:
            last = first + bars * BAR_ROWS
            if last >= len(rows) or not _consecutive(rows[first:last]):
                break
            if LENGTHS_S[0] <= rows[last].start_s - row.start_s <= LENGTHS_S[1]:
                spans.append((row.start_s, rows[last].start_s, bars))
    return spans


def repeats(loop: np.ndarray, whole: np.ndarray, start: int) -> tuple[float, ...]:
    """When ``whole [m]`` plays the loop ``[n]``: at ``start``, and elsewhere by correlation."""
    needle, hay = (resample_poly(x.astype(np.float64), 1, _COARSE) for x in (loop, whole))
    products = fftconvolve(hay, needle[::-1], mode="valid")
    energy = np.cumsum(np.concatenate([[0.0], hay**2]))
    energy = np.maximum(energy[len(needle) :] - energy[: -len(needle)], 1e-9)
    alike = products / np.sqrt(energy * max(float((needle**2).sum()), 1e-9))
    rate = SAMPLE_RATE / _COARSE
    # The ends count as peaks, too: the loop may be the very beginning.
    peaks, _ = find_peaks(np.pad(alike, 1, constant_values=-1), _SAME, distance=rate / 2)
    found = {round((peak - 1) / rate, 3) for peak in peaks}
    own = start / SAMPLE_RATE
    return tuple(sorted({round(own, 3)} | {t for t in found if abs(t - own) > 0.25}))


def rms_db(samples: np.ndarray) -> float:
    """Level in dB of a full-scale square wave."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def _consecutive(rows: tuple[Row, ...]) -> bool:
    """Whether they are one bar after the other, none of them cut short."""
    follow = all(
        (b.row == a.row + 1 and b.order == a.order) or b.row == 0 for a, b in pairwise(rows)
    )
    return follow and all(row.row % BAR_ROWS == n % BAR_ROWS for n, row in enumerate(rows))


def _place(
    spans: list[tuple[float, float, int]], samples: int, rng: np.random.Generator
) -> tuple[int, int, int]:
    """First sample, length and bars of a loop."""
    if spans:
        begin, end, bars = spans[int(rng.integers(len(spans)))]
        start = round(begin * SAMPLE_RATE)
        return start, round(end * SAMPLE_RATE) - start, bars
    length = round(rng.uniform(*LENGTHS_S) * SAMPLE_RATE)
    return int(rng.integers(max(1, samples - length))), length, 0


def _subset(
    stems: dict[str, np.ndarray], part: slice, level_db: float, rng: np.random.Generator
) -> tuple[str, ...] | None:
    """Some stems of those that sound there, not all; empty if the song has none, None if none."""
    if not stems:
        return ()
    sounding = [name for name, x in stems.items() if rms_db(x[part]) > level_db - 30]
    most = min(STEMS[1], len(sounding) - 1)
    if most < STEMS[0]:
        return None
    count = int(rng.integers(STEMS[0], most + 1))
    return tuple(sorted(rng.permutation(sounding)[:count].tolist()))


def _like(samples: np.ndarray, mix: np.ndarray) -> np.ndarray:
    """With the mix's length."""
    return np.pad(samples[: len(mix)], (0, max(0, len(mix) - len(samples))))
