"""A library's index in Milvus: its rows, found by row number and by nearness."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import grpc
import numpy as np
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from grafprint.errors import ConfigError, LibraryError
from grafprint.library.index.tuning import Tuning
from grafprint.remote.address import check_engine_uri
from grafprint.remote.engine import KINDS, EngineSettings, blocks, sounding
from grafprint.remote.schema import first_row

_T = TypeVar("_T")
NEIGHBOURS = 20  # for each segment of a clip
# How long a server that does not answer is asked again: a reader's user waits, a writer has time.
_READ_S, _WRITE_S = 20.0, 150.0
_CALL_S = 60.0
_UPSERT = 10_000  # rows at once: 5 MB
_QUERIES = 1024  # segments at once
_RUNS = 50  # removed at once
# Other programs' changes may reach the servers that search a little later than the database.
_SETTLED_S = 10.0
_FIELD = "fingerprint"
_INDEXED = 1024  # a segment of fewer rows gets no index
_POLL_S = 0.5
_LOADED_S = 120.0  # how long to wait until an index that is complete is in use
_STUCK_S = 3600.0  # how long to wait for a part of an index: one of a million rows takes minutes
_FAILURES = (MilvusException, grpc.RpcError)  # some of the latter come as they are

logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what it logs, it also raises
_log = logging.getLogger(__name__)


class MilvusEngine:
    """One collection of a Milvus server, loaded for search."""

    def __init__(self, settings: EngineSettings, dim: int) -> None:
        """Connect. Raises LibraryError if the server cannot be reached or lacks the collection."""
        check_engine_uri(settings.uri, plain=settings.plain)
        self.settings, self._dim = settings, dim
        self._client: MilvusClient | None = None
        self.age_s = 0.0  # since the last change of the library

    @property
    def exact(self) -> bool:
        """Whether a search compares with every row."""
        return self.settings.index == "FLAT"

    def create(self) -> None:
        """Make the collection and its index, and load it. Raises LibraryError if that fails."""
        settings = self.settings
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("row", DataType.INT64, is_primary=True)
        schema.add_field(_FIELD, DataType.FLOAT_VECTOR, dim=self._dim)
        index = MilvusClient.prepare_index_params()
        index.add_index(_FIELD, index_type=settings.index, metric_type="IP", params=settings.build)

        def create(client: MilvusClient) -> None:
            name = settings.collection
            if not client.has_collection(name, timeout=_CALL_S):
                client.create_collection(
                    name, schema=schema, consistency_level="Strong", timeout=_CALL_S
                )
            # Each by itself: the connection may have been lost between them.
            if not client.list_indexes(name, timeout=_CALL_S):
                client.create_index(name, index, timeout=_CALL_S)
            client.load_collection(name, timeout=_CALL_S)

        self._patiently(create, _WRITE_S)

    def drop(self) -> None:
        """Delete the collection, if there is one. Raises LibraryError if that fails."""
        name = self.settings.collection

        def drop(client: MilvusClient) -> None:
            if client.has_collection(name, timeout=_CALL_S):
                client.drop_collection(name, timeout=_CALL_S)

        self._patiently(drop, _READ_S)

    def put(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """See :class:`~grafprint.remote.engine.Engine`."""
        rows, vectors = sounding(rows, vectors)
        for begin in range(0, len(rows), _UPSERT):
            some = zip(rows[begin : begin + _UPSERT].tolist(),
                       vectors[begin : begin + _UPSERT], strict=True)  # fmt: skip
            data = [{"row": row, _FIELD: vector} for row, vector in some]
            self._patiently(
                lambda client, data=data: client.upsert(  # type: ignore[misc]
                    self.settings.collection, data, timeout=_CALL_S
                ),
                _WRITE_S,
            )

    def settle(self) -> None:
        """Wait until all rows put so far are indexed, and the index is used; takes its time.

        Later rows are indexed by the server as they become many. Raises LibraryError if that fails
        or does not advance.
        """
        name = self.settings.collection
        self._patiently(lambda client: client.flush(name, timeout=_CALL_S), _WRITE_S)
        before, deadline = -1, 0.0
        while waiting := self._patiently(_unindexed(name), _WRITE_S):
            if waiting != before:
                before, deadline = waiting, time.monotonic() + _STUCK_S
            elif time.monotonic() > deadline:
                raise LibraryError(
                    f"the search server {self.settings.uri} does not index {waiting} rows: see its "
                    "log, and run it again"
                )
            time.sleep(_POLL_S)
        deadline = time.monotonic() + _LOADED_S
        while self._patiently(_unloaded(name), _WRITE_S) and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def remove(self, runs: Iterable[int]) -> None:
        """See :class:`~grafprint.remote.engine.Engine`."""
        for some in blocks(runs, _RUNS):
            self._patiently(
                lambda client, some=some: client.delete(  # type: ignore[misc]
                    self.settings.collection, filter=_rows_of(some), timeout=_CALL_S
                ),
                _WRITE_S,
            )

    def count(self, runs: Iterable[int] | None = None) -> int:
        """How many rows there are, in all or of some runs."""
        if runs is not None:
            return sum(self._count(_rows_of(some)) for some in blocks(runs, _RUNS))
        return self._count("")

    def _count(self, which: str) -> int:
        found = self._patiently(
            lambda client: client.query(
                self.settings.collection,
                filter=which,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=_CALL_S,
            ),
            _READ_S,
        )
        return int(found[0]["count(*)"])

    def search(self, queries: np.ndarray, k: int | None) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`~grafprint.remote.engine.Engine`."""
        effort = 1 if self.exact else Tuning.effort(len(queries))
        k = k or NEIGHBOURS * effort
        how = {name: value * effort for name, value in self.settings.search.items()}
        if "ef" in how:
            how["ef"] = max(how["ef"], k)
        # The server waits for what was written before: a fraction of a second, and only needed
        # where something was. Else only if it lags by more than five seconds, its own setting.
        level = "Strong" if self.age_s < _SETTLED_S else "Bounded"
        products = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1)
        for begin in range(0, len(queries), _QUERIES):
            some = np.ascontiguousarray(queries[begin : begin + _QUERIES], np.float32)
            found = self._patiently(
                lambda client, some=some: client.search(  # type: ignore[misc]
                    self.settings.collection,
                    list(some),
                    limit=k,
                    search_params={"metric_type": "IP", "params": how},
                    consistency_level=level,
                    timeout=_CALL_S,
                ),
                _READ_S,
            )
            for number, hits in enumerate(found, begin):
                rows[number, : len(hits)] = [hit["id"] for hit in hits]
                products[number, : len(hits)] = [hit["distance"] for hit in hits]
        return products, rows

    def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _patiently(self, work: Callable[[MilvusClient], _T], patience_s: float) -> _T:
        """Call the server, again while it does not answer: all calls may be repeated."""
        deadline = time.monotonic() + patience_s
        wait_s = 0.2
        while True:
            try:
                return work(self._connected())
            except _FAILURES as failure:
                if time.monotonic() > deadline or _hopeless(failure):
                    raise self._explained(failure) from failure
                _log.info("%s does not answer (%s)", self.settings.uri, failure)
                if "not loaded" in str(failure):  # it was started again
                    with suppress(*_FAILURES):
                        self._connected().load_collection(self.settings.collection, timeout=_CALL_S)
            self.close()
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, 5.0)

    def _connected(self) -> MilvusClient:
        if self._client is None:
            options: dict[str, Any] = {}
            if authority := os.environ.get("GRAFPRINT_MILVUS_CA"):
                options["server_pem_path"] = authority
            token = _token()
            try:
                self._client = MilvusClient(
                    uri=self.settings.uri, token=token, timeout=10.0, **options
                )
            except OSError as error:
                raise ConfigError(f"GRAFPRINT_MILVUS_CA: {error}") from error
        return self._client

    def _explained(self, failure: Exception) -> LibraryError:
        where, text = self.settings.uri, " ".join(str(failure).split())[:300]
        if "not found" in text and "collection" in text:
            reason = "it has no index of this library: make it with `grafprint library reindex`"
        elif "auth" in text.lower() or "permission" in text.lower():
            reason = "give it the user and password in GRAFPRINT_MILVUS_TOKEN (USER:PASSWORD)"
        else:
            reason = (  # it does not say which of these it is
                "check that it runs and can be reached, the user and password "
                "(GRAFPRINT_MILVUS_TOKEN) and the authority of its certificate "
                "(GRAFPRINT_MILVUS_CA)"
            )
        return LibraryError(f"the search server {where} does not work: {reason} ({text})")


