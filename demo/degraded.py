"""The degradations that Graph and Tags offer: that of Degrade, a noise, a room, or a preset."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.clips import ClipError
from demo.studio import UNQUEUED
from grafprint.degradation import Degradation, preset
from grafprint.degradation.rerecording import PRESETS
from grafprint.degradation.synthetic_noise import NOISES

OWN = "own"  # as on the tab Degrade; babble if nothing has been degraded there
SNR_DB, LOWEST_DB, HIGHEST_DB = 5.0, -10.0, 30.0
ROOMS = {f"room of RT60 {rt60_s:g} s": rt60_s for rt60_s in (0.5, 2.0)}
_NAMES = {"cafe": "café"}  # where a noise has another name on the page
_NAMES |= {colour: f"{colour} noise" for colour in ("white", "pink", "brown")}
SEED = 0


def build(prefix: str) -> tuple[gr.Dropdown, gr.Slider]:
    """What a clip is degraded by, and the SNR, which is there for noises only."""
    how = gr.Dropdown(
        choices(),
        value=OWN,
        label="Degraded by",
        info="Babble at 5 dB until you degrade a clip.",
        min_width=220,
        scale=2,
        elem_id=f"{prefix}-degraded",
    )
    snr = gr.Slider(
        LOWEST_DB,
        HIGHEST_DB,
        SNR_DB,
        step=0.5,
        label="SNR (dB)",
        info="0: as loud as the music.",
        min_width=220,
        scale=2,
        visible=False,
        elem_id=f"{prefix}-snr",
    )
    how.input(lambda kind: gr.update(visible=has_level(kind)), how, snr, **UNQUEUED)
    return how, snr


def choices() -> list[tuple[str, str]]:
    """Names and values for the page."""
    names = [(_NAMES.get(kind, kind), kind) for kind in NOISES]
    names += [(name, name) for name in (*ROOMS, *PRESETS)]
    return [
        ("As on Degrade", OWN),
        *((name[:1].upper() + name[1:], value) for name, value in names),
    ]


def has_level(kind: Any) -> bool:
    """Whether the SNR matters: it does for noises."""
    return kind in NOISES


def plan(kind: Any, snr_db: Any) -> tuple[Degradation, str]:
    """What to do for one of the values, and what it is called. Raises ClipError for another one."""
    if kind == OWN:
        kind, snr_db = "babble", SNR_DB
    try:
        if kind in NOISES:
            level = min(max(float(snr_db), LOWEST_DB), HIGHEST_DB)
            name = f"synthetic {_NAMES.get(kind, kind)}, {level:g} dB SNR"
            return Degradation(level, kind, seed=SEED), name
        if kind in ROOMS:
            return Degradation(room=ROOMS[kind], seed=SEED), kind
        return preset(str(kind), SEED), str(kind)
    except (TypeError, ValueError) as error:
        raise ClipError(str(error)) from error
