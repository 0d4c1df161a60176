"""MIDI files as one sound for each channel, by tinysoundfont and a sound font."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from assets.stems.trackers import LONGEST_S
from assets.tagger.fonts import load_player
from grafprint.audio import SAMPLE_RATE
from grafprint.errors import DataError

SUFFIXES = (".mid", ".midi")
_RENDER_HZ = 2 * SAMPLE_RATE  # the player interpolates linearly: less of it is left after halving
_TAIL_S = 2.0  # after the last event
_DRUMS = 9  # their channel
_QUIETER_DB = -12.0


class MidiPlayer:
    """Plays MIDI files with a sound font. Raises DataError if it cannot."""

    def __init__(self, font: Path) -> None:
        self._library = load_player(font, "MIDI files are played by")
        self._font = font.read_bytes()

    def channels(self, path: Path) -> dict[int, np.ndarray]:
        """The sound ``[n]`` of each channel with notes, from 1, mono at 16 kHz.

        The song is their sum. Raises DataError if the file cannot be read or has no notes.
        """
        midi = self._library.midi
        try:
            events = midi.load_memory(path.read_bytes())
        except Exception as error:  # tinysoundfont has no class for what goes wrong
            raise DataError(f"{path}: not a MIDI file ({error})") from error
        struck = sorted({e.channel for e in events if isinstance(e.action, midi.NoteOn)})
        if not struck:
            raise DataError(f"{path}: no notes in it")
        seconds = min(LONGEST_S, max(e.t for e in events) + _TAIL_S)
        return {
            number + 1: self._render([e for e in events if e.channel == number], seconds)
            for number in struck
        }

    def _render(self, events: Sequence[Any], seconds: float) -> np.ndarray:
        """Play events by themselves: each falls on the same sample whatever else is played."""
        synth = self._library.Synth(samplerate=_RENDER_HZ, gain=_QUIETER_DB)
        number = synth.sfload(self._font)
        synth.program_select(_DRUMS, number, 0, 0, True)
        sequencer = self._library.Sequencer(synth)
        total = round(seconds * _RENDER_HZ)
        sound = np.zeros(total, np.float32)
        done = 0
        for event in [*events, None]:
            until = total if event is None else min(total, round(event.t * _RENDER_HZ))
            if until > done:
                both = np.frombuffer(synth.generate_simple(until - done), np.float32)
                sound[done:until] = both.reshape(-1, 2).mean(axis=1)
                done = until
            if event is not None:
                sequencer.send(event)
        return np.asarray(resample_poly(sound, 1, 2), np.float32)
