"""Fixtures for the command line's tests."""

import pytest

from grafprint.cli import console


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of 200 characters, so that tables are not folded."""
    monkeypatch.setattr(console.out, "width", 200)
    monkeypatch.setattr(console.err, "width", 200)
