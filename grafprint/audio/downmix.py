"""Mix channels down to one: their mean, or another mix where the mean cancels the sound."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# The mean's power over what channels without relation would give: 1 for those, 2 for two equal
# channels, 0 for opposite ones. Below CANCELLED the channels cancel each other (a correlation of
# -0.98 in stereo; lossy coding leaves up to 0.01 of opposite channels), until RESTORED is reached.
CANCELLED, RESTORED = 0.02, 0.1
_SILENT = 1e-8  # mean square, -80 dBFS: too quiet to decide by
_LEAST_S, _BLOCK_S = 0.1, 0.5  # shorter blocks decide nothing; longer ones are cut


class Downmix:
    """Turn consecutive pieces of samples into mono: the plain mean of the channels.

    Where the channels cancel each other, as in a recording with one wire of a stereo pair swapped
    (L = -R), those that are opposed to the loudest one are turned over first. This is decided for
    every block of at most half a second, and kept while it is good enough. So the memory is
    bounded, and a part of a recording is mixed like the whole.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._signs: NDArray[np.float32] | None = None

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix the next piece, float32 [n, channels]; returns [n]."""
        if samples.shape[1] == 1:
            return samples[:, 0]
        blocks = math.ceil(len(samples) / (_BLOCK_S * self._rate_hz))
        return np.concatenate([self._mix(b) for b in np.array_split(samples, max(1, blocks))])

    def _mix(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        mean = block.mean(axis=1, dtype=np.float32)
        power = _power(block) / block.shape[1]  # of the mean, if the channels had no relation
        if len(block) < _LEAST_S * self._rate_hz or not _SILENT < power < np.inf:
            return mean if self._signs is None else self._turned(block)
        if _power(mean) >= power * (CANCELLED if self._signs is None else RESTORED):
            self._signs = None
            return mean
        if self._signs is None or _power(self._turned(block)) < power * CANCELLED:
            self._signs = _signs(block)
        return self._turned(block)

    def _turned(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._signs is None or len(self._signs) != block.shape[1]:
            self._signs = _signs(block)
        return (block * self._signs).mean(axis=1, dtype=np.float32)


def _power(samples: NDArray[np.float32]) -> float:
    """The mean square."""
    flat = samples.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):  # callers check for infinities
        return float(np.dot(flat, flat)) / max(1, flat.size)


def _signs(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """-1 for each channel that is opposed to the loudest one, else 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        products = samples.T @ samples
    powers = np.diagonal(products)
    # The first channel of those nearly as loud, so that coding noise does not choose.
    reference = int(np.argmax(powers >= 0.5 * powers.max()))
    return np.where(products[reference] < 0, -1, 1).astype(np.float32)
