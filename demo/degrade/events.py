"""What happens on the tab Degrade when something is chosen, moved, uploaded or swept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo import cards
from demo.clips import Clip, ClipError, from_track
from demo.degrade import breaking, chain, recordings
from demo.degrade.chain import Own, Taken, Values
from demo.degrade.controls import A_TRACK, CLIP_S, YOUR_CLIP, fitted
from demo.degrade.recordings import Recordings
from demo.studio import Studio
from grafprint.evaluation import breaking_point as core
from grafprint.library import LibraryError


@dataclass(frozen=True)
class Events:
    """The handlers. They end in what is shown: heard clip, sound, pictures and card."""

    studio: Studio
    recorded: Recordings

    def open(
        self, origin: Clip | None, taken: Taken | None, library: str, source: str,
        track_id: int | None, second: float,
    ) -> tuple[Any, ...]:  # fmt: skip
        """Source, track and second for when the tab is opened: a clip that is new is taken."""
        if origin is None:
            source = A_TRACK
        elif taken is None or taken.origin is not origin:
            source = YOUR_CLIP
        return source, *self.fit(library, source, track_id, second)

    def fit(
        self, library: str, source: str, track_id: int | None, second: float
    ) -> tuple[Any, Any]:
        """Track and second as they are possible in the library in use."""
        try:
            tracks = self.studio.identifier(library).library.tracks()
        except LibraryError:
            tracks = []
        return fitted(tracks, source, track_id, second)

    def choose(
        self, origin: Clip | None, taken: Taken | None, own: Own, library: str, source: str,
        track_id: int | None, second: float, *values: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        """Take the clip that was chosen, if it is another one: taken, sweep, what is shown."""
        origin = origin if source == YOUR_CLIP else None
        chosen = (library, origin, None if origin else (track_id, second))
        if taken is not None and taken.chosen == chosen:
            return taken, gr.skip(), *self.apply(taken, own, library, *values)
        try:
            taken = self._take(library, origin, source, track_id, second, chosen)
        except (ClipError, LibraryError) as error:
            return None, "", *_problem(error)
        return taken, "", *self.apply(taken, own, library, *values)

    def apply(self, taken: Taken | None, own: Own, library: str, *values: Any) -> tuple[Any, ...]:
        """Degrade the clip as the controls say, and identify it."""
        if taken is None:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        try:
            identifier = self.studio.identifier(library)
            wanted = chain.plan(Values(*values), own, self.recorded)
            heard = chain.degraded(taken.clip, wanted)
            card = chain.verdict(identifier, taken, heard)
        except (ClipError, LibraryError) as error:
            return _problem(error)
        return heard, heard.playable(), chain.pictures(identifier, taken, heard), card

    def read_noise(self, path: str | None, taken: Taken | None, own: Own, library: str,
                   *values: Any) -> tuple[Any, ...]:  # fmt: skip
        """A file with the visitor's own noise, or none any more."""
        try:
            own = Own(recordings.own_noise(path) if path else None, own.room)
        except ClipError as error:
            return Own(None, own.room), *_problem(error)
        return own, *self.apply(taken, own, library, *values)

    def read_room(self, path: str | None, taken: Taken | None, own: Own, library: str,
                  *values: Any) -> tuple[Any, ...]:  # fmt: skip
        """A file with the visitor's own room response, or none any more."""
        try:
            own = Own(own.noise, recordings.own_room(path) if path else None)
        except ClipError as error:
            return Own(own.noise, None), *_problem(error)
        return own, *self.apply(taken, own, library, *values)

    def sweep(self, taken: Taken | None, own: Own, library: str, *raw: Any) -> Iterator[str]:
        """The report of the breaking point, again and again as it grows."""
        values, points = Values(*raw), list[core.Point]()
        try:
            if taken is None:
                raise ClipError("there is no clip to try: take one above")
            if taken.truth is None:
                raise ClipError(chain.NOTHING_RIGHT)
            identifier = self.studio.identifier(library)
            track = identifier.library.track(taken.truth.track_id).title
            wanted = chain.plan(values, own, self.recorded)
            for point in chain.swept(identifier, taken, wanted):
                points.append(point)
                if point.reverb:
                    yield breaking.report(points, values, track, taken.truth.given)
        except (ClipError, LibraryError) as error:
            yield cards.problem(str(error))

    def _take(
        self, library: str, origin: Clip | None, source: str, track_id: int | None, second: float,
        chosen: tuple[Any, ...],
    ) -> Taken:  # fmt: skip
        identifier = self.studio.identifier(library)
        if source == YOUR_CLIP:
            if origin is None:
                raise ClipError("there is no clip yet: take one on the tab Identify")
            return chain.take(identifier, origin, origin, chosen)
        if track_id is None:
            raise ClipError("there is no track: index some music first")
        track = identifier.library.track(track_id)
        clip = from_track(identifier.library, track, float(second), CLIP_S)
        return chain.take(identifier, clip, None, chosen)


def _problem(error: Exception) -> tuple[Any, ...]:
    return None, None, "", cards.problem(str(error))
