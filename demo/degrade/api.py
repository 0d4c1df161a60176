"""The tab Degrade for programs: a clip and numbers in, sound or JSON out."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from demo import clips
from demo.clips import ClipError
from demo.degrade import chain
from demo.degrade.chain import HIGHEST_HZ, MADE, NONE, OWN, Own, Values
from demo.degrade.recordings import Recordings, own_noise, own_room
from demo.studio import Studio
from grafprint.degradation import Degradation
from grafprint.evaluation.breaking_point import holds_until_db
from grafprint.library import LibraryError


def build(studio: Studio, recorded: Recordings, busy: dict[str, Any], long: dict[str, Any]) -> None:
    """The hidden components and the endpoints; ``busy`` and ``long`` say how many run at once."""

    def planned(noise_file: str | None, room_file: str | None, noise: str, snr_db: float,
                rt60_s: float, *rest: Any) -> Degradation:  # fmt: skip
        own = Own(
            own_noise(noise_file) if noise_file else None,
            own_room(room_file) if room_file else None,
        )
        noise = OWN if noise_file else noise
        room = OWN if room_file else MADE if rt60_s else NONE
        return chain.plan(Values(noise, snr_db, room, rt60_s, *rest), own, recorded)

    # The parameters are spelt out because programs see their names.
    def degrade(
        path: str, noise_file: str | None = None, room_file: str | None = None,
        noise: str = "cafe", snr_db: float = 10, rt60_s: float = 0, wet: float = 100,
        low_hz: float = 0, high_hz: float = HIGHEST_HZ, clip_at: float = 100, codec: str = NONE,
        seed: int = 0,
    ) -> tuple[int, np.ndarray]:  # fmt: skip
        """A clip with noise, in a room, through a bad microphone or a codec: how it sounds then.

        After the clip: a file of noise and one of a room's response (or none); then noise (none,
        babble, cafe, street, rain, machine, white, pink, brown, if there is no file), SNR in dB,
        RT60 in s (0.2 to 1; 0: no room), share of the room in %, lowest and highest Hz, clipping
        in % of the peak (100: none), codec (none, or such as "opus 6 kbit/s"), and a number that
        another stretch of noise and another room are drawn with.
        """
        try:
            wanted = planned(noise_file, room_file, noise, snr_db, rt60_s, wet, low_hz, high_hz,
                             clip_at, codec, seed)  # fmt: skip
            return chain.degraded(clips.from_file(path), wanted).playable()
        except ClipError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def breaking_point(
        path: str, library: str = "", noise_file: str | None = None, room_file: str | None = None,
        noise: str = "cafe", snr_db: float = 10, rt60_s: float = 0, wet: float = 100,
        low_hz: float = 0, high_hz: float = HIGHEST_HZ, clip_at: float = 100, codec: str = NONE,
        seed: int = 0,
    ) -> dict[str, Any]:  # fmt: skip
        """At which SNR a clip is no longer found, without and with a room, as JSON.

        After the clip: the name of a library (empty: the first), then what /degrade takes, its SNR
        being of no account. Without a room it is a simulated one. Right is what the clip is
        identified as before.
        """
        try:
            wanted = planned(noise_file, room_file, noise, snr_db, rt60_s, wet, low_hz, high_hz,
                             clip_at, codec, seed)  # fmt: skip
            identifier = studio.identifier(library or None)
            clip = clips.from_file(path)
            taken = chain.take(identifier, clip, clip, ())
            if taken.truth is None:
                raise ClipError(chain.NOTHING_RIGHT)
            points = list(chain.swept(identifier, taken, wanted))
            track = identifier.library.track(taken.truth.track_id)
        except (ClipError, LibraryError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        found = [
            holds_until_db(p for p in points if p.reverb == reverb) for reverb in (False, True)
        ]
        return {
            "title": track.title,
            "start_s": round(taken.truth.start_s, 3),
            "found_down_to_db": {"without_room": found[0], "in_room": found[1]},
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
        gr.Button().click(degrade, [clip, *settings], gr.Audio(label="degraded"),
                          api_name="degrade", **busy)  # fmt: skip
        gr.Button().click(breaking_point, [clip, library, *settings], gr.JSON(),
                          api_name="breaking_point", **long)  # fmt: skip
