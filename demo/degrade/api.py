"""The endpoints of the tab Degrade: a clip and numbers in, sound or JSON out."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from demo import clips
from demo.clips import ClipError
from demo.degrade import chain
from demo.degrade.chain import HIGHEST_HZ, NONE, OWN, SIMULATED, Own, Values
from demo.degrade.recordings import Recordings, own_noise, own_room
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

    def plan(
        noise_file: str | None,
        room_file: str | None,
        noise: str,
        snr_db: float,
        rt60_s: float,
        *rest: Any,
    ) -> Degradation:
        own = Own(
            own_noise(noise_file) if noise_file else None,
            own_room(room_file) if room_file else None,
        )
        noise = OWN if noise_file else noise
        room = OWN if room_file else SIMULATED if rt60_s else NONE
        return chain.plan(Values(noise, snr_db, room, rt60_s, *rest), own, recorded)

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
    ) -> tuple[int, np.ndarray]:
        """Degrade a clip with noise, a room, a bad microphone and a codec.

        Noise is none, babble, cafe, street, rain, machine, white, pink or brown, unless a noise
        file is given. RT60 is 0.2 to 1 s (0: no room), unless a file with a room response is
        given; wet is the room's share in %. Clipping is in % of the peak (100: none). Codec is
        none, or for example "opus 6 kbit/s". The seed draws the section of noise and the room.
        """
        try:
            steps = plan(
                noise_file,
                room_file,
                noise,
                snr_db,
                rt60_s,
                wet,
                low_hz,
                high_hz,
                clip_at,
                codec,
                seed,
            )
            return chain.degrade_clip(clips.from_file(path), steps).playable()
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
    ) -> dict[str, Any]:
        """The lowest SNR at which a clip is still found, without and with a room, as JSON.

        An empty library name means the first library. The other parameters are those of /degrade;
        the SNR is ignored, and if no room is given, a simulated one is used. The right answer is
        the one for the clean clip.
        """
        try:
            steps = plan(
                noise_file,
                room_file,
                noise,
                snr_db,
                rt60_s,
                wet,
                low_hz,
                high_hz,
                clip_at,
                codec,
                seed,
            )
            identifier = studio.identifier(library or None)
            clip = clips.from_file(path)
            source = chain.prepare(identifier, clip, clip, ())
            if source.truth is None:
                raise ClipError(chain.NO_TRUTH)
            points = list(chain.sweep_snrs(identifier, source, steps))
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
