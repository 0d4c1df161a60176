"""Let the nodes of a Ray cluster fingerprint the files that this program adds.

Only this program writes. The nodes send fingerprints (0.2 MB for a minute) and keep nothing:

- a library in a folder, which has one writer at a time, can be filled by a cluster, too;
- a node that is lost leaves nothing half done anywhere: its files are given to others;
- nodes need no way to the database, and no password;
- files are added in their order, so the report is that of one machine.

The price is that one writer stores what all nodes make. It stores 30,000 fingerprints per second
and more on a server, and a core makes about a thousand, so this suffices for dozens of cores (for a
few with --fast). Beyond, several programs with a --part each write to a server at once.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import numpy as np

from grafprint.audio import AudioError
from grafprint.errors import ConfigError, LibraryError
from grafprint.library.add_file import FileFingerprints, file_stamp, is_settled, shown
from grafprint.library.ray_quiet import quiet
from grafprint.library.ray_task import Done, Job, own_version, shortened, work
from grafprint.library.target import Target

if TYPE_CHECKING:
    from ray import ObjectRef

    from grafprint.fingerprint import Fingerprinter

AHEAD = 16  # files given out for each core: while a long one is waited for, the others go on
TRIES = 6  # a file whose processes end so often is left out: it may be what ends them
_REACHED_S = 10.0
_POLL_S = 10.0  # nodes come and go

_log = logging.getLogger(__name__)


class RayCluster:
    """The nodes of a running cluster; a context manager that leaves it."""

    def __init__(self, address: str, folder: Path) -> None:
        """Connect, for files below ``folder``, which all nodes see at the same path.

        ``address`` is ``HOST:PORT``, or ``auto``: that of the cluster that this machine belongs
        to. Raises ConfigError if there is none, ModuleNotFoundError without Ray.
        """
        # Read when Ray is imported: it sends no statistics.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        self._ray, self._folder = ray, folder
        _check_address(address)
        try:
            # What processes print on other nodes would tear the progress bar.
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"cannot join the Ray cluster {address}: {error}. Is this machine one of its "
                "nodes (ray start), with the same versions of Ray and Python, and its token?"
            ) from error
        self._work = ray.remote(num_cpus=1, max_retries=TRIES - 1)(work)
        self._cores, self._polled = 0, -_POLL_S
        self._warned: set[str] = set()  # nodes
        if not self._count_cores():
            _log.warning("no node of the Ray cluster has a core to give: waiting for one")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the cluster, which ends what it still does for this program."""
        with quiet(closed=True):
            self._ray.shutdown()

    def _count_cores(self) -> int:
        """The cores of all nodes that are there, asked for every few seconds."""
        if (now := time.monotonic()) >= self._polled + _POLL_S:
            self._polled, before = now, self._cores
            self._cores = int(self._ray.cluster_resources().get("CPU", 0))
            if self._cores < before:
                _log.warning(
                    "the Ray cluster has lost a node: %d cores are left of %d, and do its files",
                    self._cores, before,
                )  # fmt: skip
        return self._cores

    def fingerprint_ahead(
        self, library: Target, files: list[Path], fingerprinter: Fingerprinter
    ) -> Generator[FileFingerprints | ValueError | None, None, None]:
        """As ``add_folder.FingerprintAhead``: the fingerprints of each file, in order.

        Raises ConfigError for a node that cannot take part, LibraryError if the cluster is lost.
        """
        job = self._job(library, fingerprinter)
        waiting: deque[tuple[Path, ObjectRef[Done] | ValueError | None]] = deque()
        given = self._give_out(library, files, job)
        with quiet():
            while True:
                room = max(1, AHEAD * self._count_cores()) - len(waiting)
                waiting.extend(islice(given, max(0, room)))
                if not waiting:
                    return
                file, ref = waiting.popleft()
                if ref is None or isinstance(ref, ValueError):
                    yield ref
                else:
                    yield self._result(file, ref)

    def _give_out(
        self, library: Target, files: list[Path], job: Job
    ) -> Iterator[tuple[Path, ObjectRef[Done] | ValueError | None]]:
        """Each file with what will be its result; None for one that needs no reading."""
        for file in files:
            try:
                yield file, None if is_settled(library, file) else self._work.remote(job, file)
            except ValueError as error:
                yield file, error

    def _job(self, library: Target, fingerprinter: Fingerprinter) -> Job:
        """What the nodes need to know; sends the network, so that its file can lie anywhere."""
        from grafprint.models.encoders import OwnEncoder

        if fingerprinter.file is None:
            raise ConfigError("the network has no file to send to the nodes: save it first")
        encoder = fingerprinter.encoder
        return Job(
            version=own_version(),
            model_id=fingerprinter.model_id,
            encoder=encoder.name if isinstance(encoder, OwnEncoder) else "",
            weights=self._ray.put(np.fromfile(fingerprinter.file, np.uint8)),
            contents=self._ray.put(shortened(library.catalogue.content_hashes())),
            place=os.getcwd(),
            folder=self._folder,
            dim=library.dim,
            window_s=library.window_s,
            keeps_landmarks=library.keeps_landmarks,
        )

    def _result(self, file: Path, ref: ObjectRef[Done]) -> FileFingerprints | ValueError:
        """Wait for a file's fingerprints, or why it cannot be used."""
        errors: Any = self._ray.exceptions
        lost = (
            errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError,
            errors.ObjectLostError,
        )  # fmt: skip
        try:
            done = self._ray.get(ref)
        except lost as error:
            return AudioError(
                f"cannot index {shown(file)!r}: {TRIES} times the process or the node that "
                f"fingerprinted it was lost ({type(error).__name__}); run again to try again"
            )
        except errors.RayTaskError as error:
            if "failed to import" not in str(error):  # a bug
                raise
            missing = str(error).strip().splitlines()[-1]
            raise ConfigError(
                f"a node lacks packages ({missing}): install the same on all nodes, with the same "
                "Python"
            ) from error
        except errors.RayError as error:
            raise LibraryError(
                f"the Ray cluster was lost: {error}. What was added is in the library; run again "
                "to continue"
            ) from error
        return self._checked(file, done)

    def _checked(self, file: Path, done: Done) -> FileFingerprints | ValueError:
        """A result that can be used. Raises an error that is not the file's."""
        result = done.result
        if done.unfit:
            raise ConfigError(
                f"the node {done.node} cannot take part: {result}. All nodes need the music at "
                "the same path and the same grafprint. What was added is in the library; run "
                "again to continue"
            )
        if isinstance(result, FileFingerprints):
            self._compare(file, result, done.node)
        elif not isinstance(result, ValueError):
            raise result
        return result

    def _compare(self, file: Path, found: FileFingerprints, node: str) -> None:
        """Say, once for a node, if it sees another file than this machine: nothing is gained."""
        try:
            same = found.stamp == file_stamp(file)
        except AudioError:  # it is gone, which is reported when it is to be added
            return
        if not same and node not in self._warned:
            self._warned.add(node)
            _log.warning(
                "the node %s sees another size or time of %s than this machine: such files are "
                "fingerprinted here", node, shown(file),
            )  # fmt: skip


def _check_address(address: str) -> None:
    """Raise ConfigError unless something answers there: Ray itself would try for minutes."""
    if address == "auto":
        return
    parts = urlsplit(f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if "://" in address or not host or port is None:
        raise ConfigError(f"{address} is not the address of a Ray cluster: HOST:6379, or auto")
    try:
        socket.create_connection((host, port), timeout=_REACHED_S).close()
    except OSError as error:
        raise ConfigError(f"no Ray cluster answers at {address}: {error}") from error
