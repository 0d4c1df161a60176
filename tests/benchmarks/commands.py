"""Run benchmark commands in this process."""

import sys
from typing import Any

import pytest

PAIRS = 16
LAST = 12  # first look-alike track that is not in the training split


def run(command: Any, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [command.__name__, *map(str, arguments)])
    command.main()
