"""Landmarks as a second witness: how far the peaks of a track are found in a clip.

A track's landmarks (grafprint/audio/landmarks.py) are laid over the clip's spectrogram, and the
contrasts that they meet there are summed. Noise and rooms hide many peaks of a clip, but where the
track's own peaks are, it is still a little louder than around them.
"""

from __future__ import annotations

import numpy as np

from grafprint.audio.landmarks import BINS, PER_ROW, ROW_FRAMES
from grafprint.jit import njit

_ENTRIES = ROW_FRAMES * BINS  # what an entry of a row can be
_EXPECTED = PER_ROW / ROW_FRAMES  # landmarks met by a frame of the clip
_LARGEST = 4.0  # contrasts are cut off here
_FINEST = 16.0  # steps of a contrast of 1


class ClipContrast:
    """A clip's spectrogram, prepared for laying landmarks over it."""

    def __init__(self, contrast: np.ndarray) -> None:
        """``contrast [frames, 256]``: see :func:`grafprint.audio.landmarks.contrast`."""
        if contrast.ndim != 2 or contrast.shape[1] != BINS or not len(contrast):
            raise ValueError(f"contrasts must be [frames, {BINS}], not {contrast.shape}")
        self.frames = len(contrast)
        # The sum over all landmarks must fit into 16 bits, which are added four times as fast.
        most = _LARGEST * PER_ROW * (self.frames / ROW_FRAMES + 2)
        self._scale = np.float32(min(_FINEST, np.iinfo(np.int16).max / most))
        steps = np.round(np.clip(contrast, -_LARGEST, _LARGEST) * self._scale)
        # Backwards, so that both a bin's contrasts and the sums are passed in order.
        self._backwards = np.ascontiguousarray(steps[::-1].T, np.int16)

    def lay_over(self, landmarks: np.ndarray) -> np.ndarray:
        """How well a track's ``landmarks [rows, 8]`` fit: float32 [6 rows + frames - 1].

        Entry ``i`` is for a clip that begins ``i - (frames - 1)`` frames (16 ms) into the track.
        The sum of the contrasts met, over the number of landmarks that a full track has in the
        clip's length: places where the clip hangs over an end of the track gain nothing.
        """
        sums = np.zeros(max(0, len(landmarks) * ROW_FRAMES + self.frames - 1), np.int16)
        if len(landmarks):
            _lay_over(landmarks, self._backwards, sums)
        return np.asarray(sums / (self._scale * np.float32(_EXPECTED * self.frames)), np.float32)


@njit
def _lay_over(landmarks: np.ndarray, backwards: np.ndarray, sums: np.ndarray) -> None:
    """Add row ``bin`` of ``backwards [256, frames]`` to the sums from each landmark on."""
    frames = backwards.shape[1]
    for row in range(landmarks.shape[0]):
        for i in range(landmarks.shape[1]):
            entry = np.int64(landmarks[row, i])
            if entry >= _ENTRIES:  # EMPTY; or the file is damaged, which may not harm memory
                break
            at, bin = row * ROW_FRAMES + entry // BINS, entry % BINS
            for t in range(frames):
                sums[at + t] += backwards[bin, t]
