"""Landmarks: the spectral peaks of a track, a second witness beside its fingerprints.

A fingerprint hears a second as a whole; landmarks are single places in time and frequency where a
track is louder than around it. They are looked up in the spectrogram of a clip
(grafprint/matching/landmarks.py): that needs no peaks in the clip itself, which noise would hide.

A row of landmarks belongs to the fingerprint of the same number: it has the strongest peaks of the
six frames (96 ms) with which that fingerprint's second begins.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

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
_AT_ONCE = 64  # spectra, which take more memory than all the rest
_FLOOR = 1e-3  # of a frame's amplitude: that of the noise of 16-bit samples
_LEAST_SPREAD_DB = 3.0  # less contrast than this is not amplified
_BLOCK = 960  # frames computed at once: a number of whole rows
# Frames on each side that a block needs: for two averages, one after the other, and for peaks.
_CONTEXT = 2 * _AROUND_FRAMES + _PEAK_FRAMES


def contrast(samples: np.ndarray) -> np.ndarray:
    """How much louder each place is than its surroundings: float32 [frames, BINS].

    ``samples [n]`` are mono at 16 kHz, at least 513 of them; ``frames = 1 + n // 256``, frame ``t``
    centred on sample ``256 * t``. The log spectrum less its mean over a second on each side (the
    loudspeaker, the room, steady noise), less its mean over 390 Hz on each side (loudness), divided
    by the standard deviation there. Raises ValueError if there are too few samples.
    """
    stream = _Contrast()
    blocks = [*stream.push(samples), *stream.finish()]
    return np.concatenate([places[own] for _, places, own in blocks])


def find_landmarks(samples: np.ndarray, rows: int) -> np.ndarray:
    """The landmarks of a track: uint16 [rows, PER_ROW]; see :meth:`LandmarkStream.finish`.

    Raises ValueError as :func:`contrast` does.
    """
    stream = LandmarkStream()
    stream.push(samples)
    return stream.finish(rows)


class LandmarkStream:
    """The landmarks of audio that arrives in chunks; memory is bounded by the largest chunk."""

    def __init__(self) -> None:
        self._contrast = _Contrast()
        self._parts: list[np.ndarray] = []

    def push(self, samples: np.ndarray) -> None:
        """Take the next mono samples ``[n]`` at 16 kHz."""
        self._parts.extend(_landmarks(*block) for block in self._contrast.push(samples))

    def finish(self, rows: int) -> np.ndarray:
        """The landmarks of all the audio: uint16 [rows, PER_ROW].

        ``rows`` is the number of its fingerprints. An entry is ``256 * frame + bin``, with the
        frame (0 to 5) counted from the row's first; entries of a row ascend, and EMPTY fills the
        rest. Raises ValueError as :func:`contrast` does.
        """
        self._parts.extend(_landmarks(*block) for block in self._contrast.finish())
        found = np.concatenate(self._parts)[:rows]
        missing = np.full((rows - len(found), PER_ROW), EMPTY)
        return np.concatenate([found, missing])


# A block's first frame, contrasts that begin and end a few frames around it, and which are its own.
_Part = tuple[int, np.ndarray, slice]


class _Contrast:
    """:func:`contrast` of audio in chunks, in blocks of frames; each has the peaks' neighbours."""

    def __init__(self) -> None:
        self._samples = np.empty(0, np.float32)  # from the first frame without a level on
        self._padded = False
        self._levels = np.empty((0, BINS), np.float32)
        self._first = 0  # frame of the first level
        self._begin = 0  # of the next block

    def push(self, samples: np.ndarray) -> Iterator[_Part]:
        if samples.ndim != 1:
            raise ValueError(f"mono samples [n] are expected, not {samples.shape}")
        for begin in range(0, len(samples), _BLOCK * _HOP):
            part = np.asarray(samples[begin : begin + _BLOCK * _HOP], np.float32)
            self._samples = np.concatenate([self._samples, part])
            if not self._padded and len(self._samples) > _N_FFT // 2:
                self._samples = np.pad(self._samples, (_N_FFT // 2, 0), mode="reflect")
                self._padded = True
            if self._padded:
                yield from self._advance(_CONTEXT)

    def finish(self) -> Iterator[_Part]:
        if not self._padded:
            raise ValueError(f"at least {_N_FFT // 2 + 1} mono samples are needed")
        self._samples = np.pad(self._samples, (0, _N_FFT // 2), mode="reflect")
        yield from self._advance(0)
        if self._begin < self._first + len(self._levels):
            yield self._block()

    def _advance(self, ahead: int) -> Iterator[_Part]:
        """Compute the levels that can be, and the blocks that have ``ahead`` frames after them."""
        count = (len(self._samples) - _N_FFT) // _HOP + 1
        if count > 0:
            levels = _log_spectrum(self._samples[: (count - 1) * _HOP + _N_FFT])
            self._levels = np.concatenate([self._levels, levels])
            self._samples = self._samples[count * _HOP :]
        while self._begin + _BLOCK + ahead <= self._first + len(self._levels):
            yield self._block()

    def _block(self) -> _Part:
        begin = self._begin
        end = min(begin + _BLOCK, self._first + len(self._levels))
        around = slice(max(0, begin - _CONTEXT) - self._first, end + _CONTEXT - self._first)
        places = _whiten(self._levels[around])
        before = begin - self._first - around.start
        kept = slice(max(0, before - _PEAK_FRAMES), before + end - begin + _PEAK_FRAMES)
        self._begin = end
        passed = max(0, end - _CONTEXT) - self._first
        self._levels, self._first = self._levels[passed:], self._first + passed
        return begin, places[kept], slice(before - kept.start, before - kept.start + end - begin)


def _landmarks(begin: int, places: np.ndarray, own: slice) -> np.ndarray:
    """The landmarks of a block, which begins with a row: uint16 [rows, PER_ROW]."""
    from scipy.ndimage import maximum_filter

    assert begin % ROW_FRAMES == 0
    rows = -(-(own.stop - own.start) // ROW_FRAMES)
    highest = maximum_filter(places, (2 * _PEAK_FRAMES + 1, 2 * _PEAK_BINS + 1), mode="nearest")
    frames, bins = np.nonzero(((places == highest) & (places > 0))[own])
    row = frames // ROW_FRAMES
    strength = places[own][frames, bins]
    order = np.lexsort((-strength, row))  # strongest first within each row
    ordered = row[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    kept = rank < PER_ROW
    found = np.full((rows, PER_ROW), EMPTY)
    entries = frames % ROW_FRAMES * BINS + bins
    found[ordered[kept], rank[kept]] = entries[order][kept]
    found.sort(axis=1)
    return found


def _log_spectrum(samples: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(samples, _N_FFT)[::_HOP]
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    amplitude = np.empty((len(frames), BINS), np.float32)
    for begin in range(0, len(frames), _AT_ONCE):
        spectrum = np.fft.rfft(frames[begin : begin + _AT_ONCE] * window, axis=1)
        amplitude[begin : begin + _AT_ONCE] = np.abs(spectrum[:, _LOWEST : _LOWEST + BINS])
    return np.asarray(20 * np.log10(np.maximum(amplitude, _FLOOR)), np.float32)


def _whiten(level: np.ndarray) -> np.ndarray:
    level = level - _mean(level, _AROUND_FRAMES, 0)
    level -= _mean(level, _AROUND_BINS, 1)
    power = _mean(_mean(np.square(level), _AROUND_FRAMES, 0), _AROUND_BINS, 1)
    # A running mean of squares can end a little below zero.
    spread = np.sqrt(np.maximum(power, 0) + _LEAST_SPREAD_DB**2)
    return np.asarray(level / spread, np.float32)


def _mean(values: np.ndarray, around: int, axis: int) -> np.ndarray:
    from scipy.ndimage import uniform_filter1d

    return np.asarray(uniform_filter1d(values, 2 * around + 1, axis=axis, mode="nearest"))


assert FRAME_S * SAMPLE_RATE == _HOP
