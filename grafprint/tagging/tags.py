"""What a clip sounds like: the probabilities of labels, over time and as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Tag:
    """A label of a clip and its probability.

    ``peak`` is the highest probability in any window, and ``peak_s`` the time in the clip that
    this window stands for, its begin and end.
    """

    label: str
    probability: float
    peak: float
    peak_s: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """The tag as plain values, rounded."""
        return {
            "label": self.label,
            "probability": round(self.probability, 4),
            "peak": round(self.peak, 4),
            "peak_start_s": round(self.peak_s[0], 2),
            "peak_end_s": round(self.peak_s[1], 2),
        }


@dataclass(frozen=True, eq=False)
class ClipTags:
    """The probabilities of ``S`` labels in a clip, over time and as a whole.

    ``windows [W, S]`` are those of each window. Windows overlap, and each stands for the part of
    the clip that is nearest to its middle: from ``begins_s [W]`` to ``ends_s [W]``, which together
    are the clip. Where ``silent [W]``, nothing is heard, and all probabilities are 0.
    """

    labels: tuple[str, ...]
    duration_s: float
    windows: np.ndarray
    begins_s: np.ndarray
    ends_s: np.ndarray
    silent: np.ndarray

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The probabilities for the whole clip ``[S]``: the mean over its time that is not silent.

        So a label of 0.9 is heard during most of the clip. The maximum would not say that, and
        grows with the length: in an hour, most labels are likely at some moment. When a label is
        likeliest is in :class:`Tag`.
        """
        weights = (self.ends_s - self.begins_s) * ~self.silent
        if not weights.sum() > 0:
            return np.zeros(len(self.labels), np.float32)
        return np.asarray(weights @ self.windows / weights.sum(), np.float32)

    @property
    def is_silent(self) -> bool:
        """Whether nothing is heard in the whole clip."""
        return bool(self.silent.all())

    def tags(self, top: int | None = None, least: float = 0.0) -> list[Tag]:
        """The ``top`` likeliest labels (None: all) of probability ``least`` or more, best first.

        A silent clip has none.
        """
        if self.is_silent:
            return []
        whole = self.probabilities
        best = np.argsort(-whole, kind="stable")[:top]
        return [self._tag(int(i)) for i in best if whole[i] >= least]

    def _tag(self, number: int) -> Tag:
        at = int(self.windows[:, number].argmax())
        return Tag(
            self.labels[number],
            float(self.probabilities[number]),
            float(self.windows[at, number]),
            (float(self.begins_s[at]), float(self.ends_s[at])),
        )

    def to_json(
        self, top: int | None = None, least: float = 0.0, *, over_time: bool = False
    ) -> dict[str, Any]:
        """The clip's tags as plain values; ``over_time`` adds those of each window."""
        tags = self.tags(top, least)
        values: dict[str, Any] = {
            "duration_s": round(self.duration_s, 2),
            "silent": self.is_silent,
            "tags": [tag.to_json() for tag in tags],
        }
        if over_time:
            chosen = {tag.label: self.labels.index(tag.label) for tag in tags}
            values["over_time"] = [
                {
                    "start_s": round(float(self.begins_s[w]), 2),
                    "end_s": round(float(self.ends_s[w]), 2),
                    "silent": bool(self.silent[w]),
                    "probabilities": {
                        label: round(float(self.windows[w, number]), 4)
                        for label, number in chosen.items()
                    },
                }
                for w in range(len(self.windows))
            ]
        return values
