"""Draw scenes: which sounds, how many, how loud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assets.tagger.fonts import Font
from assets.tagger.labels import Labels
from assets.tagger.phrases import Rng
from assets.tagger.scenes import Scene, Studio, mix
from assets.tagger.sources import SURE
from assets.tagger.stems import Stem, drum_kit, instrument, recording, synthetic

CLIP_S = 10.0
_KIT_SHARE = 0.14  # of drawn instruments
_SYNTHETIC = 0.05  # of drawn sounds
_MELODIC = 0.8  # of the others; the rest are percussion alone


Part = tuple[Stem, float]  # and its level in dB


@dataclass(frozen=True)
class Sound:
    """A recorded sound: its name, int16 samples at 16 kHz, and targets ``[S]``."""

    name: str
    pcm: np.ndarray
    targets: np.ndarray

    @property
    def samples(self) -> np.ndarray:
        """The samples as float32."""
        return np.asarray(self.pcm, np.float32) / 32767


class Shelf:
    """Recorded sounds, drawn so that rare labels come as often as frequent ones."""

    def __init__(self, sounds: Sequence[Sound], labels: Labels) -> None:
        self.sounds = list(sounds)
        known = np.zeros((len(self.sounds), len(labels)))
        for row, sound in enumerate(self.sounds):
            known[row] = np.nan_to_num(sound.targets)
        # By what is likely: many small probabilities of a teacher would drown the rest.
        likely = np.where(known >= SURE, known, 0)
        counts = likely.sum(axis=0)
        self.drawn_labels = np.nonzero(counts >= 2)[0]
        # Frequent labels a little more often: the root of the count.
        weights = np.sqrt(np.minimum(counts[self.drawn_labels], 60))
        self._label_weights = weights / weights.sum()
        self._likely = likely
        self.counts = counts

    def draw(self, rng: Rng) -> Sound:
        """A sound with a random label."""
        label = rng.choice(self.drawn_labels, p=self._label_weights)
        weights = self._likely[:, label]
        return self.sounds[rng.choice(len(self.sounds), p=weights / weights.sum())]

    def any(self, rng: Rng) -> Sound:
        """Any sound, by its length: of ambiences there is the most."""
        lengths = np.array([len(sound.pcm) for sound in self.sounds], float)
        return self.sounds[rng.choice(len(self.sounds), p=lengths / lengths.sum())]


class Director:
    """Draws scenes of the training split from fonts, sounds and music."""

    def __init__(
        self,
        labels: Labels,
        fonts: Sequence[tuple[Font, float]],
        sounds: Shelf | None,
        music: Shelf | None,
        studio: Studio | None,
        seconds: float = CLIP_S,
    ) -> None:
        self.labels, self.seconds = labels, seconds
        self.sounds, self.music, self.studio = sounds, music, studio
        self.fonts = [font for font, _ in fonts]
        weights = np.array([weight for _, weight in fonts])
        self._font_weights = weights / weights.sum() if len(weights) else weights
        programs = labels.programs
        self._melodic = [p for p in programs if not p.startswith("d")]
        self._drums = [p for p in programs if p.startswith("d")]
        self._program_weights = program_weights(labels, self._melodic)

    def scene(self, rng: Rng) -> Scene:
        """A scene of instruments, of other sounds, of music and sounds, or of music alone."""
        kinds, shares = ["instruments"], [0.42]
        if self.sounds:
            kinds, shares = [*kinds, "sounds"], [*shares, 0.47]
        if self.music:
            kinds, shares = [*kinds, "music"], [*shares, 0.11]
        kind = str(rng.choice(kinds, p=np.array(shares) / sum(shares)))
        if kind == "instruments":
            parts = self.instruments(int(rng.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.2, 0.1])), rng)
            if self.sounds and rng.random() < 0.25:
                parts.append((self._recorded(self.sounds.any(rng), rng), _level(-30, -3, rng)))
        elif kind == "sounds":
            parts = self._events(rng)
        else:
            assert self.music
            parts = [(self._recorded(self.music.any(rng), rng), 0.0)]
            if self.sounds and rng.random() < 0.5:
                parts.append((self._recorded(self.sounds.draw(rng), rng), _level(-10, 10, rng)))
        scene = mix([stem for stem, _ in parts], [level for _, level in parts], self.labels)
        if self.studio is None:
            return scene
        return Scene(self.studio.record(scene.samples, rng), scene.targets, scene.times)

    def instruments(self, number: int, rng: Rng) -> list[Part]:
        """So many instruments of one font."""
        font = self.fonts[rng.choice(len(self.fonts), p=self._font_weights)]
        parts: list[Part] = []
        for place in range(number):
            level = 0.0 if not place else _level(-12, 3, rng)
            if rng.random() < _KIT_SHARE:
                drawn = drum_kit(font, self.seconds, self.labels, rng)
                levels = [level + _level(-8, 0, rng) for _ in drawn]
            else:
                if rng.random() < _MELODIC:
                    program = str(rng.choice(self._melodic, p=self._program_weights))
                else:
                    program = str(rng.choice(self._drums))
                drawn = instrument(font, program, self.seconds, self.labels, rng)
                levels = [level]
            parts += zip(drawn, levels, strict=True)
        return parts

    def _events(self, rng: Rng) -> list[Part]:
        """One to three recordings, and often something in the background."""
        assert self.sounds
        number = int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))
        stems = [
            synthetic(self.labels, self.seconds, rng)
            if rng.random() < _SYNTHETIC
            else self._recorded(self.sounds.draw(rng), rng)
            for _ in range(number)
        ]
        parts = list(zip(stems, [0.0, *(_level(-12, 3, rng) for _ in stems[1:])], strict=True))
        chance = rng.random()
        if chance < 0.25:
            parts.append((self._recorded(self.sounds.any(rng), rng), _level(-25, -5, rng)))
        elif chance < 0.35 and self.music:
            parts.append((self._recorded(self.music.any(rng), rng), _level(-20, 3, rng)))
        elif chance < 0.45:
            parts.append((synthetic(self.labels, self.seconds, rng), _level(-40, -12, rng)))
        return parts

    def _recorded(self, sound: Sound, rng: Rng) -> Stem:
        return recording(sound.name, sound.samples, sound.targets, self.seconds, rng)


def shelf_of(sounds: Sequence[Sound], labels: Labels) -> Shelf | None:
    """A shelf, or None if there is no label with two sounds."""
    shelf = Shelf(sounds, labels)
    return shelf if len(shelf.drawn_labels) else None


def _level(low: float, high: float, rng: Rng) -> float:
    return float(rng.uniform(low, high))  # dB


def program_weights(labels: Labels, programs: Sequence[str]) -> np.ndarray:
    """How often to draw each program: as often for each label, whatever its number of programs."""
    right = np.array([labels.of_program(program) for program in programs])
    right = np.nan_to_num(right)
    counts = right.sum(axis=0)
    per_label = np.divide(1, counts, out=np.zeros_like(counts), where=counts > 0)
    rarest = (right * per_label).max(axis=1)
    weights = np.sqrt(rarest)
    return np.asarray(weights / weights.sum())
