"""The values of the controls of the tab Degrade: presets, what they mean, and in words."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf, isfinite
from typing import Any

import numpy as np

from demo.clips import ClipError
from demo.degrade.recordings import Recordings
from grafprint import audio
from grafprint.degradation import Degradation, Loudspeaker, Recorder, preset
from grafprint.degradation.banks import NoiseBank

HIGHEST_HZ = audio.SAMPLE_RATE / 2
NO_HISS_DB = -60.0  # the end of the slider
# Values of the controls beside the kinds of synthetic noise: see Values.
NONE, OWN, SIMULATED, RECORDED = "none", "own", "simulated", "recorded: "
MIX, LEFT, RIGHT = "mix", "left", "right"
CHANNELS = {MIX: None, LEFT: 0, RIGHT: 1}
# Noises that are not displayed under their own name.
DISPLAY_NAMES = {"cafe": "Café", "babble": "Babble of voices"}


@dataclass(frozen=True, eq=False)
class Own:
    """The visitor's own noise and room response ``[m]``, if any."""

    noise: NoiseBank | None = None
    room: np.ndarray | None = None


@dataclass(frozen=True)
class Values:
    """The values of the controls, in their order; Degradation explains them.

    ``noise`` and ``second`` are NONE, a kind, OWN, or RECORDED and a name; ``room`` is NONE,
    SIMULATED, OWN, or RECORDED and a name; ``channel`` is one of CHANNELS. Shares are in percent,
    and so is ``speed``: 5 is 5 % faster.
    """

    noise: str = NONE
    snr_db: float = 10.0
    room: str = NONE
    rt60_s: float = 0.5
    wet: float = 100.0
    low_hz: float = 0.0
    high_hz: float = HIGHEST_HZ
    clip_at: float = 100.0
    codec: str = NONE
    seed: float = 0.0
    noise_in_room: bool = True
    second: str = NONE
    second_db: float = -5.0
    channel: str = MIX
    high_pass_hz: float = 0.0
    high_pass_db: float = 24.0
    tilt_db: float = 0.0
    resonance_db: float = 0.0
    drive: float = 0.0
    uneven_db: float = 0.0
    hiss_db: float = NO_HISS_DB
    suppression_db: float = 0.0
    gain_control: float = 0.0
    limiter: float = 0.0
    speed: float = 0.0
    semitones: float = 0.0


NAMES = tuple(field.name for field in fields(Values))


