"""An open library on servers: its facts, its state, and what is kept in memory as of that."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from grafprint.audio.landmarks import FRAME_S, PER_ROW, ROW_FRAMES
from grafprint.errors import LibraryError
from grafprint.library import records
from grafprint.library.labels import Labels
from grafprint.library.records import Meta, Network, Track
from grafprint.remote import schema
from grafprint.remote.address import Address, missing_package
from grafprint.remote.catalogue import RemoteCatalogue
from grafprint.remote.database import Database, has_library
from grafprint.remote.engine import MILVUS, EngineSettings
from grafprint.remote.exact import ExactEngine
from grafprint.remote.landmarks import TrackLandmarks
from grafprint.remote.stretches import Stretches

if TYPE_CHECKING:
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


class RemoteState:
    """The part of :class:`~grafprint.remote.library.RemoteLibrary` that is as of a moment.

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
        self._labels: dict[int, Labels | None] = {}  # by id, as of the state
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

    # Keeping in step ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """See the library as it is now in all that follows; other threads wait."""
        with self.database.snapshot() as outermost:
            if outermost:
                self._refresh()
            yield

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
            self._labels.clear()
            self._table = self._has_landmarks = None
            self._landmarks.forget_lacking()
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
