"""What servers and calls to them cost: CPU time, memory, round trips."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.shared.cluster_servers import MILVUS_TOKEN, Milvus, Postgres, Server

_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE = 0.2  # CPU seconds in a second: a server has clocks and checks
# PostgreSQL as it would be used, but with little memory; what was committed is on the disk.
_POSTGRES = {"fsync": "on", "shared_buffers": "256MB", "max_wal_size": "4GB"}


@dataclass(frozen=True)
class Servers:
    """PostgreSQL and Milvus on this machine."""

    postgres: Postgres
    milvus: Milvus


@contextmanager
def running() -> Iterator[Servers]:
    """Both servers, from packages, until the end of the block."""
    with ExitStack() as stack:
        servers = Servers(Postgres(_POSTGRES), Milvus())
        for server in (servers.postgres, servers.milvus):
            stack.callback(server.stop)
            server.start()
        token = {"GRAFPRINT_MILVUS_TOKEN": MILVUS_TOKEN}
        stack.enter_context(mock.patch.dict(os.environ, token))
        yield servers


def _processes(server: Server) -> list[int]:
    """The server's process and its children."""
    assert server.process is not None
    own = server.process.pid
    found = [own]
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                if _stat(int(place.name))[1] == str(own):
                    found.append(int(place.name))
            except OSError:  # it has ended
                continue
    return found


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` from the third on: state, parent, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_s(server: Server) -> float:
    """CPU seconds of a server so far, with children that have ended."""
    ticks = 0
    for number, pid in enumerate(_processes(server)):
        try:
            fields = _stat(pid)
        except OSError:
            continue
        ticks += sum(map(int, fields[11 : 13 if number else 15]))
    return ticks / _TICKS


def wait_until_idle(server: Server, patience_s: float = 120.0) -> None:
    """Wait until a server has used little CPU for three seconds: it tidies up after writing."""
    deadline, used, still = time.monotonic() + patience_s, cpu_s(server), 0
    while still < 3 and time.monotonic() < deadline:
        time.sleep(1.0)
        before, used = used, cpu_s(server)
        still = still + 1 if used - before < _IDLE else 0


def memory_mb(server: Server) -> float:
    """Memory of a server in MB: its processes' own, and their shares of what they have in common.

    Files that the system keeps in its cache are not in it.
    """
    kb = 0
    for pid in _processes(server):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        kb += int(text.split("\nPss:")[1].split()[0])
    return kb / 1e3


@dataclass
class Cost:
    """Seconds of the wall, and CPU seconds of this process and of the servers."""

    wall_s: float = 0.0
    client_cpu_s: float = 0.0
    server_cpu_s: float = 0.0

    @contextmanager
    def adding(self, *counted: Server) -> Iterator[None]:
        """Add what the block takes."""
        servers = sum(map(cpu_s, counted))
        cpu, began = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.wall_s += time.perf_counter() - began
            self.client_cpu_s += time.process_time() - cpu
            self.server_cpu_s += sum(map(cpu_s, counted)) - servers


@contextmanager
def round_trips() -> Iterator[dict[str, int]]:
    """Counts statements sent to PostgreSQL and calls of Milvus in the block."""
    import psycopg
    from pymilvus import MilvusClient

    counts = {"sql": 0, "milvus": 0}

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            counts[name] += 1
            return call(*arguments, **named)

        return counting

    with (
        mock.patch.object(psycopg.Cursor, "execute", counted("sql", psycopg.Cursor.execute)),
        mock.patch.object(MilvusClient, "search", counted("milvus", MilvusClient.search)),
    ):
        yield counts
