"""The maps of the libraries: read where there are some, drawn once for all who wait for one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from dataclasses import dataclass, field

from demo.map.chart import Chart
from demo.studio import Studio
from grafprint.explore import library_map
from grafprint.library import Library, LibraryError

_TELL_S = 0.25  # between two reports

_log = logging.getLogger(__name__)


class MapError(RuntimeError):
    """A map that cannot be drawn; the message is for the visitor and names no path."""


class _Stopped(Exception):
    """Nobody waits any more."""


@dataclass
class _Job:
    """A map being drawn; ``failure`` is why it could not be, once it has ``ended``."""

    share: float = 0.0
    stage: str = "Waiting"
    failure: str = ""
    waiting: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def tell(self, share: float, stage: str) -> None:
        if not self.waiting:
            raise _Stopped
        self.share, self.stage = share, stage


class Maps:
    """Charts of a studio's libraries, the same for every visitor. Usable from several threads."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._charts: dict[str, Chart] = {}
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Chart | None:
        """The map of a library as it is now, if one has been drawn.

        Raises LibraryError for a library that there is not.
        """
        library = self._studio.identifier(name).library
        with self._lock:
            chart = self._charts.get(name)
            if chart is None or chart.library is not library:
                # One that could not be stored is only here; it still counts if nothing changed.
                fits = chart is not None and library_map.fits(library, chart.drawn)
                drawn = chart.drawn if chart and fits else library_map.load(library)
                if drawn is None:
                    return None
                self._charts[name] = chart = Chart(library, drawn)
            return chart

    def draw(self, name: str) -> Generator[tuple[float, str]]:
        """Draw the map of a library, saying now and then which share is done, and what is next.

        Whoever closes the generator does not wait any more; the work ends when nobody does.
        Raises MapError if it cannot be drawn.
        """
        library = self._studio.identifier(name).library
        with self._lock:
            job = self._jobs.get(name)
            begun = job is not None
            if job is None:
                self._jobs[name] = job = _Job()
            job.waiting += 1
            if not begun:
                work = threading.Thread(
                    target=self._work, args=(name, library, job), name="map", daemon=True
                )
                work.start()
        try:
            while not job.ended.wait(_TELL_S):
                yield job.share, job.stage
        finally:
            with self._lock:
                job.waiting -= 1
                if not job.waiting and self._jobs.get(name) is job:
                    del self._jobs[name]
        if job.failure:
            raise MapError(job.failure)

    def _work(self, name: str, library: Library, job: _Job) -> None:
        try:
            drawn = library_map.make(library, job.tell)
            with self._lock:
                self._charts[name] = Chart(library, drawn)
            try:
                library_map.save(library, drawn)
            except LibraryError as error:  # then it is drawn again when the program is next run
                _log.warning("%s", error)
        except _Stopped:
            pass
        except LibraryError as error:
            job.failure = str(error).replace(str(library.path), name)
        except Exception:
            _log.exception("a map could not be drawn")
            job.failure = "the program failed, and its console says how: please report it"
        finally:
            job.ended.set()
