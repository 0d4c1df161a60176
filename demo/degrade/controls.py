"""The controls of the tab Degrade: clip, preset, noise, room, and the folded parts of the chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo.degrade import sliders
from demo.degrade.recordings import Recordings
from demo.degrade.values import (
    LEFT,
    MIX,
    NAMES,
    NONE,
    OWN,
    RECORDED,
    RIGHT,
    SIMULATED,
    Values,
    display_name,
)
from demo.studio import UNQUEUED
from demo.texts import MOST_LISTED
from grafprint.degradation.rerecording import PRESETS
from grafprint.degradation.settings import CODEC_NAMES
from grafprint.library import LibraryError, Track
from grafprint.remote.opening import AnyLibrary

YOUR_CLIP, A_TRACK = "Your clip", "A track of the library"
CLIP_S = 5.0  # of a track
SYNTHETIC_NOISES = ("babble", "cafe", "street", "rain", "machine", "white", "pink", "brown")
FIRST = Values(noise="cafe")  # what the tab begins with


@dataclass(frozen=True)
class Controls:
    """The components; ``values`` are those of Values, in the same order."""

    source: gr.Radio
    track: gr.Dropdown
    second: gr.Slider
    preset: gr.Radio
    noise_file: gr.File
    room_file: gr.File
    values: list[Any]

    @classmethod
    def build(cls, recorded: Recordings) -> Controls:
        """Create them on the page."""
        with gr.Group():
            source = gr.Radio([YOUR_CLIP, A_TRACK], value=A_TRACK, label="Clip", elem_id="take")
            track = gr.Dropdown([], label="Track", elem_id="degrade-track")
            second = gr.Slider(0, 60, step=0.1, label="From second", elem_id="degrade-second")
        names = [("None", NONE), *((name[:1].upper() + name[1:], name) for name in PRESETS)]
        preset = gr.Radio(
            names,
            value=None,
            label="Preset",
            info="Sets all controls below",
            elem_id="preset",
        )
        values: dict[str, Any] = {}
        with gr.Group():
            noise_file = _noise(recorded, values)
        with gr.Group():
            room_file = _room(recorded, values)
        with gr.Accordion("Loudspeaker", open=False, elem_id="part-loudspeaker"):
            values["channel"] = gr.Radio(
                [("Both channels", MIX), ("Left only", LEFT), ("Right only", RIGHT)],
                value=MIX,
                label="Plays",
                visible=False,
                elem_id="channel",
            )
            sliders.build("loudspeaker", FIRST, values)
        with gr.Accordion("Second noise", open=False, elem_id="part-second-noise"):
            values["second"] = gr.Dropdown(
                _noise_choices(recorded),
                value=FIRST.second,
                label="Second noise",
                info="From another place; the SNR is that of both together",
                elem_id="second",
            )
            sliders.build("second noise", FIRST, values)
        with gr.Accordion("Microphone", open=False, elem_id="part-microphone"):
            sliders.build("microphone", FIRST, values)
        with gr.Accordion("Phone processing and codec", open=False, elem_id="part-phone"):
            sliders.build("phone", FIRST, values)
            codecs = [("None", NONE), *((display_name(name), name) for name in CODEC_NAMES)]
            values["codec"] = gr.Dropdown(codecs, value=FIRST.codec, label="Codec", elem_id="codec")
        with gr.Accordion("Speed and pitch", open=False, elem_id="part-speed"):
            sliders.build("speed", FIRST, values)
        values["seed"] = gr.Number(
            0,
            precision=0,
            minimum=0,
            label="Seed",
            elem_id="seed",
            info="Another seed draws another section of noise, another room and so on",
        )
        ordered = [values[name] for name in NAMES]
        return cls(source, track, second, preset, noise_file, room_file, ordered)

    def of(self, name: str) -> Any:
        """The component of a value."""
        return self.values[NAMES.index(name)]


def fit_to_library(
    library: AnyLibrary | None, source: str, track_id: int | None, second: float
) -> tuple[Any, Any]:
    """Updates of the controls for track and second, given a library.

    A track that is not in the library is replaced by the first one that can be played, from a third
    of it on.
    """
    tracks = library.tracks() if library else []
    listed = sorted(tracks, key=lambda track: track.title.casefold())[:MOST_LISTED]
    track = next((track for track in listed if track.id == track_id), None)
    if track is None and library is not None and listed:
        track = next((t for t in listed if _playable(library, t)), listed[0])
        second = track.duration_s / 3
    last_s = max(0.1, track.duration_s - CLIP_S) if track else 0.1
    shown = source == A_TRACK
    choices = [(" – ".join(filter(None, (t.title, t.artist))), t.id) for t in listed]
    return (
        gr.update(choices=choices, value=track.id if track else None, visible=shown),
        gr.update(maximum=round(last_s, 1), value=round(min(second, last_s), 1), visible=shown),
    )


def _playable(library: AnyLibrary, track: Track) -> bool:
    try:
        return library.audio_path(track) is not None
    except LibraryError:
        return False


def _noise(recorded: Recordings, values: dict[str, Any]) -> gr.File:
    noise = gr.Dropdown(
        [*_noise_choices(recorded), ("Your own file", OWN)],
        value=FIRST.noise,
        label="Noise",
        elem_id="noise",
    )
    file = gr.File(
        label="Your own noise (any audio file)", visible=False, height=120, elem_id="noise-file"
    )
    values["noise"] = noise
    sliders.build("noise", FIRST, values)
    noise.change(
        lambda kind: (gr.update(visible=kind == OWN), gr.update(visible=kind != NONE)),
        noise,
        [file, values["snr_db"]],
        **UNQUEUED,
    )
    return file


def _room(recorded: Recordings, values: dict[str, Any]) -> gr.File:
    choices = [
        ("None", NONE),
        ("Simulated", SIMULATED),
        *_recorded(recorded.rooms),
        ("Your own impulse response", OWN),
    ]
    room = gr.Dropdown(choices, value=FIRST.room, label="Room", elem_id="room")
    file = gr.File(
        label="Your own impulse response (an audio file)",
        visible=False,
        height=120,
        elem_id="room-file",
    )
    values["room"] = room
    sliders.build("room", FIRST, values, visible=False)
    values["noise_in_room"] = gr.Checkbox(
        FIRST.noise_in_room,
        label="The noise is in the same room",
        visible=False,
        elem_id="noise-in-room",
    )
    room.change(
        lambda kind: tuple(
            gr.update(visible=shown)
            for shown in (kind == OWN, kind == SIMULATED, kind != NONE, kind != NONE)
        ),
        room,
        [file, values["rt60_s"], values["wet"], values["noise_in_room"]],
        **UNQUEUED,
    )
    return file


def _noise_choices(recorded: Recordings) -> list[tuple[str, str]]:
    synthetic = ((display_name(name), name) for name in SYNTHETIC_NOISES)
    return [("None", NONE), *synthetic, *_recorded(recorded.noises)]


def _recorded(files: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f"Recorded: {name}", RECORDED + name) for name in files]
