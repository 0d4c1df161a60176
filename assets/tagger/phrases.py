"""Random phrases for General MIDI instruments: which notes sound, when and how loud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Rng = np.random.Generator

# The lowest and highest key to play, by the first program of a group; others from 48 to 84.
_RANGES = {
    0: (36, 96), 8: (60, 96), 14: (55, 79), 16: (36, 84), 22: (60, 84), 24: (40, 79), 32: (28, 52),
    40: (55, 91), 41: (48, 79), 42: (36, 67), 43: (28, 52), 44: (43, 84), 47: (36, 57),
    48: (36, 84), 52: (45, 79), 56: (54, 84), 57: (40, 70), 58: (28, 55), 59: (54, 82),
    60: (41, 75), 61: (40, 80), 64: (56, 86), 65: (50, 80), 66: (46, 74), 67: (36, 68),
    68: (58, 88), 69: (52, 80), 70: (34, 70), 71: (50, 86), 72: (74, 100), 73: (60, 93),
    74: (64, 93), 75: (60, 88), 80: (40, 88), 104: (48, 79), 105: (48, 82), 109: (55, 79),
    110: (55, 91), 112: (60, 90), 113: (60, 84), 114: (55, 84), 115: (55, 80),
}  # fmt: skip
_PLUCKED_OR_STRUCK = frozenset({*range(16), *range(24, 40), 45, 46, 47, *range(104, 109)})
_BOTH_HANDS = frozenset({*range(9), *range(11, 14), *range(16, 32), 46, 48, 49, 50, 51, 52, 61})
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 1, 4, 5, 7, 8, 10))
_CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 3, 7, 10), (0, 7, 12), (0, 5, 7))
# Parts of a drum kit: notes, and the steps of a bar of 16 that they like.
_KIT = (
    ((35, 36), (0, 6, 8, 10)),
    ((38, 40), (4, 12)),
    ((42, 44, 46), (0, 2, 4, 6, 8, 10, 12, 14)),
    ((49, 51, 57, 59), (0,)),
    ((41, 43, 45, 47, 48, 50), (13, 14, 15)),
)


@dataclass(frozen=True)
class Note:
    """A note: when it begins, how long it is held, its key and its velocity (1 to 127)."""

    start_s: float
    length_s: float
    key: int
    velocity: int


def key_range(program: int) -> tuple[int, int]:
    """The lowest and highest key that suits a General MIDI program (from 0)."""
    begin = max((first for first in _RANGES if first <= program), default=0)
    # A range is that of its own group of eight only.
    return _RANGES[begin] if begin // 8 == program // 8 else (48, 84)


def phrase(program: int, seconds: float, rng: Rng) -> list[Note]:
    """A melody, chords, arpeggios or scattered notes of a melodic program, within ``seconds``."""
    low, high = key_range(program)
    centre = int(rng.integers(low + 5, max(low + 6, high - 4)))
    root, scale = int(rng.integers(12)), _SCALES[rng.integers(len(_SCALES))]
    keys = [k for k in range(low, high + 1) if (k - root) % 12 in scale and abs(k - centre) <= 14]
    keys = keys or [centre]
    styles = ["melody", "melody", "scattered", "repeated", "arpeggio"]
    if program in _BOTH_HANDS:
        styles += ["chords", "chords", "arpeggio", "hands"]
    style = styles[rng.integers(len(styles))]
    beat = float(rng.uniform(0.14, 0.7))
    loud = int(rng.integers(55, 118))
    if style == "hands":
        return sorted(
            phrase_of("chords", keys[: max(1, len(keys) // 2)], beat * 2, seconds, loud, rng)
            + phrase_of("melody", keys[len(keys) // 2 :], beat, seconds, loud, rng),
            key=lambda note: note.start_s,
        )
    if style == "scattered":
        beat = float(rng.uniform(0.8, 2.5))
    elif program not in _PLUCKED_OR_STRUCK and rng.random() < 0.4:
        beat *= 2.5  # long notes
    return phrase_of(style, keys, beat, seconds, loud, rng)


def phrase_of(
    style: str, keys: list[int], beat_s: float, seconds: float, loud: int, rng: Rng
) -> list[Note]:
    """Notes of one style among ``keys``, one or more at each beat or pause."""
    notes: list[Note] = []
    time, at = float(rng.uniform(0, 0.3)), int(rng.integers(len(keys)))
    chord = _CHORDS[rng.integers(len(_CHORDS))]
    held = float(rng.uniform(0.5, 1.1))
    while time < seconds - 0.1:
        step = beat_s * float(rng.choice([0.5, 1, 1, 1, 2]))
        if rng.random() < 0.12:  # a pause
            time += step
            continue
        if style != "repeated":
            at = int(np.clip(at + rng.integers(-3, 4), 0, len(keys) - 1))
        sounding = [keys[at]]
        if style == "chords":
            sounding = [keys[at] + above for above in chord]
            step *= 2
        elif style == "arpeggio":
            sounding = [keys[at] + chord[len(notes) % len(chord)]]
            step = beat_s
        length = max(0.06, min(step * held, seconds - time))
        velocity = int(np.clip(loud + rng.normal(0, 8), 25, 127))
        notes += [Note(time, length, int(np.clip(k, 12, 120)), velocity) for k in sounding]
        time += step
    return notes


def drum_parts(seconds: float, rng: Rng) -> dict[int, list[Note]]:
    """A pattern for a drum kit: for each key the notes; the key tells the instrument."""
    step = float(rng.uniform(0.09, 0.19))
    loud = int(rng.integers(70, 120))
    parts: dict[int, list[Note]] = {}
    for number, (keys, liked) in enumerate(_KIT):
        if number >= 3 and rng.random() < 0.5:
            continue
        key = int(rng.choice(keys))
        often = rng.uniform(0.5, 1.0) if number < 3 else 0.25
        notes = []
        for place, time in enumerate(np.arange(0.02, seconds - 0.05, step)):
            chance = often if place % 16 in liked else 0.04
            if rng.random() < chance:
                velocity = int(np.clip(loud + rng.normal(0, 10), 30, 127))
                notes.append(Note(float(time), step, key, velocity))
        if notes:
            parts[key] = notes
    return parts


def strokes(key: int, seconds: float, rng: Rng) -> list[Note]:
    """One percussion instrument alone: single strokes, a rhythm or a roll."""
    step = float(rng.choice([0.08, 0.15, 0.25, 0.5, 1.2]))
    skip = float(rng.uniform(0, 0.5))
    loud = int(rng.integers(60, 120))
    return [
        Note(float(time), step, key, int(np.clip(loud + rng.normal(0, 12), 25, 127)))
        for time in np.arange(rng.uniform(0, 0.5), seconds - 0.1, step)
        if rng.random() >= skip
    ]
