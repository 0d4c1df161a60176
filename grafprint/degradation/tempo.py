"""Play a sound faster or slower, or higher or lower, by more than the few percent of training."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

_FRAME, _HOP = 1024, 256  # of the phase vocoder
_FINEST = 2000  # denominator: speeds are exact to a fortieth of a percent


def play_at_speed(samples: np.ndarray, speed: float) -> np.ndarray:
    """Play ``samples [n]`` ``speed`` times as fast, pitch and tempo together: ``[n / speed]``.

    As a turntable does. The first sample keeps its place.
    """
    if speed == 1:
        return samples
    ratio = (1 / Fraction(speed)).limit_denominator(_FINEST)
    played = resample_poly(samples, ratio.numerator, ratio.denominator)
    return played[: max(1, round(len(samples) / speed))].astype(np.float32)


def shift_pitch(samples: np.ndarray, semitones: float) -> np.ndarray:
    """Shift the pitch of ``samples [n]``, and keep the tempo: ``[n]``."""
    if semitones == 0 or len(samples) == 0:
        return samples
    factor = 2 ** (semitones / 12)
    shifted = play_at_speed(stretch(samples, factor), factor)[: len(samples)]
    return np.pad(shifted, (0, len(samples) - len(shifted)))


def stretch(samples: np.ndarray, factor: float) -> np.ndarray:
    """Make ``samples [n]`` last ``factor`` times as long at the same pitch.

    A phase vocoder: the spectrum is read more slowly, and the phase of each peak advances as fast
    as it does in the original. The bins around a peak keep their phases relative to it, so that its
    level stays (identity phase locking: Laroche and Dolson, 1999).
    """
    padded = np.pad(samples, _FRAME)
    window = np.hanning(_FRAME + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)
    wanted = np.arange(0, len(padded) - _FRAME - _HOP, _HOP / factor).astype(int)
    now = np.fft.rfft(frames[wanted] * window)
    next_angle = np.angle(np.fft.rfft(frames[wanted + _HOP] * window))
    magnitude, angle = np.abs(now), np.angle(now)
    # What a bin's own frequency advances in a hop, and the rest, which is at most half a turn.
    expected = 2 * np.pi * _HOP / _FRAME * np.arange(_FRAME // 2 + 1)
    rest = next_angle - angle - expected
    advance = expected + rest - 2 * np.pi * np.round(rest / (2 * np.pi))
    phase = angle.copy()
    for number in range(1, len(wanted)):
        peaks = _peaks(magnitude[number])
        turned = phase[number - 1, peaks] + advance[number - 1, peaks] - angle[number, peaks]
        nearest = np.searchsorted((peaks[1:] + peaks[:-1]) / 2, np.arange(_FRAME // 2 + 1))
        phase[number] += turned[nearest]
    pieces = np.fft.irfft(magnitude * np.exp(1j * phase)) * window
    total, weight = np.zeros((2, _HOP * (len(wanted) - 1) + _FRAME))
    for number, piece in enumerate(pieces):
        part = slice(number * _HOP, number * _HOP + _FRAME)
        total[part] += piece
        weight[part] += window**2
    begin, length = round(_FRAME * factor), round(len(samples) * factor)
    # The first frame is centred half a frame after the start, at any speed.
    begin -= round(_FRAME / 2 * (factor - 1))
    slow = (total / np.maximum(weight, 1e-3))[begin : begin + length]
    return np.pad(slow, (0, length - len(slow))).astype(np.float32)


def _peaks(magnitude: np.ndarray) -> np.ndarray:
    """The bins that are larger than two on either side; at least one."""
    padded = np.pad(magnitude, 2, constant_values=-1.0)
    around = np.lib.stride_tricks.sliding_window_view(padded, 5)
    found = np.nonzero(around.argmax(axis=1) == 2)[0]
    return found if len(found) else np.zeros(1, int)
