"""Find songs for the table of stems: modules, MIDI files, folders of stems, recordings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from assets.stems import midi, trackers
from assets.stems.midi import MidiPlayer
from assets.stems.songs import Song
from assets.stems.trackers import Trackers
from grafprint import audio
from grafprint.audio.folders import audio_files

# Songs of one package sound alike: the split is by package. All others are for training.
TEST_PACKAGES = frozenset({"heroes-sound-tracks", "freedroid-data", "pekka-kana-2-data"})
VALID_PACKAGES = frozenset({"gl-117-data", "njam-data", "penguin-command", "rockdodger"})
_WHOLE = ("mix", "mixture")  # a song's file that holds all stems

Found = Iterator[tuple[str, str, Callable[[], Song]]]  # package, name, and how to get the song


def modules_below(folder: Path, player: Trackers) -> Found:
    """The tracker modules in each package, which is a folder below ``folder``.

    A file that is in two packages counts once.
    """
    for path, package in _files_below(folder, trackers.SUFFIXES):
        # With the suffix: a.mod and a.xm are two songs.
        yield (
            package,
            path.name,
            partial(module, path, package, player),
        )


def midi_below(folder: Path, player: MidiPlayer) -> Found:
    """The MIDI files in each package, as :func:`modules_below`."""
    for path, package in _files_below(folder, midi.SUFFIXES):
        yield (
            package,
            path.name,
            partial(midi_song, path, package, player),
        )


def midi_song(path: Path, package: str, player: MidiPlayer) -> Song:
    """A MIDI file: a stem for each channel, and their sum."""
    stems = {f"channel {number:02d}": sound for number, sound in player.channels(path).items()}
    mix = np.sum(list(stems.values()), axis=0)
    return Song(path.name, package, split_of_package(package), mix, stems.items())


def _files_below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Files and their packages, each file once even if it is in two packages."""
    seen = set()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in suffixes or path.is_symlink() or not path.is_file():
            continue
        contents = hashlib.sha256(path.read_bytes()).digest()
        if contents not in seen:
            seen.add(contents)
            yield path, path.relative_to(folder).parts[0]


def module(path: Path, package: str, player: Trackers) -> Song:
    """A tracker module: a stem for each channel, and when its rows begin."""
    mix, rows = player.mix(path)

    def stems() -> Iterator[tuple[str, np.ndarray]]:
        for number in range(player.channels(path)):
            yield f"channel {number + 1:02d}", player.channel(path, number)

    return Song(path.name, package, split_of_package(package), mix, stems(), rows)


def songs_below(folder: Path) -> Found:
    """Songs of which each is a folder with a file per stem, as in MUSDB18."""
    for song in sorted({path.parent for path in audio_files(folder, [])}):
        yield folder.name, song.name, partial(of_folder, song, folder)


def of_folder(song: Path, root: Path) -> Song:
    """A song from its files; their sum is the mix if none is named ``mix`` or ``mixture``."""
    files = {path.stem: audio.load(path) for path in sorted(audio_files(song, []))}
    whole = [files.pop(name) for name in _WHOLE if name in files]
    if not whole:
        longest = max(len(sound) for sound in files.values())
        whole = [sum(np.pad(s, (0, longest - len(s))) for s in files.values())]  # type: ignore[list-item]
    return Song(song.name, root.name, split_of(song.relative_to(root)), whole[0], files.items())


def mixes_below(folder: Path) -> Found:
    """Whole recordings, without stems."""
    for path in sorted(audio_files(folder, [])):
        yield folder.name, path.stem, partial(recording, path, folder)


def recording(path: Path, root: Path) -> Song:
    """A recording without stems."""
    return Song(path.stem, root.name, split_of(path.relative_to(root)), audio.load(path))


def split_of_package(package: str) -> str:
    """Whether a package's songs are for ``train``, ``valid`` or ``test``."""
    if package in TEST_PACKAGES:
        return "test"
    return "valid" if package in VALID_PACKAGES else "train"


def split_of(path: Path) -> str:
    """``test`` or ``valid`` below a folder of that name, else ``train``."""
    return next((name for name in ("test", "valid") if name in path.parts[:-1]), "train")