def plan(values: Values, own: Own, recordings: Recordings) -> Degradation:
    """The degradation set by the controls. Raises ClipError for a missing file or a bad value."""
    if values.channel not in CHANNELS:
        raise ClipError(f"no channel {values.channel!r}; there are: {', '.join(CHANNELS)}")
    try:
        return Degradation(
            snr_db=None if values.noise == NONE else float(values.snr_db),
            noise=_noise(values.noise, own, recordings),
            room=_room(values, own, recordings),
            wet=values.wet / 100,
            low_hz=float(values.low_hz),
            high_hz=inf if values.high_hz >= HIGHEST_HZ else float(values.high_hz),
            clip_share=values.clip_at / 100,
            codec=None if values.codec == NONE else values.codec,
            seed=int(values.seed),
            second_noise=(
                None if values.second == NONE else _noise(values.second, own, recordings)
            ),
            second_noise_db=float(values.second_db),
            noise_in_room=bool(values.noise_in_room),
            loudspeaker=Loudspeaker(
                values.high_pass_hz,
                values.high_pass_db,
                values.tilt_db,
                values.resonance_db,
                values.drive,
            ),
            recorder=Recorder(
                values.uneven_db,
                None if values.hiss_db <= NO_HISS_DB else float(values.hiss_db),
                values.suppression_db,
                values.gain_control / 100,
                values.limiter,
            ),
            speed=1 + values.speed / 100,
            semitones=values.semitones,
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise ClipError(str(error)) from error


def of_preset(name: str, seed: float = 0.0) -> Values:
    """The values for a name of rerecording.PRESETS, or NONE. Raises ClipError for another one."""
    if name == NONE:
        return Values(seed=seed)
    try:
        wanted = preset(name)
    except ValueError as error:
        raise ClipError(str(error)) from error
    speaker, recorder = wanted.loudspeaker, wanted.recorder
    assert isinstance(wanted.noise, str) and not isinstance(wanted.room, np.ndarray)
    return Values(
        noise=wanted.noise,
        snr_db=Values.snr_db if wanted.snr_db is None else wanted.snr_db,
        room=NONE if wanted.room is None else SIMULATED,
        rt60_s=wanted.room or Values.rt60_s,
        low_hz=round(wanted.low_hz, -1),
        high_hz=round(min(wanted.high_hz, HIGHEST_HZ), -2),
        seed=seed,
        second=wanted.second_noise if isinstance(wanted.second_noise, str) else NONE,
        second_db=wanted.second_noise_db,
        high_pass_hz=round(speaker.high_pass_hz, -1),
        high_pass_db=speaker.high_pass_db,
        tilt_db=round(speaker.tilt_db),
        resonance_db=speaker.resonance_db,
        drive=round(speaker.drive, 1),
        uneven_db=recorder.uneven_db,
        hiss_db=NO_HISS_DB if recorder.hiss_db is None else round(recorder.hiss_db),
        suppression_db=recorder.suppression_db,
        gain_control=round(100 * recorder.gain_control),
        limiter=recorder.limiter,
    )


def changed(values: Values, changes: dict[str, Any] | None) -> Values:
    """Values with some of them changed by name. Raises ClipError for an unknown name or a type."""
    changes = changes or {}
    for name, value in changes.items():
        if name not in NAMES:
            raise ClipError(f"no setting {name!r}; there are: {', '.join(NAMES)}")
        default = getattr(values, name)
        if isinstance(default, str) != isinstance(value, str) or not (
            isinstance(value, str) or (isinstance(value, bool | int | float) and isfinite(value))
        ):
            kind = "a word" if isinstance(default, str) else "a number"
            raise ClipError(f"the setting {name} must be {kind}, not {value!r}")
    return replace(values, **changes)


def display_name(name: str) -> str:
    """A noise or codec as it is called on the page."""
    return DISPLAY_NAMES.get(name, name[:1].upper() + name[1:])


def describe(values: Values) -> str:
    """The parts of the chain that are on, in words; empty if there are none."""
    v = values
    parts = []
    if v.speed or v.semitones:
        pitch = f"pitch {v.semitones:+g} semitones" if v.semitones else ""
        parts.append(", ".join(filter(None, (f"speed {v.speed:+g} %" if v.speed else "", pitch))))
    speaker = [
        f"{v.channel} channel only" if v.channel != MIX else "",
        f"from {v.high_pass_hz:g} Hz" if v.high_pass_hz else "",
        f"tilt {v.tilt_db:+g} dB" if v.tilt_db else "",
        f"resonances {v.resonance_db:g} dB" if v.resonance_db else "",
        "distortion" if v.drive else "",
    ]
    parts.append(_group("loudspeaker", speaker))
    if v.room != NONE:
        rt60 = f" of RT60 {v.rt60_s:g} s" if v.room == SIMULATED else ""
        parts.append(f"room{rt60}")
    if v.noise != NONE:
        second = f" and {_noise_name(v.second)}" if v.second != NONE else ""
        parts.append(f"{_noise_name(v.noise)}{second} at {v.snr_db:g} dB")
    band = f"{v.low_hz:g} to {v.high_hz:g} Hz" if v.low_hz or v.high_hz < HIGHEST_HZ else ""
    microphone = [
        band,
        "uneven" if v.uneven_db else "",
        f"hiss {v.hiss_db:g} dB" if v.hiss_db > NO_HISS_DB else "",
        f"clipped at {v.clip_at:g} %" if v.clip_at < 100 else "",
    ]
    parts.append(_group("microphone", microphone))
    phone = [
        "noise suppression" if v.suppression_db else "",
        "gain control" if v.gain_control else "",
        "limiter" if v.limiter else "",
        display_name(v.codec) if v.codec != NONE else "",
    ]
    parts.append(", ".join(filter(None, phone)))
    text = "; ".join(filter(None, parts)).replace("-", "−")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _group(name: str, what: list[str]) -> str:
    words = ", ".join(filter(None, what))
    return f"{name}: {words}" if words else ""


def _noise_name(name: str) -> str:
    return "your own noise" if name == OWN else display_name(name.removeprefix(RECORDED)).lower()


def _noise(name: str, own: Own, recordings: Recordings) -> str | NoiseBank:
    if name == OWN:
        if own.noise is None:
            raise ClipError("choose a file with your own noise first")
        return own.noise
    if name.startswith(RECORDED):
        return recordings.noise(name.removeprefix(RECORDED))
    return "pink" if name == NONE else name


def _room(values: Values, own: Own, recordings: Recordings) -> float | np.ndarray | None:
    if values.room == NONE:
        return None
    if values.room == OWN:
        if own.room is None:
            raise ClipError("choose a file with your own room response first")
        return own.room
    if values.room.startswith(RECORDED):
        return recordings.room(values.room.removeprefix(RECORDED))
    return float(values.rt60_s)
