"""Fixtures for all test modules: the bundled network, and small libraries."""

import functools
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from grafprint.fingerprint import DEFAULT_MODEL, FAST_MODEL, Fingerprinter
from grafprint.library import Library
from tests.libraries import write_music
from tests.paths import ASSETS
from tests.sample_networks import make_library

EXAMPLES = ASSETS / "examples"


@pytest.fixture(scope="session", autouse=True)
def bundled_networks() -> Iterator[None]:
    """All tests share the bundled networks, which take a second to load; other files are loaded."""
    once = functools.cache(Fingerprinter.load)
    load = inspect.getattr_static(Fingerprinter, "load").__func__

    def shared(
        kind: type[Fingerprinter], model: str | Path = DEFAULT_MODEL, *more: Any, **options: Any
    ) -> Fingerprinter:
        if kind is Fingerprinter and Path(model) in (DEFAULT_MODEL, FAST_MODEL):
            return once(model, *more, **options)
        loaded: Fingerprinter = load(kind, model, *more, **options)
        return loaded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fingerprinter, "load", classmethod(shared))
        yield


@pytest.fixture(autouse=True)
def kept_threads() -> Iterator[None]:
    """What a test runs may change PyTorch's threads, and sums depend on how many there are."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


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
