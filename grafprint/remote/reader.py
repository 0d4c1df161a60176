"""A library on servers, for reading: what matching and the commands ask of it."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from grafprint.audio.landmarks import FRAME_S, PER_ROW, ROW_FRAMES
from grafprint.errors import LibraryError
from grafprint.library import records
from grafprint.library.labels import Labels
from grafprint.library.records import File, Meta, Network, Track
from grafprint.library.rows import RowTable
from grafprint.remote import schema
from grafprint.remote.address import Address, missing_package
from grafprint.remote.catalogue import RemoteCatalogue
from grafprint.remote.database import Database, has_library
from grafprint.remote.engine import MILVUS, EngineSettings
from grafprint.remote.exact import ExactEngine
from grafprint.remote.landmarks import TrackLandmarks
from grafprint.remote.stretches import Stretches

if TYPE_CHECKING:
    from grafprint.library.index.row_index import IndexState
    from grafprint.remote.milvus import MilvusEngine

_TRACKS = 50_000  # kept in memory


class State(NamedTuple):
    """The row of the table ``state``."""

    changes: int
    fingerprints: int
    sounding: int
    rows: int
    engine: str
    age_s: float = 0.0  # since the last change


@dataclass(frozen=True)
class _Rows:
    id: int
    first: int
    count: int


class RemoteReader:
    """The part of :class:`~grafprint.remote.library.RemoteLibrary` that reads.

    What is kept in memory is as of a state of the library, and forgotten when that has changed.
    """

    def __init__(self, address: Address, *, writable: bool) -> None:
        """Connect; see ``opening.open_library``."""
        self.address, self.writable = address, writable
        self.database = Database(address, writable=writable)
        try:
            if not self.database.read(has_library):
                raise LibraryError(
                    f"there is no library in {address}: make one with `grafprint index`, or name "
                    "another"
                )
            self._meta = self._read_meta()
        except BaseException:
            self.database.close()
            raise
        self.catalogue = RemoteCatalogue(self.database)
        self._stretches = Stretches(self.database, self.dim)
        self._engine: ExactEngine | MilvusEngine | None = None
        self._state = State(-1, 0, 0, 0, "")
        self._tracks: dict[int, Track | None] = {}  # by run, as of the state
        self._by_id: dict[int, Track] = {}
        self._table: tuple[np.ndarray, np.ndarray] | None = None  # as of the state
        self._has_landmarks: bool | None = None  # as of the state
        self._labels: dict[int, Labels] | None = None  # as of the state
        self._landmarks = TrackLandmarks(self.database, self.dim)

    def _read_meta(self) -> Meta:
        found = {k: json.loads(v) for k, v in
                 self.database.rows("SELECT key, value FROM grafprint.meta")}  # fmt: skip
        if (version := found.get("format", 0)) != schema.FORMAT:
            raise LibraryError(
                f"the library {self.address} is of format {version}, and this version of GraFPrint "
                f"reads {schema.FORMAT}: update GraFPrint"
            )
        return Meta(**{field.name: found[field.name] for field in fields(Meta)})

    def release(self) -> None:
        """Disconnect."""
        if self._engine is not None:
            self._engine.close()
        self.database.close()

    # Facts --------------------------------------------------------------------------------------

    @property
    def library_id(self) -> str:
        """The same for as long as this is the same library."""
        return self._meta.library_id

    @property
    def model_id(self) -> str:
        """The network whose fingerprints these are."""
        return self._meta.model_id

    @property
    def location(self) -> str:
        """Its address, for messages."""
        return str(self.address)

    @property
    def dim(self) -> int:
        """Numbers in a fingerprint."""
        return self._meta.dim

    @property
    def hop_s(self) -> float:
        """Seconds between the starts of consecutive fingerprints."""
        return self._meta.hop_s

    @property
    def window_s(self) -> float:
        """Seconds of audio in one fingerprint."""
        return self._meta.window_s

    @property
    def base(self) -> Path | None:
        """None: paths are stored as absolute ones."""
        return None

    @property
    def keeps_landmarks(self) -> bool:
        """Whether landmarks can be stored; they fit fingerprints with a hop of 96 ms."""
        return math.isclose(self.hop_s, ROW_FRAMES * FRAME_S)

    @property
    def rows(self) -> int:
        """Number of rows ever added."""
        return self._present().rows

    def __len__(self) -> int:
        """Number of fingerprints of all tracks."""
        return self._present().fingerprints

    def __bool__(self) -> bool:
        """True, also when empty."""
        return True

    @property
    def exact(self) -> bool:
        """Whether a search compares with every fingerprint."""
        self._present()
        return self._searcher().exact

    @property
    def engine(self) -> EngineSettings:
        """What searches it."""
        return EngineSettings.from_text(self._present().engine)

    def size_bytes(self) -> int:
        """What its tables take on the server's disk."""
        rows = self.database.rows(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c"
            " WHERE c.relnamespace = 'grafprint'::regnamespace AND c.relkind = 'r'"
        )
        return int(rows[0][0])

    def check_model(self, model_id: str) -> None:
        """Raise LibraryError unless ``model_id`` is the network whose fingerprints these are."""
        if model_id != self.model_id:
            records.check_model(self, model_id, self.catalogue.network)

    def check_query(self, network: Network) -> None:
        """Raise LibraryError unless clips fingerprinted by ``network`` can be identified here."""
        self.check_model(network.model_id)
        records.check_query(self, network)

    # What is in it ------------------------------------------------------------------------------

    def tracks(self, search: str | None = None) -> list[Track]:
        """All tracks in the order they were added, or those that contain every word of ``search``.

        Searches title, artist, album and path, ignoring case.
        """
        return self.catalogue.tracks((search or "").split())

    def track(self, track_id: int) -> Track:
        """The track with this id. Raises LibraryError if there is none."""
        with self.locked():
            found = self._by_id.get(track_id) or self.catalogue.find(track_id)
        if found is None:
            raise LibraryError(f"{self.address} has no track number {track_id}")
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
        found = self._all_labels().get(track.id)
        return found.probabilities if found else {}

    def tagger_of(self, track: Track) -> str | None:
        """The id of the tagger that found a track's labels; None if it has not been tagged."""
        found = self._all_labels().get(track.id)
        return found.tagger if found else None

    @property
    def has_labels(self) -> bool:
        """Whether any track has been tagged."""
        return bool(self._all_labels())

    def _all_labels(self) -> dict[int, Labels]:
        with self.locked():
            if self._labels is None:
                self._labels = self.catalogue.labels()
            return self._labels

    # Searching ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """See the library as it is now in all that follows; other threads wait."""
        with self.database.snapshot() as outermost:
            if outermost:
                self._refresh()
            yield

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

    # Keeping in step ----------------------------------------------------------------------------

    def _present(self) -> State:
        """The state of the library, now or in the present snapshot."""
        with self.locked():
            return self._state

    def _refresh(self) -> None:
        """Read the state, and forget what is no longer true if it has changed."""
        found = self.database.rows(
            "SELECT changes, fingerprints, sounding, rows, engine,"
            " extract(epoch FROM clock_timestamp() - changed_at)::float8 FROM grafprint.state"
        )
        state = State(*found[0])
        if state.changes != self._state.changes or len(self._tracks) > _TRACKS:
            self._tracks.clear()
            self._by_id.clear()
            self._table = self._has_landmarks = self._labels = None
        self._state = state

    def _searcher(self) -> ExactEngine | MilvusEngine:
        """The engine of the present state; connects if that is another one than before."""
        settings = EngineSettings.from_text(self._state.engine)
        if self._engine is None or self._engine.settings != settings:
            if self._engine is not None:
                self._engine.close()
            self._engine = connect(settings, self.dim)
        return self._engine

    def live_runs(self) -> tuple[np.ndarray, np.ndarray]:
        """The runs of all tracks, and their row counts: int64 [tracks], in order of runs."""
        with self.locked():
            if self._table is None:
                rows = self.database.rows("SELECT run, count FROM grafprint.tracks ORDER BY run")
                runs, counts = np.array(rows, np.int64).reshape(-1, 2).T
                self._table = runs.copy(), counts.copy()
            return self._table

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

    def parts_of(self, run: int) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """The first row of each part of a run, its fingerprints (float16), and its landmarks."""
        last = schema.parts_of(run)[1]
        after = schema.parts_of(run)[0] - 1
        while True:  # some at a time: a run may be long
            found = self.database.rows(
                "SELECT id, fingerprints, landmarks FROM grafprint.parts"
                " WHERE id > %s AND id <= %s ORDER BY id LIMIT 16",
                (after, last),
            )
            for part, data, marks in found:
                after = part
                vectors = np.frombuffer(data, "<f2").reshape(-1, self.dim)
                landmarks = None if marks is None else np.frombuffer(marks, "<u2")
                yield (
                    part << schema.PART_BITS,
                    vectors,
                    None if landmarks is None else landmarks.reshape(-1, PER_ROW),
                )
            if len(found) < 16:
                return


def connect(settings: EngineSettings, dim: int) -> ExactEngine | MilvusEngine:
    """The engine with these settings. Raises LibraryError or MissingPackageError."""
    if settings.kind != MILVUS:
        return ExactEngine(settings, dim)
    try:
        from grafprint.remote.milvus import MilvusEngine
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    return MilvusEngine(settings, dim)
