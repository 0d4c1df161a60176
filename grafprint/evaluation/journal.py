"""The record of a long evaluation, so that it can be stopped and taken up: JSON lines in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Journal:
    """Values that arrive one by one, each on the disk as soon as it is there.

    The first line says what the values are of; a file that says otherwise is refused, not
    overwritten. A last line that was cut off by the end of a process is dropped.
    """

    def __init__(self, path: Path, of: dict[str, Any]) -> None:
        """Open or begin the journal at ``path``. ValueError if it is of something else."""
        self.path = path
        head = json.dumps(of, sort_keys=True)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()
        if lines and lines[0] != head:
            raise ValueError(f"{path} is of another evaluation: delete it, or name another file")
        self.entries: list[Any] = [json.loads(line) for line in lines[1:]]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([head, *lines[1:]]) + "\n", encoding="utf-8")

    def add(self, value: Any) -> None:
        """Append a JSON-able value."""
        self.entries.append(value)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")
