"""The controls of the tab Degrade: clip, noise, room, microphone and codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demo.cards import MOST_LISTED
from demo.degrade.chain import HIGHEST_HZ, NONE, OWN, RECORDED, SIMULATED
from demo.degrade.recordings import Recordings
from demo.studio import UNQUEUED
from grafprint.degradation.settings import CODEC_NAMES, LEAST_RT60_S, MOST_RT60_S
from grafprint.library import Track

YOUR_CLIP, A_TRACK = "Your clip", "A track of the library"
CLIP_S = 5.0  # of a track
# Noises that are not displayed under their own name.
DISPLAY_NAMES = {"cafe": "Café", "babble": "Babble of voices"}
SYNTHETIC_NOISES = ("babble", "cafe", "street", "rain", "machine", "white", "pink", "brown")


@dataclass(frozen=True)
class Controls:
    """The components; ``values`` are those of chain.Values, in the same order."""

    source: gr.Radio
    track: gr.Dropdown
    second: gr.Slider
    noise_file: gr.File
    room_file: gr.File
    values: list[Any]

    @classmethod
    def build(cls, recorded: Recordings) -> Controls:
        """Create them on the page."""
        source = gr.Radio([YOUR_CLIP, A_TRACK], value=A_TRACK, label="Clip", elem_id="take")
        track = gr.Dropdown([], label="Track", elem_id="degrade-track")
        second = gr.Slider(0, 60, step=0.1, label="From second", elem_id="degrade-second")
        noise, snr, noise_file = _noise(recorded)
        room, rt60, wet, room_file = _room(recorded)
        with gr.Accordion("Microphone and codec", open=False):
            low = gr.Slider(0, 1000, 0, step=10, label="High-pass (Hz)", elem_id="low")
            high = gr.Slider(
                1000, HIGHEST_HZ, HIGHEST_HZ, step=100, label="Low-pass (Hz)", elem_id="high"
            )
            clip_at = gr.Slider(
                5,
                100,
                100,
                step=1,
                elem_id="clip-at",
                label="Clip at (% of the peak)",
                info="An overloaded input; 100: no clipping",
            )
            codecs = [("None", NONE), *((display_name(name), name) for name in CODEC_NAMES)]
            codec = gr.Dropdown(codecs, value=NONE, label="Codec", elem_id="codec")
            seed = gr.Number(
                0,
                precision=0,
                minimum=0,
                label="Seed",
                elem_id="seed",
                info="Another seed draws another section of noise and another room",
            )
        values = [noise, snr, room, rt60, wet, low, high, clip_at, codec, seed]
        return cls(source, track, second, noise_file, room_file, values)


def fit_to_library(
    tracks: Sequence[Track], source: str, track_id: int | None, second: float
) -> tuple[Any, Any]:
    """Updates of the controls for track and second, given the tracks of a library.

    A track that is not in the library is replaced by the first one, from a third of it on.
    """
    listed = sorted(tracks, key=lambda track: track.title.casefold())[:MOST_LISTED]
    track = next((track for track in listed if track.id == track_id), None)
    if track is None and listed:
        track = listed[0]
        second = track.duration_s / 3
    last_s = max(0.1, track.duration_s - CLIP_S) if track else 0.1
    shown = source == A_TRACK
    choices = [(" – ".join(filter(None, (t.title, t.artist))), t.id) for t in listed]
    return (
        gr.update(choices=choices, value=track.id if track else None, visible=shown),
        gr.update(maximum=round(last_s, 1), value=round(min(second, last_s), 1), visible=shown),
    )


def _noise(recorded: Recordings) -> tuple[gr.Dropdown, gr.Slider, gr.File]:
    choices = [
        ("None", NONE),
        *((display_name(name), name) for name in SYNTHETIC_NOISES),
        *_recorded(recorded.noises),
        ("Your own file", OWN),
    ]
    noise = gr.Dropdown(choices, value="cafe", label="Noise", elem_id="noise")
    file = gr.File(
        label="Your own noise (any audio file)", visible=False, height=120, elem_id="noise-file"
    )
    snr = gr.Slider(
        -10,
        30,
        10,
        step=0.5,
        label="SNR (dB)",
        elem_id="snr",
        info="0: the noise is as loud as the music",
    )
    noise.change(
        lambda kind: (gr.update(visible=kind == OWN), gr.update(visible=kind != NONE)),
        noise,
        [file, snr],
        **UNQUEUED,
    )
    return noise, snr, file


def _room(recorded: Recordings) -> tuple[gr.Dropdown, gr.Slider, gr.Slider, gr.File]:
    choices = [
        ("None", NONE),
        ("Simulated", SIMULATED),
        *_recorded(recorded.rooms),
        ("Your own impulse response", OWN),
    ]
    room = gr.Dropdown(choices, value=NONE, label="Room", elem_id="room")
    file = gr.File(
        label="Your own impulse response (an audio file)",
        visible=False,
        height=120,
        elem_id="room-file",
    )
    rt60 = gr.Slider(
        LEAST_RT60_S,
        MOST_RT60_S,
        0.5,
        step=0.05,
        visible=False,
        elem_id="rt60",
        label="RT60 (s)",
        info="How long sound takes to fall by 60 dB",
    )
    wet = gr.Slider(
        0,
        100,
        100,
        step=5,
        visible=False,
        elem_id="wet",
        label="Wet (%)",
        info="The rest is the music without the room",
    )
    room.change(
        lambda kind: tuple(
            gr.update(visible=shown) for shown in (kind == OWN, kind == SIMULATED, kind != NONE)
        ),
        room,
        [file, rt60, wet],
        **UNQUEUED,
    )
    return room, rt60, wet, file


def display_name(name: str) -> str:
    """A noise or codec as it is called on the page."""
    return DISPLAY_NAMES.get(name, name[:1].upper() + name[1:])


def _recorded(files: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f"Recorded: {name}", RECORDED + name) for name in files]
