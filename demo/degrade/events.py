"""The event handlers of the tab Degrade."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from demo import cards
from demo.clips import Clip, ClipError, from_track, wav_uri
from demo.clips import example as first_example
from demo.degrade import breaking, chain, recordings
from demo.degrade.chain import SourceClip
from demo.degrade.controls import A_TRACK, CLIP_S, YOUR_CLIP, fit_to_library
from demo.degrade.recordings import Recordings
from demo.degrade.values import CHANNELS, MIX, NAMES, Own, Values, describe, of_preset, plan
from demo.studio import Studio
from grafprint.degradation import Degradation
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
            collection = self.studio.identifier(library).library
        except LibraryError:
            collection = None
        return fit_to_library(collection, choice, track_id, second)

    def use_preset(self, name: str, channel: str, seed: float) -> list[Any]:
        """The values of the controls for a preset; channel and seed stay."""
        values = replace(of_preset(name, seed), channel=channel)
        return [getattr(values, name) for name in NAMES]

    def choose(
        self,
        origin: Clip | None,
        source: SourceClip | None,
        library: str,
        choice: str,
        track_id: int | None,
        second: float,
    ) -> tuple[Any, ...]:
        """Prepare the chosen clip, unless it is unchanged; :meth:`apply` is to follow.

        Source, clean sound, choice of channels, report of the sweep, and what is shown. The
        controls may change meanwhile, so the clip is degraded afterwards, as they are then.
        """
        as_it_is = (gr.skip(),) * 4
        origin = origin if choice == YOUR_CLIP else None
        chosen = (library, choice, origin, (track_id, second) if choice == A_TRACK else None)
        if source is not None and source.chosen == chosen:
            return source, gr.skip(), gr.skip(), gr.skip(), *as_it_is
        try:
            source = self._prepare(library, origin, choice, track_id, second, chosen)
        except (ClipError, LibraryError) as error:
            return None, "", gr.update(visible=False, value=MIX), "", *_problem(error)
        channel = gr.update(visible=True)
        if not source.stereo:
            channel = gr.update(visible=False, value=MIX)
        return source, wav_uri(source.clip.samples), channel, "", *as_it_is

    def apply(
        self, source: SourceClip | None, own: Own, library: str, *values: Any
    ) -> tuple[Any, ...]:
        """Degrade the clip as set by the controls, and identify it."""
        if source is None:
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        try:
            identifier = self.studio.identifier(library)
            wanted = Values(*values)
            clip, steps = self._planned(source, own, wanted)
            degraded = chain.degrade_clip(clip, steps)
            card = chain.verdict(identifier, source, degraded, steps)
            pictures = chain.spectrograms(identifier, source, degraded, steps.speed)
        except (ClipError, LibraryError) as error:
            return _problem(error)
        pictures += f'<div class="gp-small">{escape(describe(wanted))}</div>'
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
            right = (track, source.truth.given)
            drawn = breaking.plot(points, values.snr_db)
            yield breaking.report(points, values, *right, drawn)
            clip, steps = self._planned(source, own, values)
            for point in chain.sweep_snrs(identifier, source, clip, steps):
                points.append(point)
                if point.reverb:  # drawing takes a while
                    drawn = breaking.plot(points, values.snr_db)
                yield breaking.report(points, values, *right, drawn)
        except (ClipError, LibraryError) as error:
            yield cards.problem(str(error))

    def _planned(self, source: SourceClip, own: Own, values: Values) -> tuple[Clip, Degradation]:
        """What a loudspeaker plays of the clip, and how to degrade it."""
        steps = plan(values, own, self.recorded)
        return chain.one_channel(source.clip, CHANNELS[values.channel]), steps

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
            return chain.prepare(identifier, origin or self._example(), origin, chosen)
        if track_id is None:
            return chain.prepare(identifier, self._example(), None, chosen)
        track = identifier.library.track(track_id)
        clip = from_track(identifier.library, track, float(second), CLIP_S)
        return chain.prepare(identifier, clip, None, chosen)

    def _example(self) -> Clip:
        """What is degraded as long as there is nothing of the visitor's own."""
        example = first_example(self.studio.examples)
        if example is None:
            raise ClipError("there is no clip yet: choose one on the tab Identify")
        return example


def _problem(error: Exception) -> tuple[Any, ...]:
    return None, None, "", cards.problem(str(error))
