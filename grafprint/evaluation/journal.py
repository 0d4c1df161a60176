"""JSON Lines log of a long evaluation, so that it can be interrupted and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafprint.errors import DataError


class Journal:
    """A list of values in a file, each written as soon as it is added.

    The first line describes the evaluation; the file of another evaluation is refused, not
    overwritten. A last line cut short when a process was killed is dropped.
    """

    def __init__(self, path: Path, subject: dict[str, Any]) -> None:
        """Open or create the journal at ``path``. DataError if it has another subject."""
        self.path = path
        self.entries, lines = _read(path, subject)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([_head(subject), *lines]) + "\n", encoding="utf-8")

    def add(self, value: Any) -> None:
        """Append a JSON-able value."""
        self.entries.append(value)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")


def read_entries(path: Path, subject: dict[str, Any]) -> list[Any]:
    """The values in the journal at ``path``, which another process may be writing.

    Raises DataError if it has another subject.
    """
    return _read(path, subject)[0]


def _head(subject: dict[str, Any]) -> str:
    return json.dumps(subject, sort_keys=True)


def _read(path: Path, subject: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """The values, and the lines that hold them."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()
    if lines and lines[0] != _head(subject):
        raise DataError(f"{path} belongs to another evaluation: delete it, or name another file")
    try:
        return [json.loads(line) for line in lines[1:]], lines[1:]
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}): delete it") from error
