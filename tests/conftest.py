"""Fixtures for all test modules: the bundled network, and small libraries."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grafprint.fingerprint import DEFAULT_MODEL, FAST_MODEL, Fingerprinter
from grafprint.library import Library
from tests.libraries import write_music
from tests.paths import ASSETS
from tests.sample_networks import make_library

EXAMPLES = ASSETS / "examples"


@pytest.fixture(scope="session", autouse=True)
def bundled_networks() -> Iterator[None]:
    """All tests share the bundled networks, which take a second to load; other files are loaded."""
    load = Fingerprinter.load
    once = functools.cache(load)

    def shared(model: str | Path = DEFAULT_MODEL, *arguments: Any, **options: Any) -> Fingerprinter:
        is_bundled = Path(model) in (DEFAULT_MODEL, FAST_MODEL)
        return (once if is_bundled else load)(model, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fingerprinter, "load", shared)
        yield


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
