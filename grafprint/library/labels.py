"""What tracks sound like: the labels that a tagger found, in a table of their own.

Older versions read and write the library without it. A row counts only while its content hash is
that of the track, as those of details.py do.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from grafprint.errors import LibraryError

_TABLE = """
CREATE TABLE IF NOT EXISTS labels (
  track INTEGER PRIMARY KEY, content_hash TEXT NOT NULL,
  tagger TEXT NOT NULL,  -- which one: ClipTagger.tagger_id
  probabilities TEXT NOT NULL  -- JSON: by label, the likeliest first
)
"""


class Labels(NamedTuple):
    """The labels of a track: which tagger found them, and their probabilities as JSON."""

    tagger: str
    text: str

    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each label, the likeliest first; a silent track has none.

        Raises LibraryError if they are damaged.
        """
        try:
            return {str(label): float(value) for label, value in json.loads(self.text).items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise LibraryError(
                "the labels of a track are damaged: remove the track and index its file again"
            ) from error


def of_probabilities(tagger: str, probabilities: Mapping[str, float]) -> Labels:
    """What is stored of the labels that a tagger found."""
    best = sorted(probabilities.items(), key=lambda item: -item[1])
    rounded = {label: round(float(value), 4) for label, value in best}
    return Labels(tagger, json.dumps(rounded, ensure_ascii=False))


def read(db: sqlite3.Connection) -> dict[int, Labels]:
    """The labels of each track that has been tagged."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'labels'").fetchone():
        return {}
    rows = db.execute(
        "SELECT track, tagger, probabilities FROM labels JOIN tracks ON id = track"
        " AND labels.content_hash = tracks.content_hash"
    )
    return {track: Labels(tagger, text) for track, tagger, text in rows}


def write(db: sqlite3.Connection, track: int, content_hash: str, labels: Labels) -> None:
    """Store the labels of a track, inside a transaction."""
    db.execute(_TABLE)
    values = (track, content_hash, *labels)
    db.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)", values)


def delete(db: sqlite3.Connection, tracks: list[int]) -> None:
    """Delete the labels of removed tracks, inside a transaction."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'labels'").fetchone():
        db.executemany("DELETE FROM labels WHERE track = ?", [(track,) for track in tracks])
