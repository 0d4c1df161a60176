"""Landmarks as a second witness: how far the peaks of a track are found in a clip.

A track's landmarks (grafprint/audio/landmarks.py) are laid over the clip's spectrogram, and the
contrasts that they meet there are summed. Noise and rooms hide many peaks of a clip, but where the
track's own peaks are, it is still a little louder than around them.
"""

from __future__ import annotations

import numpy as np

from grafprint.audio.landmarks import BINS, EMPTY, PER_ROW, ROW_FRAMES
from grafprint.jit import njit

_EXPECTED = PER_ROW / ROW_FRAMES  # landmarks met by a frame of the clip


def laid_over(landmarks: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """How well a track's landmarks fit a clip at every offset: float32 [6 rows + frames - 1].

    ``landmarks [rows, 8]`` of one track, ``clip [frames, 256]`` its contrasts. Entry ``i`` is for
    a clip that begins ``i - (frames - 1)`` frames (16 ms) into the track. The sum of the contrasts
    met, over the number of landmarks that a full track has in the clip's length: places where the
    clip hangs over an end of the track gain nothing.
    """
    frames = len(clip)
    totals = np.zeros(max(0, len(landmarks) * ROW_FRAMES + frames - 1), np.float32)
    if len(landmarks) and frames:
        # Backwards, so that both the bin's contrasts and the totals are passed in order.
        backwards = np.ascontiguousarray(clip[::-1].T, np.float32)
        _lay_over(np.ascontiguousarray(landmarks), backwards, totals)
    return np.asarray(totals / np.float32(_EXPECTED * max(1, frames)))


def witness(store: np.ndarray, places: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """How well landmarks fit a clip at candidate places, within a hop of each: float32 [c].

    ``store [rows, 8]`` are the landmarks of a whole library, ``places [3, c]`` the row that the
    clip's beginning meets, the track's first row and its row count, as in ``Collection.score_sums``
    (the start may lie before the track). The best of the offsets from a hop before to a hop after,
    in the unit of :func:`laid_over`.
    """
    places = np.ascontiguousarray(places, np.int64)
    best = np.full(places.shape[1], -np.inf, np.float32)
    if len(clip):
        _witness(store, places, np.ascontiguousarray(clip, np.float32), best)
    return np.asarray(best / np.float32(_EXPECTED * max(1, len(clip))))


@njit
def _lay_over(landmarks: np.ndarray, backwards: np.ndarray, totals: np.ndarray) -> None:
    """Add row ``bin`` of ``backwards [256, frames]`` to the totals from each landmark on."""
    frames = backwards.shape[1]
    for row in range(landmarks.shape[0]):
        for i in range(landmarks.shape[1]):
            entry = np.int64(landmarks[row, i])
            if entry == EMPTY:
                break
            at, bin = row * ROW_FRAMES + entry // BINS, entry % BINS
            for t in range(frames):
                totals[at + t] += backwards[bin, t]


@njit
def _witness(store: np.ndarray, places: np.ndarray, clip: np.ndarray, best: np.ndarray) -> None:
    frames = clip.shape[0]
    reach = (frames + 2 * ROW_FRAMES - 1) // ROW_FRAMES + 1
    for c in range(places.shape[1]):
        start, first = places[0, c], places[1, c]
        begin = max(first, start - 1)
        end = min(first + places[2, c], start + reach)
        for shift in range(-ROW_FRAMES, ROW_FRAMES + 1):
            total = np.float32(0)
            for row in range(begin, end):
                origin = (row - start) * ROW_FRAMES - shift
                for i in range(store.shape[1]):
                    entry = np.int64(store[row, i])
                    if entry == EMPTY:
                        break
                    t = origin + entry // BINS
                    if 0 <= t < frames:
                        total += clip[t, entry % BINS]
            best[c] = max(best[c], total)
