"""The sliders of the tab Degrade, by part of the chain."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.degrade.values import HIGHEST_HZ, NO_HISS_DB, Values
from grafprint.degradation.settings import LEAST_RT60_S, MOST_RT60_S

# Part -> name in Values, id on the page, lowest, highest, step, label, information.
SLIDERS: dict[str, tuple[tuple[str, str, float, float, float, str, str | None], ...]] = {
    "noise": (
        ("snr_db", "snr", -10, 30, 0.5, "SNR (dB)", "0: the noise is as loud as the music"),
    ),
    "room": (
        ("rt60_s", "rt60", LEAST_RT60_S, MOST_RT60_S, 0.05, "RT60 (s)",
         "How long sound takes to fall by 60 dB: 0.3 in a car, 0.5 at home, 4 in a church"),
        ("wet", "wet", 0, 100, 5, "Wet (%)", "The rest is the music without the room"),
    ),
    "loudspeaker": (
        ("high_pass_hz", "high-pass", 0, 1000, 10, "High-pass (Hz)",
         "A laptop plays from 200 to 500 Hz on; 0: all"),
        ("high_pass_db", "high-pass-slope", 6, 48, 1, "High-pass slope (dB per octave)", None),
        ("tilt_db", "tilt", -30, 30, 1, "Tilt (dB)", "From bass to treble; below 0: dull"),
        ("resonance_db", "resonances", 0, 20, 1, "Resonances (dB)", "The largest, up or down"),
        ("drive", "drive", 0, 4, 0.1, "Distortion",
         "0: none; 1: peaks three times the average level are flattened"),
    ),
    "second noise": (
        ("second_db", "second-level", -15, 5, 0.5, "Level relative to the first (dB)", None),
    ),
    "microphone": (
        ("low_hz", "low", 0, 1000, 10, "High-pass (Hz)", None),
        ("high_hz", "high", 1000, HIGHEST_HZ, 100, "Low-pass (Hz)", None),
        ("uneven_db", "uneven", 0, 8, 0.5, "Unevenness (dB)",
         "How much the response varies from octave to octave"),
        ("hiss_db", "hiss", NO_HISS_DB, 0, 1, "Hiss (dB)",
         f"Relative to all else; {NO_HISS_DB:g}: none".replace("-", "−")),
        ("clip_at", "clip-at", 5, 100, 1, "Clip at (% of the peak)",
         "An overloaded input; 100: no clipping"),
    ),
    "phone": (
        ("suppression_db", "suppression", 0, 30, 1, "Noise suppression (dB)",
         "By how much steady sound is turned down at most"),
        ("gain_control", "gain-control", 0, 100, 5, "Gain control (%)",
         "How far slow changes of level are evened out"),
        ("limiter", "limiter", 0, 4, 0.1, "Limiter", "As distortion, but of the whole recording"),
    ),
    "speed": (
        ("speed", "speed", -20, 20, 0.5, "Speed (%)", "With the pitch, as on a turntable"),
        ("semitones", "semitones", -6, 6, 0.1, "Pitch (semitones)", "At the same tempo"),
    ),
}  # fmt: skip


def build(part: str, first: Values, values: dict[str, Any], visible: bool = True) -> None:
    """Create the sliders of a part, and add them to ``values`` by name."""
    for name, element, low, high, step, label, info in SLIDERS[part]:
        values[name] = gr.Slider(
            low,
            high,
            getattr(first, name),
            step=step,
            label=label,
            info=info,
            visible=visible,
            elem_id=element,
        )