def _rows_of(runs: list[int]) -> str:
    """What finds the rows of some runs."""
    return " or ".join(f"(row >= {first_row(run)} and row < {first_row(run + 1)})" for run in runs)


def _unindexed(collection: str) -> Callable[[MilvusClient], int]:
    """How many rows of a collection wait for being indexed."""
    return lambda client: int(
        client.describe_index(collection, _FIELD, timeout=_CALL_S)["pending_index_rows"]
    )


def _unloaded(collection: str) -> Callable[[MilvusClient], int]:
    """How many segments of a collection are searched row by row, though they could be indexed."""
    return lambda client: sum(
        segment.num_rows >= _INDEXED and not segment.index_name
        for segment in client.list_loaded_segments(collection, timeout=_CALL_S)
    )


def _hopeless(failure: Exception) -> bool:
    """Whether trying again is in vain: the server has answered, and refuses."""
    text = str(failure).lower()
    refusals = ("collection not found", "can't find collection", "auth check", "permission deny",
                "privilege", "invalid parameter", "unauthenticated")  # fmt: skip
    return any(word in text for word in refusals)


def _token() -> str:
    """The user and password of the server, from the environment or a file; empty if none."""
    if token := os.environ.get("GRAFPRINT_MILVUS_TOKEN"):
        return token
    if file := os.environ.get("GRAFPRINT_MILVUS_TOKEN_FILE"):
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(f"GRAFPRINT_MILVUS_TOKEN_FILE: {error}") from error
    return ""


def settings_for(
    uri: str, collection: str, index: str, given: dict[str, int], *, plain: bool
) -> EngineSettings:
    """The settings of an index of kind ``index``, with some ``given`` instead of the usual ones.

    Raises ConfigError for a kind or a setting that there is not.
    """
    check_engine_uri(uri, plain=plain)
    if index not in KINDS:
        raise ConfigError(f"there is no index {index}: choose one of {', '.join(KINDS)}")
    build, search = (dict(usual) for usual in KINDS[index])
    for name, value in given.items():
        if name not in build and name not in search:
            known = ", ".join([*build, *search]) or "none"
            raise ConfigError(f"{index} has no setting {name}: it has {known}")
        (build if name in build else search)[name] = value
    return EngineSettings("milvus", uri, collection, index, build, search, plain)
