"""A library on servers, for reading: what matching and the commands ask of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grafprint.errors import NoTrackError
from grafprint.library.labels import Labels
from grafprint.library.records import File, Totals, Track
from grafprint.library.rows import RowTable
from grafprint.remote import schema
from grafprint.remote.engine import EngineSettings
from grafprint.remote.exact import ExactEngine
from grafprint.remote.state import RemoteState

if TYPE_CHECKING:
    from grafprint.library.index.row_index import IndexState

_LABELS = 1000  # of how many tracks labels are fetched at once


@dataclass(frozen=True)
class _Rows:
    id: int
    first: int
    count: int


class RemoteReader(RemoteState):
    """The part of :class:`~grafprint.remote.library.RemoteLibrary` that reads."""

    # What is in it ------------------------------------------------------------------------------

    def tracks(self, search: str | None = None) -> list[Track]:
        """All tracks in the order they were added, or those that contain every word of ``search``.

        Searches title, artist, album and path, ignoring case.
        """
        return self.catalogue.tracks((search or "").split())

    def track(self, track_id: int) -> Track:
        """The track with this id. Raises NoTrackError if there is none."""
        with self.locked():
            found = self._by_id.get(track_id) or self.catalogue.find(track_id)
        if found is None:
            raise NoTrackError(f"{self.address} has no track number {track_id}")
        return found

    def located(self, path: str) -> Path:
        """The place of a path as stored."""
        return Path(path)

    def audio_path(self, track: Track) -> Path | None:
        """The track's audio file; None if none of its files exists on this machine."""
        paths = [Path(path) for path in self.catalogue.paths_of(track.id)]
        return next((path for path in paths if path.is_file()), None)

    def files_below(self, folder: Path) -> list[File]:
        """The library's files below an absolute folder, or the file of that path."""
        return self.catalogue.files_below(str(folder))

    def labels_of(self, track: Track) -> dict[str, float]:
        """What a track sounds like: the probability of each label, the likeliest first."""
        found = self._labels_of(track.id)
        return found.probabilities if found else {}

    def tagger_of(self, track: Track) -> str | None:
        """The id of the tagger that found a track's labels; None if it has not been tagged."""
        found = self._labels_of(track.id)
        return found.tagger if found else None

    @property
    def has_labels(self) -> bool:
        """Whether any track has been tagged."""
        return self.catalogue.has_labels

    def _labels_of(self, track: int) -> Labels | None:
        """Those of a track, if it has been tagged; fetches them with those of later tracks."""
        with self.locked():
            if track not in self._labels:
                self._labels[track] = None  # it may have been removed
                self._labels.update(self.catalogue.labels(track, _LABELS))
            return self._labels[track]

    def totals(self) -> Totals:
        """How many tracks there are, how long, and how many of them have been tagged."""
        return self.catalogue.totals()

    # Searching ----------------------------------------------------------------------------------

    def search(self, queries: np.ndarray, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Inner products and rows ``[m, k]``; see ``Collection.search``."""
        with self.locked():
            engine = self._searcher()
            if isinstance(engine, ExactEngine):
                runs, counts = self.live_runs()
                engine.follow(
                    dict(zip(runs.tolist(), counts.tolist(), strict=True)), self.read_runs
                )
            else:
                engine.age_s = self._state.age_s
            if not len(queries):
                return np.empty((0, k or 1), np.float32), np.empty((0, k or 1), np.int64)
            products, rows = engine.search(queries, k)
            # The index may have rows of removed tracks, and of those that are being added.
            gone = self.spans(rows)[0] < 0
            if gone.any():
                order = np.argsort(gone, axis=1, kind="stable")
                products = np.where(gone, -np.inf, products).astype(np.float32)
                products = np.take_along_axis(products, order, axis=1)
                rows = np.take_along_axis(np.where(gone, -1, rows), order, axis=1)
            return products, rows

    def spans(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Track id, first row and row count for rows ``[...]``; -1, -1, 0 for rows of no track."""
        rows = np.asarray(rows, np.int64)
        runs, where = np.unique(rows >> schema.RUN_BITS, return_inverse=True)
        tracks = self._of_runs(runs.tolist())
        table = np.array(
            [(t.id, t.first, t.count) if t else (-1, -1, 0) for t in tracks], np.int64
        ).reshape(-1, 3)
        ids, firsts, counts = table[where.reshape(rows.shape)].transpose(-1, *range(rows.ndim))
        inside = (ids >= 0) & (rows - firsts < counts)
        return np.where(inside, ids, -1), np.where(inside, firsts, -1), np.where(inside, counts, 0)

    def track_of(self, rows: np.ndarray) -> np.ndarray:
        """The ids (int64) of the tracks to which row numbers ``[...]`` belong, -1 where none."""
        return self.spans(rows)[0]

    def tracks_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The first row and the row count of each track: int64 [tracks], in order of rows."""
        runs, counts = self.live_runs()
        return runs << schema.RUN_BITS, counts

    def require_intact(self, track: Track) -> None:
        """Do nothing: the server checks its pages, and ``grafprint library check`` reads all."""

    @property
    def has_landmarks(self) -> bool:
        """Whether most tracks have landmarks, by a look at up to a thousand."""
        with self.locked():
            if self._has_landmarks is None:
                rows = self.database.rows(
                    "SELECT 2 * count(*) FILTER (WHERE has_landmarks) > count(*) FROM"
                    " (SELECT has_landmarks FROM grafprint.tracks ORDER BY id DESC LIMIT 1000) t"
                )
                self._has_landmarks = self.keeps_landmarks and bool(rows[0][0])
            return self._has_landmarks

    def prefetch_landmarks(self, firsts: np.ndarray) -> None:
        """Fetch the landmarks of the tracks with these first rows, in one round trip."""
        with self.locked():
            self._landmarks.prefetch(firsts)

    def landmarks(self, first: int, end: int) -> np.ndarray:
        """The landmarks, uint16 [end - first, 8], of rows ``first`` to ``end`` (exclusive)."""
        with self.locked():
            return self._landmarks.range(int(first), int(end))

    def prefetch(self, firsts: np.ndarray, ends: np.ndarray) -> None:
        """Fetch the rows ``firsts [c]`` to ``ends [c]`` (exclusive) in one round trip."""
        with self.locked():
            self._stretches.prefetch(firsts, ends)

    def score_sums(
        self, places: np.ndarray, positions: np.ndarray, queries: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums of a query's inner products at many places; see ``Collection.score_sums``."""
        with self.locked():
            return self._stretches.score_sums(places, positions, queries)

    def products(self, rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Inner products ``[c, n]`` of the stored rows ``[c, n]`` with ``queries [n, dim]``."""
        with self.locked():
            return self._stretches.products(rows, queries)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The stored fingerprints ``[..., dim]`` (float32) of row numbers ``[...]``."""
        with self.locked():
            return self._stretches.vectors(np.asarray(rows, np.int64))

    def _of_runs(self, runs: list[int]) -> list[Track | None]:
        """The track of each run, if it is one's."""
        with self.locked():
            missing = [run for run in runs if run not in self._tracks]
            if missing:
                self._tracks.update(dict.fromkeys(missing))
                for track in self.catalogue.of_runs(missing):
                    self._tracks[track.first >> schema.RUN_BITS] = track
                    self._by_id[track.id] = track
            return [self._tracks[run] for run in runs]

    def read_runs(self, runs: list[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The rows of runs, and their fingerprints in float32, part by part."""
        for run in runs:
            for first, vectors, _ in self.parts_of(run):
                yield first + np.arange(len(vectors)), vectors.astype(np.float32)

    # For maps -----------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """A folder of this machine for what is derived from the library: its map."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        folder = cache / "grafprint" / self.library_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def table(self) -> RowTable:
        """Which rows belong to which track."""
        rows = self.database.rows("SELECT id, run, count FROM grafprint.tracks")
        return RowTable(_Rows(i, schema.first_row(run), count) for i, run, count in rows)

    def index_state(self) -> IndexState:
        """What an index or a map of the library as it is now is an index of."""
        from grafprint.library.index.row_index import EXACT, IndexState

        with self.locked():
            runs, _ = self.live_runs()
            end = schema.first_row(int(runs[-1]) + 1) if len(runs) else 0
            kind = EngineSettings.from_text(self._state.engine).index or EXACT
            return IndexState(self.library_id, 0, end, self._state.changes, kind)
