"""Small libraries for the tests: of real music cut to seconds, or of given vectors."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from grafprint import audio
from grafprint.audio.metadata import Tags
from grafprint.library import Library
from grafprint.library.records import File, Recording, Track
from grafprint.remote.opening import AnyLibrary
from tests.audio_files import MUSIC
from tests.paths import ASSETS

DIM = 128


@dataclass(frozen=True)
class Network:
    """What a library stores about a network, for libraries of given vectors."""

    model_id: str = "given vectors"
    dim: int = DIM
    hop_s: float = 0.096
    window_s: float = 1.0
    imitates: str | None = None


@cache
def excerpt(number: int, start_s: float, duration_s: float) -> NDArray[np.float32]:
    """Seconds of a bundled track, mono at 16 kHz."""
    return audio.load(MUSIC[number], start_s=start_s, duration_s=duration_s)


def write_wav(path: Path, samples: NDArray[np.float32]) -> Path:
    """Write mono samples at 16 kHz, as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, audio.SAMPLE_RATE, samples)
    return path


def write_music(folder: Path, count: int, duration_s: float = 2.0) -> list[Path]:
    """Write ``count`` files with a few seconds of a bundled track each."""
    return [
        write_wav(folder / f"track {number}.wav", excerpt(number, 20, duration_s))
        for number in range(count)
    ]


def of_bundled_tracks(folder: Path, count: int) -> Path:
    """Make a library of the first tracks of the bundled one, without encoding them again."""
    shutil.copytree(ASSETS / "library", folder / "library")
    (folder / "music").symlink_to(ASSETS / "music")
    with Library.open(folder / "library", writable=True) as library:
        for track in library.tracks()[count:]:
            library.remove(track.id)
    return folder / "library"


def fill(
    library: AnyLibrary, tracks: Iterable[NDArray[np.float32]], first_number: int = 0
) -> list[Track]:
    """Store given vectors [n, 128] as tracks, the way an indexed file is stored."""
    stored = []
    for number, vectors in enumerate(tracks, first_number):
        library.vector_store.append(vectors)
        library.sync_rows()
        tags = Tags(f"track {number}", "", "", "", "")
        checksum, count = library.vector_store.pending_crc32, len(vectors)
        recording = Recording(f"content {number}", count * 0.096, tags, count, checksum)
        with library.changing() as catalogue:
            stored.append(catalogue.put(recording, File(f"{number}.wav", 0, 1, 1), None))
            library.commit_rows()
    return stored


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors of length 1, rounded to what a library stores."""
    scaled = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled.astype(np.float16).astype(np.float32)


def walk(rng: np.random.Generator, count: int, step: float = 0.3) -> NDArray[np.float32]:
    """Unit vectors [count, 128] whose neighbours are similar, like those of a recording."""
    steps = rng.standard_normal((count, DIM))
    path = np.empty_like(steps)
    path[0] = steps[0]
    for i in range(1, count):
        path[i] = np.sqrt(1 - step**2) * path[i - 1] + step * steps[i]
    return unit(path)
