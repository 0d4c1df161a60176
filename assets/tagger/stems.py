"""The sounds that scenes are mixed of, one at a time: instruments, recordings, synthetic noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

from assets.tagger.fonts import Font
from assets.tagger.labels import MUSIC, Labels
from assets.tagger.phrases import Note, Rng, drum_parts, phrase, strokes
from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.synthetic_noise import coloured_noise

_FEW_NOTES = 3  # below, one may not call it music
_SPEEDS = ((9, 10), (19, 20), (1, 1), (20, 19), (10, 9))
_SOUND_EFFECTS = 120  # programs from here on


@dataclass(frozen=True)
class Stem:
    """A sound of a scene: samples ``[n]`` at 16 kHz, and targets ``[S]`` of it alone."""

    name: str
    samples: np.ndarray
    targets: np.ndarray


def instrument(font: Font, program: str, seconds: float, labels: Labels, rng: Rng) -> list[Stem]:
    """A phrase of a program, or strokes of a drum (``d38``), of random length."""
    length = seconds if rng.random() < 0.6 else float(rng.uniform(0.25, 1.0)) * seconds
    begin = float(rng.uniform(0, seconds - length))
    number = int(program.lstrip("d"))
    targets = labels.of_program(program)
    if program.startswith("d"):
        notes = strokes(number, length, rng)
        kit = int(rng.choice(font.kits))
        sound = font.render(None, shift(notes, begin), seconds, kit)
    else:
        if number >= _SOUND_EFFECTS:
            notes = [Note(0.0, length, int(rng.integers(50, 72)), 100)]
        else:
            notes = phrase(number, length, rng)
        if len(notes) < _FEW_NOTES and targets[labels.row(MUSIC)] > 0:
            targets[labels.row(MUSIC)] = np.nan
        sound = font.render(number, shift(notes, begin), seconds)
    return [Stem(f"program {program}", tint(sound, rng, 3.0), targets)]


def drum_kit(font: Font, seconds: float, labels: Labels, rng: Rng) -> list[Stem]:
    """A pattern of a drum kit, a stem for each of its drums and cymbals."""
    kit = int(rng.choice(font.kits))
    parts = drum_parts(seconds, rng)
    sounds = {key: font.render(None, notes, seconds, kit) for key, notes in parts.items()}
    stems = []
    for key, sound in sounds.items():
        targets = labels.of_program(f"d{key}")
        whole = [name for name in ("Drum kit", MUSIC) if name in labels.names]
        # Of a kit that has lost its drums there is too little to call it one.
        targets[labels.rows(whole)] = 1 if len(parts) >= _FEW_NOTES else np.nan
        stems.append(Stem(f"program d{key}", tint(sound, rng, 2.0), targets))
    return stems


def recording(name: str, piece: np.ndarray, targets: np.ndarray, seconds: float, rng: Rng) -> Stem:
    """A piece of a recording at a random place, a little faster or slower, short ones repeated."""
    up, down = _SPEEDS[rng.integers(len(_SPEEDS))]
    if up != down:
        piece = resample_poly(piece, up, down).astype(np.float32)
    total = round(seconds * SAMPLE_RATE)
    if len(piece) > total:
        begin = int(rng.integers(len(piece) - total + 1))
        return Stem(name, piece[begin : begin + total], targets)
    sound = np.zeros(total, np.float32)
    at = int(rng.integers(max(1, min(total - len(piece), total // 2)) + 1))
    again = rng.random() < 0.7
    while at + len(piece) <= total:
        sound[at : at + len(piece)] += piece * np.float32(10 ** (rng.uniform(-3, 3) / 20))
        if not again:
            break
        at += len(piece) + int(SAMPLE_RATE * rng.uniform(0.05, 1.5))
    return Stem(name, sound, targets)


def synthetic(labels: Labels, seconds: float, rng: Rng) -> Stem:
    """White or pink noise, hum, tones or beeps: labels whose sound is known exactly."""
    kinds = ["White noise", "Pink noise", "Hum", "Sine wave", "Beep, bleep"]
    kind = str(rng.choice([name for name in kinds if name in labels.names]))
    total = round(seconds * SAMPLE_RATE)
    time = np.arange(total) / SAMPLE_RATE
    if kind in ("White noise", "Pink noise"):
        sound = coloured_noise(kind.split()[0].lower(), total, rng)
    elif kind == "Hum":
        mains = float(rng.choice([50, 60, 100, 120])) * rng.uniform(0.98, 1.02)
        sound = np.zeros(total)
        for partial in range(1, int(rng.integers(3, 9))):
            amplitude = rng.uniform(0.1, 1) / partial
            sound += amplitude * np.sin(2 * np.pi * (partial * mains * time + rng.random()))
    else:
        sound = np.sin(2 * np.pi * 2 ** rng.uniform(7.3, 12.3) * time)
        if kind == "Beep, bleep":
            if rng.random() < 0.5:
                sound = np.sign(sound) * 0.5 + 0.5 * sound
            period = rng.uniform(0.15, 1.2)
            sound *= (time % period) < period * rng.uniform(0.2, 0.6)
        begin = int(rng.uniform(0, 0.3) * total)
        sound[:begin] = 0
    targets = np.zeros(len(labels), np.float32)
    unsure = ["Static", "Hiss", "Beep, bleep", "Alarm", "Synthesizer", MUSIC, "Sine wave", "Hum"]
    targets[[labels.row(name) for name in unsure if name in labels.names]] = np.nan
    targets[labels.rows([kind])] = 1
    return Stem(kind, sound.astype(np.float32), targets)


def shift(notes: Sequence[Note], by_s: float) -> list[Note]:
    """The same notes, later."""
    return [Note(n.start_s + by_s, n.length_s, n.key, n.velocity) for n in notes]


def tint(samples: np.ndarray, rng: Rng, spread_db: float) -> np.ndarray:
    """A random colour: a gain for each octave, normal with this spread, smooth in between."""
    spectrum = np.fft.rfft(samples)
    octaves = np.log2(np.maximum(np.arange(len(spectrum)), 1) * SAMPLE_RATE / len(samples))
    gains = np.interp(octaves, np.arange(5, 14), rng.normal(0, spread_db, 9))
    return np.fft.irfft(spectrum * 10 ** (gains / 20), len(samples)).astype(np.float32)
