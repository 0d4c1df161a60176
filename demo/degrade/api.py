"""The endpoints of the tab Degrade: a clip and numbers in, sound or JSON out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from demo import clips
from demo.clips import Clip, ClipError
from demo.degrade import chain
from demo.degrade.recordings import Recordings, own_noise, own_room
from demo.degrade.values import (
    CHANNELS,
    HIGHEST_HZ,
    NONE,
    OWN,
    SIMULATED,
    Own,
    Values,
    changed,
    of_preset,
    plan,
)
from demo.studio import Studio
from grafprint.degradation import Degradation
from grafprint.evaluation.breaking_point import holds_until_db
from grafprint.library import LibraryError


def build(
    studio: Studio,
    recorded: Recordings,
    degrade_limit: dict[str, Any],
    sweep_limit: dict[str, Any],
) -> None:
    """The hidden components and the endpoints, with their limits of how many run at once."""

    def planned(
        path: str,
        noise_file: str | None,
        room_file: str | None,
        noise: str,
        snr_db: float,
        rt60_s: float,
        wet: float,
        low_hz: float,
        high_hz: float,
        clip_at: float,
        codec: str,
        seed: int,
        preset: str,
        more: dict[str, Any] | None,
    ) -> tuple[Clip, Clip, Degradation]:
        """The clip, what a loudspeaker plays of it, and how to degrade it."""
        own = Own(
            own_noise(noise_file) if noise_file else None,
            own_room(room_file) if room_file else None,
        )
        if preset:
            values = of_preset(preset, seed)
        else:
            room = SIMULATED if rt60_s else NONE
            values = Values(noise, snr_db, room, rt60_s or Values.rt60_s, wet, low_hz, high_hz,
                            clip_at, codec, seed)  # fmt: skip
        if noise_file:
            values = replace(values, noise=OWN)
        if room_file:
            values = replace(values, room=OWN)
        values = changed(values, more)
        steps = plan(values, own, recorded)
        whole = clips.from_file(path)
        return whole, chain.one_channel(whole, CHANNELS[values.channel]), steps

    # The parameters are written out because the API shows their names.
    def degrade(
        path: str,
        noise_file: str | None = None,
        room_file: str | None = None,
        noise: str = "cafe",
        snr_db: float = 10,
        rt60_s: float = 0,
        wet: float = 100,
        low_hz: float = 0,
        high_hz: float = HIGHEST_HZ,
        clip_at: float = 100,
        codec: str = NONE,
        seed: int = 0,
        preset: str = "",
        more: dict[str, Any] | None = None,
    ) -> tuple[int, np.ndarray]:
        """Degrade a clip with a loudspeaker, noise, a room, a bad microphone and a codec.

        Noise is none, babble, cafe, street, rain, machine, white, pink or brown, unless a noise
        file is given. RT60 is 0.2 to 4 s (0: no room), unless a file with a room response is
        given; wet is the room's share in %. Clipping is in % of the peak (100: none). Codec is
        none, or for example "opus 6 kbit/s". The seed draws the section of noise, the room and so
        on. A preset (none, phone across the room, laptop in a café, car radio, club) replaces all
        of these but files and seed. More is an object with further settings by name, for example
        {"high_pass_hz": 400, "tilt_db": 12, "second": "babble", "speed": 3}.
        """
        try:
            _, clip, steps = planned(
                path, noise_file, room_file, noise, snr_db, rt60_s, wet, low_hz, high_hz, clip_at,
                codec, seed, preset, more,
            )  # fmt: skip
            return chain.degrade_clip(clip, steps).playable()
        except ClipError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def breaking_point(
        path: str,
        library: str = "",
        noise_file: str | None = None,
        room_file: str | None = None,
        noise: str = "cafe",
        snr_db: float = 10,
        rt60_s: float = 0,
        wet: float = 100,
        low_hz: float = 0,
        high_hz: float = HIGHEST_HZ,
        clip_at: float = 100,
        codec: str = NONE,
        seed: int = 0,
        preset: str = "",
        more: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The lowest SNR at which a clip is still found, without and with a room, as JSON.

        An empty library name means the first library. The other parameters are those of /degrade;
        the SNR is ignored, and if no room is given, a simulated one is used. The right answer is
        the one for the clean clip.
        """
        try:
            whole, clip, steps = planned(
                path, noise_file, room_file, noise, snr_db, rt60_s, wet, low_hz, high_hz, clip_at,
                codec, seed, preset, more,
            )  # fmt: skip
            identifier = studio.identifier(library or None)
            source = chain.prepare(identifier, whole, whole, ())
            if source.truth is None:
                raise ClipError(chain.NO_TRUTH)
            points = list(chain.sweep_snrs(identifier, source, chain.shorten(clip), steps))
            track = identifier.library.track(source.truth.track_id)
        except (ClipError, LibraryError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        lowest = [
            holds_until_db(p for p in points if p.reverb == reverb) for reverb in (False, True)
        ]
        return {
            "title": track.title,
            "start_s": round(source.truth.start_s, 3),
            "found_down_to_db": {"without_room": lowest[0], "in_room": lowest[1]},
            "points": [point.to_json() for point in points],
        }

    with gr.Row(visible=False):
        clip = gr.Audio(type="filepath", label="clip")
        library = gr.Textbox("", label="library")
        settings: list[Any] = [
            gr.File(label="noise file"),
            gr.File(label="room file"),
            gr.Textbox("cafe", label="noise"),
            gr.Number(10, label="snr db"),
            gr.Number(0, label="rt60 s"),
            gr.Number(100, label="wet"),
            gr.Number(0, label="low hz"),
            gr.Number(HIGHEST_HZ, label="high hz"),
            gr.Number(100, label="clip at"),
            gr.Textbox(NONE, label="codec"),
            gr.Number(0, precision=0, label="seed"),
            gr.Textbox("", label="preset"),
            gr.JSON(label="more"),
        ]
        gr.Button().click(
            degrade,
            [clip, *settings],
            gr.Audio(label="degraded"),
            api_name="degrade",
            **degrade_limit,
        )
        gr.Button().click(
            breaking_point,
            [clip, library, *settings],
            gr.JSON(),
            api_name="breaking_point",
            **sweep_limit,
        )
