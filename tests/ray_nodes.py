"""Nodes of a Ray cluster on this machine, each with an address of its own, that can be killed."""

import os
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


class Node:
    """One core of this machine as a node."""

    def __init__(self, ip: str, log: Path, *options: str) -> None:
        self._log, self._killed = log, False
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1",
            f"--node-ip-address={ip}", "--object-store-memory=100000000", "--disable-usage-stats",
            *options,
        ]  # fmt: skip
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdout=out, stderr=out, start_new_session=True
            )

    def wait(self) -> None:
        """Wait until it has started."""
        deadline = time.monotonic() + PATIENCE_S
        while "Ray runtime started" not in (said := self._log.read_text()):
            assert self._process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.1)

    def processes(self) -> dict[int, str]:
        """The title of each of its processes: they are all of one session."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended
                state, _, _, session = (place / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == self._process.pid and state != "Z":
                    title = (place / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(place.name)] = title.decode(errors="replace")
        return found

    def working(self) -> list[int]:
        """Those of its processes that are fingerprinting."""
        return [n for n, title in self.processes().items() if title.startswith("ray::work")]

    def kill(self) -> None:
        """End all its processes at once, and wait until they are gone."""
        if self._killed:  # the number of its session may be another's by now
            return
        while processes := self.processes():
            for number in processes:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.01)
        self._process.wait()
        self._killed = True


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
