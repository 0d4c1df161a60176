"""Identify music while it plays: an answer every half second, until one is confirmed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grafprint import audio
from grafprint.audio.landmarks import contrast
from grafprint.fingerprint import Fingerprinter
from grafprint.matching.collection import Collection
from grafprint.matching.identification import Answer, identify, shift_answer


@dataclass(frozen=True)
class LiveConfig:
    """When a live query searches, when it is confirmed, and when it gives up."""

    every_s: float = 0.5  # between two query steps
    window_s: float = 10.0  # how much of the latest audio each of them uses
    least_s: float = 2.0  # before the first one
    # Each query step is another chance of a false positive, so one is not enough: two in a row must
    # agree on the place in the track.
    agreement_s: float = 0.2
    give_up_s: float = 30.0


class LiveQuery:
    """Audio in, answers out. ``answer`` is the latest one, None before the first."""

    def __init__(
        self, library: Collection, fingerprinter: Fingerprinter, config: LiveConfig | None = None
    ) -> None:
        """Start at second 0. Raises LibraryError if another network made the library."""
        library.check_query(fingerprinter)
        self.config = config or LiveConfig()
        self.answer: Answer | None = None
        self.confirmed = False
        self._library, self._live = library, fingerprinter.live()
        self._hop_s, self._window_s = fingerprinter.hop_s, fingerprinter.window_s
        self._fingerprints = np.empty((0, fingerprinter.dim), np.float32)
        self._samples = 0
        self._latest = np.empty(0, np.float32)  # samples of a window
        self._queried_s = 0.0  # audio so far at the last query step

    @property
    def heard_s(self) -> float:
        """Seconds of audio so far."""
        return self._samples / audio.SAMPLE_RATE

    @property
    def over(self) -> bool:
        """Whether to stop: confirmed, or time to give up."""
        return self.confirmed or self.heard_s >= self.config.give_up_s

    def push(self, samples: np.ndarray) -> Answer | None:
        """Take the next mono samples ``[n]`` at 16 kHz; returns a new answer if one is due.

        The answer's times count from the first sample. Raises ValueError if samples are not finite,
        MatchError if the library is empty.
        """
        c = self.config
        self._samples += len(samples)
        self._fingerprints = np.concatenate([self._fingerprints, self._live.push(samples)])
        kept = round(self.config.window_s * audio.SAMPLE_RATE)
        self._latest = np.concatenate([self._latest, samples])[-kept:].astype(np.float32)
        if self.heard_s < c.least_s or self.heard_s - self._queried_s < c.every_s:
            return None
        self._queried_s = self.heard_s
        first = max(0, len(self._fingerprints) - round((c.window_s - self._window_s) / self._hop_s))
        latest = self._fingerprints[first:]
        if not latest.any():  # silence
            return None
        begins_s = first * self._hop_s
        spectrum = None
        if self._library.has_landmarks:
            since = round(begins_s * audio.SAMPLE_RATE) - (self._samples - len(self._latest))
            spectrum = contrast(self._latest[max(0, since) :])
        answer = identify(self._library, latest, spectrum=spectrum)
        before, self.answer = self.answer, shift_answer(answer, begins_s)
        self.confirmed = self._confirms(before, self.answer)
        return self.answer

    def _confirms(self, before: Answer | None, now: Answer) -> bool:
        if before is None or not (before.identified and now.identified):
            return False
        a, b = before.matches[0], now.matches[0]
        # Both must put the same time of the audio at the same time of the track.
        drift_s = (b.start_s - now.query_start_s) - (a.start_s - before.query_start_s)
        return a.track.id == b.track.id and abs(drift_s) <= self.config.agreement_s
