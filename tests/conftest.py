"""What several test modules share."""

import os

# Before FAISS and PyTorch are loaded: the tests compare results, and one thread repeats them best.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter


@pytest.fixture(scope="session")
def fingerprinter() -> Fingerprinter:
    """The bundled network; a seeded untrained one where there are no weights."""
    return Fingerprinter.load() if DEFAULT_MODEL.exists() else Fingerprinter.untrained(seed=0)
