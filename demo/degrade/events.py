"""The event handlers of the tab Degrade."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo import cards
from demo.clips import Clip, ClipError, from_track
from demo.degrade import breaking, chain, recordings
from demo.degrade.chain import Own, SourceClip, Values
from demo.degrade.controls import A_TRACK, CLIP_S, YOUR_CLIP, fit_to_library
from demo.degrade.recordings import Recordings
from demo.studio import Studio
from grafprint.evaluation import breaking_point as core
from grafprint.library import LibraryError


@dataclass(frozen=True)
class Events:
    """The handlers. Their last outputs are the degraded clip, its sound, spectrograms and card."""

    studio: Studio
    recorded: Recordings

    def open(
        self,
        origin: Clip | None,
        source: SourceClip | None,
        library: str,
        choice: str,
        track_id: int | None,
        second: float,
    ) -> tuple[Any, ...]:
        """Choice, track and second when the tab is opened: a new clip of the visit is chosen."""
        if origin is None:
            choice = A_TRACK
        elif source is None or source.origin is not origin:
            choice = YOUR_CLIP
        return choice, *self.fit(library, choice, track_id, second)

    def fit(
        self, library: str, choice: str, track_id: int | None, second: float
    ) -> tuple[Any, Any]:
        """Limit track and second to the library in use."""
        try:
            tracks = self.studio.identifier(library).library.tracks()
        except LibraryError:
            tracks = []
        return fit_to_library(tracks, choice, track_id, second)

    def choose(
        self,
        origin: Clip | None,
        source: SourceClip | None,
        own: Own,
        library: str,
        choice: str,
        track_id: int | None,
        second: float,
        *values: Any,
    ) -> tuple[Any, ...]:
        """Prepare the chosen clip, unless it is unchanged: source, sweep, and what is shown."""
        origin = origin if choice == YOUR_CLIP else None
        chosen = (library, origin, None if origin else (track_id, second))
        if source is not None and source.chosen == chosen:
            return source, gr.skip(), *self.apply(source, own, library, *values)
        try:
            source = self._prepare(library, origin, choice, track_id, second, chosen)
        except (ClipError, LibraryError) as error:
            return None, "", *_problem(error)
        return source, "", *self.apply(source, own, library, *values)

    def apply(
        self, source: SourceClip | None, own: Own, library: str, *values: Any
    ) -> tuple[Any, ...]:
        """Degrade the clip as set by the controls, and identify it."""
        if source is None:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        try:
            identifier = self.studio.identifier(library)
            steps = chain.plan(Values(*values), own, self.recorded)
            degraded = chain.degrade_clip(source.clip, steps)
            card = chain.verdict(identifier, source, degraded)
        except (ClipError, LibraryError) as error:
            return _problem(error)
        pictures = chain.spectrograms(identifier, source, degraded)
        return degraded, degraded.playable(), pictures, card

    def read_noise(
        self, path: str | None, source: SourceClip | None, own: Own, library: str, *values: Any
    ) -> tuple[Any, ...]:
        """Read a file with the visitor's own noise, or forget it if there is no path."""
        try:
            own = Own(recordings.own_noise(path) if path else None, own.room)
        except ClipError as error:
            return Own(None, own.room), *_problem(error)
        return own, *self.apply(source, own, library, *values)

    def read_room(
        self, path: str | None, source: SourceClip | None, own: Own, library: str, *values: Any
    ) -> tuple[Any, ...]:
        """Read a file with the visitor's own room response, or forget it if there is no path."""
        try:
            own = Own(own.noise, recordings.own_room(path) if path else None)
        except ClipError as error:
            return Own(own.noise, None), *_problem(error)
        return own, *self.apply(source, own, library, *values)

    def sweep(self, source: SourceClip | None, own: Own, library: str, *raw: Any) -> Iterator[str]:
        """Find the breaking point; yields the report as it grows."""
        values, points = Values(*raw), list[core.Point]()
        try:
            if source is None:
                raise ClipError("there is no clip: choose one above")
            if source.truth is None:
                raise ClipError(chain.NO_TRUTH)
            identifier = self.studio.identifier(library)
            track = identifier.library.track(source.truth.track_id).title
            steps = chain.plan(values, own, self.recorded)
            for point in chain.sweep_snrs(identifier, source, steps):
                points.append(point)
                if point.reverb:
                    yield breaking.report(points, values, track, source.truth.given)
        except (ClipError, LibraryError) as error:
            yield cards.problem(str(error))

    def _prepare(
        self,
        library: str,
        origin: Clip | None,
        choice: str,
        track_id: int | None,
        second: float,
        chosen: tuple[Any, ...],
    ) -> SourceClip:
        identifier = self.studio.identifier(library)
        if choice == YOUR_CLIP:
            if origin is None:
                raise ClipError("there is no clip yet: choose one on the tab Identify")
            return chain.prepare(identifier, origin, origin, chosen)
        if track_id is None:
            raise ClipError("there is no track: add some music first")
        track = identifier.library.track(track_id)
        clip = from_track(identifier.library, track, float(second), CLIP_S)
        return chain.prepare(identifier, clip, None, chosen)


def _problem(error: Exception) -> tuple[Any, ...]:
    return None, None, "", cards.problem(str(error))
