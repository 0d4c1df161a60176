"""What several test modules share."""

import pytest

from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter


@pytest.fixture(scope="session")
def fingerprinter() -> Fingerprinter:
    """The bundled network; a seeded untrained one where there are no weights."""
    return Fingerprinter.load() if DEFAULT_MODEL.exists() else Fingerprinter.untrained(seed=0)
