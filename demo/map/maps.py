"""The maps of the libraries: load stored ones, and draw missing ones once for all visitors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from dataclasses import dataclass, field

from demo.map.chart import Chart
from demo.studio import Studio
from grafprint.explore import library_map
from grafprint.library import LibraryError
from grafprint.remote.opening import AnyLibrary

_REPORT_EVERY_S = 0.25

_log = logging.getLogger(__name__)


class MapError(RuntimeError):
    """A map that cannot be drawn; the message is for the visitor and contains no path."""


class _Cancelled(Exception):
    """No visitor is waiting for the map."""


@dataclass
class _Job:
    """A map being drawn. Once it has ``ended``, ``failure`` is why it failed, if it did."""

    share: float = 0.0
    stage: str = "Waiting"
    failure: str = ""
    waiting: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def report(self, share: float, stage: str) -> None:
        if not self.waiting:
            raise _Cancelled
        self.share, self.stage = share, stage


class Maps:
    """Charts of a studio's libraries, shared by all visitors. Thread-safe."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._charts: dict[str, Chart] = {}
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Chart | None:
        """The map of a library in its present state, or None if it has not been drawn.

        Raises LibraryError for an unknown library.
        """
        library = self._studio.identifier(name).library
        with self._lock:
            chart = self._charts.get(name)
            if chart is None or chart.library is not library:
                # A map that could not be stored is kept in memory until the library changes.
                fits = chart is not None and library_map.fits(library, chart.drawn)
                drawn = chart.drawn if chart and fits else library_map.load(library)
                if drawn is None:
                    return None
                self._charts[name] = chart = Chart(library, drawn)
            return chart

    def draw(self, name: str) -> Generator[tuple[float, str]]:
        """Draw the map of a library; yields the share that is done, and the current stage.

        Closing the generator stops waiting; the drawing is cancelled when no visitor waits for it.
        Raises MapError if the map cannot be drawn.
        """
        library = self._studio.identifier(name).library
        with self._lock:
            job = self._jobs.get(name)
            started = job is not None
            if job is None:
                self._jobs[name] = job = _Job()
            job.waiting += 1
            if not started:
                thread = threading.Thread(
                    target=self._draw, args=(name, library, job), name="map", daemon=True
                )
                thread.start()
        try:
            while not job.ended.wait(_REPORT_EVERY_S):
                yield job.share, job.stage
        finally:
            with self._lock:
                job.waiting -= 1
                if not job.waiting and self._jobs.get(name) is job:
                    del self._jobs[name]
        if job.failure:
            raise MapError(job.failure)

    def _draw(self, name: str, library: AnyLibrary, job: _Job) -> None:
        try:
            drawn = library_map.make(library, job.report)
            with self._lock:
                self._charts[name] = Chart(library, drawn)
            try:
                library_map.save(library, drawn)
            except LibraryError as error:  # it will be drawn again when the app is next started
                _log.warning("%s", error)
        except _Cancelled:
            pass
        except LibraryError as error:
            job.failure = str(error).replace(str(library.path), name)
        except Exception:
            _log.exception("a map could not be drawn")
            job.failure = "the program failed; please report the error in its console"
        finally:
            job.ended.set()
