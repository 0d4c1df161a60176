"""MIDI files as stems: channels, their sum, and messages."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from assets.stems.find import midi_song
from assets.stems.midi import MidiPlayer
from grafprint.errors import DataError
from tests.assets.test_stems import run


@dataclass
class NoteOn:
    """A key is struck, or let go of if the velocity is 0."""

    key: int
    velocity: int


@dataclass
class Event:
    """A note on a channel, ``t`` seconds from the start."""

    action: NoteOn
    t: float
    channel: int


class Synth:
    """A sound font of sines: it plays each key that is held."""

    def __init__(self, samplerate: int, gain: float) -> None:
        self.rate, self.gain, self.at = samplerate, gain, 0
        self.held: dict[int, int] = {}

    def sfload(self, font: bytes) -> int:
        return len(font)

    def program_select(self, *program: object) -> None:
        pass

    def generate_simple(self, samples: int) -> bytes:
        time = (self.at + np.arange(samples)) / self.rate
        self.at += samples
        tones = [
            velocity / 1270 * np.sin(2 * np.pi * 440 * 2 ** ((key - 69) / 12) * time)
            for key, velocity in self.held.items()
        ]
        sound = np.sum(tones, axis=0) if tones else np.zeros(samples)
        return np.repeat(sound.astype(np.float32), 2).tobytes()


class Sequencer:
    """Hands events to a synth."""

    def __init__(self, synth: Synth) -> None:
        self.synth = synth

    def send(self, event: Event) -> None:
        self.synth.held[event.action.key] = event.action.velocity


def load_memory(contents: bytes) -> list[Event]:
    """Events from JSON: time, channel, key and velocity of each."""
    return [Event(NoteOn(key, velocity), t, c) for t, c, key, velocity in json.loads(contents)]


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MidiPlayer:
    """Plays sines: the library is no dependency, and sound fonts are large."""
    midi = SimpleNamespace(NoteOn=NoteOn, load_memory=load_memory)
    library = SimpleNamespace(midi=midi, Synth=Synth, Sequencer=Sequencer)
    monkeypatch.setitem(sys.modules, "tinysoundfont", library)
    font = tmp_path / "font.sf2"
    font.write_bytes(b"sines")
    return MidiPlayer(font)


def test_each_channel_is_a_stem_and_notes_are_on_time(player: MidiPlayer, tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    path.write_text(json.dumps([[0.5, 0, 60, 100], [1.5, 0, 60, 0], [1.0, 9, 40, 80]]))
    song = midi_song(path, "rockdodger", player)
    stems = dict(song.stems)
    assert song.split == "valid"
    assert list(stems) == ["channel 01", "channel 10"]
    assert {len(stem) for stem in stems.values()} == {round(3.5 * 16_000)}  # two more seconds
    np.testing.assert_allclose(song.mix, stems["channel 01"] + stems["channel 10"], atol=1e-6)
    loud = np.abs(stems["channel 01"]) > 0.01
    assert np.flatnonzero(loud)[[0, -1]] / 16_000 == pytest.approx([0.5, 1.5], abs=0.01)
    assert np.flatnonzero(np.abs(stems["channel 10"]) > 0.01)[0] / 16_000 == pytest.approx(
        1.0, abs=0.01
    )


def test_what_is_no_midi_file_or_has_no_notes_is_named(player: MidiPlayer, tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    path.write_text("MThd")
    with pytest.raises(DataError, match=r"song\.mid: not a MIDI file"):
        player.channels(path)
    path.write_text("[]")
    with pytest.raises(DataError, match=r"song\.mid: no notes in it"):
        player.channels(path)


def test_the_player_and_its_font_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = run(tmp_path / "out", "--midi", tmp_path)
    assert code == 1
    assert "--font" in output
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    code, output = run(tmp_path / "out", "--midi", tmp_path, "--font", tmp_path / "font.sf2")
    assert code == 1
    assert "pip install --no-deps tinysoundfont" in output
    monkeypatch.setitem(sys.modules, "tinysoundfont", SimpleNamespace())
    code, output = run(tmp_path / "out", "--midi", tmp_path, "--font", tmp_path / "font.sf2")
    assert code == 1
    assert "there is no such sound font" in output
