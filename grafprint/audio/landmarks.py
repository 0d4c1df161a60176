"""Landmarks: the spectral peaks of a track, a second witness beside its fingerprints.

A fingerprint hears a second as a whole; landmarks are single places in time and frequency where a
track is louder than around it. They are looked up in the spectrogram of a clip
(grafprint/matching/landmarks.py): that needs no peaks in the clip itself, which noise would hide.

A row of landmarks belongs to the fingerprint of the same number: it has the strongest peaks of the
six frames (96 ms) with which that fingerprint's second begins.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter, uniform_filter1d

from grafprint.audio.reader import SAMPLE_RATE

FRAME_S = 0.016
ROW_FRAMES = 6  # frames to a row: the hop between fingerprints, 96 ms
PER_ROW = 8
BINS = 256  # 250 to 4,234 Hz
EMPTY = np.uint16(0xFFFF)  # fewer peaks than PER_ROW

_HOP, _N_FFT, _LOWEST = 256, 1024, 16
# Bins and frames on each side over which loudness and contrast are averaged.
_AROUND_FRAMES, _AROUND_BINS = 60, 25
_PEAK_FRAMES, _PEAK_BINS = 2, 5  # a peak is the loudest of as many on each side
_FLOOR = 1e-3  # of a frame's amplitude: that of the noise of 16-bit samples
_LEAST_SPREAD_DB = 3.0  # less contrast than this is not amplified
_BLOCK = 4096  # frames computed at once


def contrast(samples: np.ndarray) -> np.ndarray:
    """How much louder each place is than its surroundings: float32 [frames, BINS].

    ``samples [n]`` are mono at 16 kHz, at least 513 of them; ``frames = 1 + n // 256``, frame ``t``
    centred on sample ``256 * t``. The log spectrum less its mean over a second on each side (the
    loudspeaker, the room, steady noise), less its mean over 390 Hz on each side (loudness), divided
    by the standard deviation there. Raises ValueError if there are too few samples.
    """
    half = _N_FFT // 2
    if samples.ndim != 1 or len(samples) <= half:
        raise ValueError(f"at least {half + 1} mono samples are needed, not {samples.shape}")
    padded = np.pad(np.asarray(samples, np.float32), half, mode="reflect")
    frames = 1 + len(samples) // _HOP
    parts = []
    for begin in range(0, frames, _BLOCK):
        first, end = max(0, begin - 2 * _AROUND_FRAMES), min(frames, begin + _BLOCK)
        last = min(frames, end + 2 * _AROUND_FRAMES)
        level = _log_spectrum(padded[first * _HOP : (last - 1) * _HOP + _N_FFT])
        parts.append(_whiten(level)[begin - first : end - first])
    return np.concatenate(parts)


def find_landmarks(samples: np.ndarray, rows: int) -> np.ndarray:
    """The landmarks of a track: uint16 [rows, PER_ROW].

    ``rows`` is the number of its fingerprints. An entry is ``256 * frame + bin``, with the frame
    (0 to 5) counted from the row's first; entries of a row ascend, and EMPTY fills the rest.
    """
    places = contrast(samples)[: rows * ROW_FRAMES + _PEAK_FRAMES]
    highest = maximum_filter(places, (2 * _PEAK_FRAMES + 1, 2 * _PEAK_BINS + 1), mode="nearest")
    frames, bins = np.nonzero((places == highest) & (places > 0))
    inside = frames < rows * ROW_FRAMES
    frames, bins = frames[inside], bins[inside]
    row = frames // ROW_FRAMES
    order = np.lexsort((-places[frames, bins], row))  # strongest first within each row
    ordered = row[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    kept = rank < PER_ROW
    found = np.full((rows, PER_ROW), EMPTY, np.uint16)
    entries = frames % ROW_FRAMES * BINS + bins
    found[ordered[kept], rank[kept]] = entries[order][kept]
    found.sort(axis=1)
    return found


def _log_spectrum(samples: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(samples, _N_FFT)[::_HOP]
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    amplitude = np.abs(np.fft.rfft(frames * window, axis=1)[:, _LOWEST : _LOWEST + BINS])
    return np.asarray(20 * np.log10(np.maximum(amplitude, _FLOOR)), np.float64)


def _whiten(level: np.ndarray) -> np.ndarray:
    level = level - _mean(level, _AROUND_FRAMES, 0)
    level -= _mean(level, _AROUND_BINS, 1)
    power = _mean(_mean(np.square(level), _AROUND_FRAMES, 0), _AROUND_BINS, 1)
    # A running mean of squares can end a little below zero.
    spread = np.sqrt(np.maximum(power, 0) + _LEAST_SPREAD_DB**2)
    return np.asarray(level / spread, np.float32)


def _mean(values: np.ndarray, around: int, axis: int) -> np.ndarray:
    return np.asarray(uniform_filter1d(values, 2 * around + 1, axis=axis, mode="nearest"))


assert FRAME_S * SAMPLE_RATE == _HOP
