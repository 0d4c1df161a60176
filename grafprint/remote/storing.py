"""The track that is being added, on the servers: stored as a run that is no track's yet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np

from grafprint.errors import LibraryError
from grafprint.remote import schema
from grafprint.remote.changes import abandon
from grafprint.remote.database import Connection, Database, one
from grafprint.remote.engine import Engine
from grafprint.remote.pending import PendingRows


class PendingRun:
    """Stores pending rows in the database and the index, until they are a track's."""

    def __init__(self, database: Database, rows: PendingRows, engine: Callable[[], Engine]) -> None:
        """``engine()``: what searches the library now."""
        self._database, self._rows, self._engine = database, rows, engine
        self.forget()

    def forget(self) -> None:
        """Note that the rows are a track's now."""
        self._run = 0  # they are stored as this run; 0: not yet
        self._indexed_by = ""  # the engine that has them

    def abandon(self) -> None:
        """Drop what is stored of rows that are not to be a track's."""
        run = self._run
        self.forget()
        if run:
            # If the server cannot be reached, the next writer cleans up.
            with contextlib.suppress(LibraryError):
                self._database.change(lambda db: abandon(db, [run]))

    def stored(self) -> tuple[int, int, str]:
        """The run of the pending rows, their number without silence, and the engine that has them.

        Stores them where they are not yet, or no longer.
        """
        rows = self._rows
        if not self._run or not self._database.rows(
            "SELECT FROM grafprint.pending WHERE run = %s UNION ALL"
            " SELECT FROM grafprint.tracks WHERE run = %s", (self._run, self._run)
        ):  # fmt: skip
            self._run, self._indexed_by = self._upload(), ""
        (wanted,) = self._database.rows("SELECT engine FROM grafprint.state")[0]
        if wanted != self._indexed_by:
            engine, first_row = self._engine(), schema.first_row(self._run)
            for first, vectors, _ in rows.parts():
                engine.put(first_row + first + np.arange(len(vectors)), vectors)
            self._indexed_by = engine.settings.to_text()
        return self._run, rows.sounding, self._indexed_by

    def _upload(self) -> int:
        """Store the pending rows as those of a new run; returns it."""
        (run,) = self._database.rows("SELECT nextval('grafprint.runs')")[0]
        rows = self._rows

        def work(db: Connection) -> None:
            stored = "SELECT EXISTS (SELECT FROM grafprint.pending WHERE run = %s)"
            if one(db, stored, (run,)) == (True,):
                return  # this was committed before the connection was lost
            db.execute(
                "INSERT INTO grafprint.pending VALUES (%s, %s)", (run, self._database.writer)
            )
            for first, vectors, landmarks in rows.parts():
                db.execute(
                    "INSERT INTO grafprint.parts VALUES (%s, %b, %b)",
                    (
                        (schema.first_row(run) + first) >> schema.PART_BITS,
                        vectors.tobytes(),
                        None if landmarks is None else landmarks.astype("<u2").tobytes(),
                    ),
                )

        self._database.change(work)
        return int(run)
