"""One of several shares of a long work, each of which another machine does.

A share is chosen by what is shared alone, so that the machines need not talk to each other.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from grafprint.errors import ConfigError
from grafprint.library.add_file import real


@dataclass(frozen=True)
class Part:
    """Part ``number`` (from 1) of ``total``, as in ``3/16``."""

    number: int
    total: int

    def __post_init__(self) -> None:
        """Raise ConfigError unless ``1 <= number <= total``."""
        if not 1 <= self.number <= self.total:
            last = max(self.total, 1)
            raise ConfigError(
                f"there is no part {self}: parts go from 1/{last} to {last}/{last}, one a job"
            )

    @classmethod
    def parse(cls, text: str) -> Part:
        """The part that a text such as ``3/16`` names. Raises ConfigError for others."""
        found = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*", text)
        if not found:
            raise ConfigError(
                f"{text!r} is not a part: give its number and how many there are, such as 3/16"
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def has_file(self, file: Path, folder: Path) -> bool:
        """Whether a file below ``folder`` (or the folder itself, if it is a file) is in this part.

        Decided by a hash of its path in the folder, so that files which come or go later leave the
        others where they are. A file in a linked folder has one part under all its paths.
        """
        base = Path(os.path.realpath(folder if file != folder else folder.parent))
        path = real(file)
        # Otherwise it is in a linked folder elsewhere.
        inside = path.relative_to(base) if path.is_relative_to(base) else file.relative_to(folder)
        name = os.fsencode(inside.as_posix())
        digest = hashlib.blake2b(name, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.total == self.number - 1

    def numbers(self, count: int) -> range:
        """Those of the numbers 0 to ``count`` (exclusive) that are in this part."""
        return range(self.number - 1, count, self.total)
