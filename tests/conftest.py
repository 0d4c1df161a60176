"""Fixtures for all test modules: the bundled network, and small libraries."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter
from grafprint.library import Library
from tests.libraries import write_music
from tests.paths import ASSETS
from tests.sample_networks import make_library

EXAMPLES = ASSETS / "examples"


@pytest.fixture(scope="session")
def fingerprinter() -> Fingerprinter:
    """The bundled network; a seeded untrained one if there are no weights."""
    return Fingerprinter.load() if DEFAULT_MODEL.exists() else Fingerprinter.untrained(seed=0)


@pytest.fixture(scope="session")
def sampling_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For sample identification: ``library`` and ``music`` of songs, and small networks."""
    folder = tmp_path_factory.mktemp("sampling")
    make_library(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of two seconds each."""
    write_music(tmp_path / "music", 3)
    return tmp_path / "music"


@pytest.fixture
def library(tmp_path: Path, fingerprinter: Fingerprinter) -> Iterator[Library]:
    """A new library."""
    with Library.create(tmp_path / "library", fingerprinter) as library:
        yield library
