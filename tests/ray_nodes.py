"""Nodes of a Ray cluster on this machine, each with an address of its own, that can be killed."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.shared.cluster_servers import free_port
from tests.paths import ROOT

# 127.0.0.1 would be replaced by the machine's own address.
HEAD, OTHER = "127.0.0.3", "127.0.0.2"
PATIENCE_S = 300.0  # on a busy machine
_MARK = "GRAFPRINT_RAY_NODE"


class Node:
    """One core of this machine as a node; ``processes`` are all that it has started."""

    def __init__(self, ip: str, log: Path, *options: str) -> None:
        self.ip, self._log, self._mark = ip, log, secrets.token_hex(8)
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1",
            f"--node-ip-address={ip}", "--object-store-memory=100000000", "--disable-usage-stats",
            *options,
        ]  # fmt: skip
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, _MARK: self._mark},
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Wait until it has started."""
        deadline = time.monotonic() + PATIENCE_S
        while "Ray runtime started" not in (said := self._log.read_text()):
            assert self._process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.1)

    def processes(self) -> dict[int, str]:
        """The title of each of its processes."""
        found, mark = {}, f"{_MARK}={self._mark}".encode()
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended
                if mark in (place / "environ").read_bytes().split(b"\0"):
                    title = (place / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(place.name)] = title.decode(errors="replace")
        return found

    def working(self) -> list[int]:
        """Those of its processes that are fingerprinting."""
        return [n for n, title in self.processes().items() if title.startswith("ray::work")]

    def kill(self) -> None:
        """End all its processes at once."""
        while processes := self.processes():
            for number in processes:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.1)


@contextmanager
def two_nodes() -> Iterator[tuple[str, Node, Node]]:
    """The address of a cluster, its head and another node."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # the paths of sockets are short
    nodes: list[Node] = []
    port = free_port()
    address = f"{HEAD}:{port}"
    try:
        head = (
            "--head", f"--port={port}", f"--ray-client-server-port={free_port()}",
            "--include-dashboard=false", f"--temp-dir={folder}",
        )  # fmt: skip
        nodes.append(Node(HEAD, folder / "head.log", *head))
        nodes.append(Node(OTHER, folder / "other.log", f"--address={address}"))
        for node in nodes:
            node.wait()
        yield address, nodes[0], nodes[1]
    finally:
        for node in reversed(nodes):
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)
