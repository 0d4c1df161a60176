"""A Degradation as settings of the chain that training uses.

What is not chosen is drawn from the seed, with a generator of its own for every part: so a part
stays the same when others change.
"""

from __future__ import annotations

import math
import zlib
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.degradation.banks import NoiseBank
from grafprint.degradation.effects import prepare_rir
from grafprint.degradation.rerecording import Settings, loudspeaker_db, microphone_db, other_place
from grafprint.degradation.rerecording.chain import Noise, Step, heard
from grafprint.degradation.rerecording.draw import Draw, bias, hiss, resonances, wander
from grafprint.degradation.rerecording.processing import hiss_bins
from grafprint.degradation.settings import Degradation, Loudspeaker, Recorder

LONGEST_RESPONSE_S = 5.0
# In the middle of the ranges of training.
_EXCESS, _ATTACK_S, _RELEASE_S = 1.5, 0.03, 0.45
_EVERY = torch.tensor([0])  # the rows of a batch of one


def settings_of(wanted: Degradation, total: int, past: int) -> Settings | None:
    """The chain's settings for one clip of ``total`` samples; None if it would change nothing.

    ``past`` of them are before the clip. Raises ValueError for a noise of an unknown kind.
    """
    speaker, recorder = wanted.loudspeaker, wanted.recorder
    room = _room(wanted)
    settings = Settings(
        distortion=_distortion(speaker, wanted.seed),
        loudspeaker_db=_loudspeaker_db(speaker, wanted.seed) if speaker.filters else None,
        room=room,
        noises=_noises(wanted, total, room),
        snr_db=wanted.snr_db or 0.0,
        segment_snr=True,
        microphone_db=_microphone_db(wanted),
        hiss=_hiss(recorder, heard(total, past), wanted.seed),
        suppression=_step(_EXCESS, -recorder.suppression_db) if recorder.suppression_db else None,
        gain_control=(
            _step(recorder.gain_control, _ATTACK_S, _RELEASE_S) if recorder.gain_control else None
        ),
        limiter=_step(recorder.limiter, 0.0) if recorder.limiter else None,
    )
    parts = (
        settings.distortion, settings.loudspeaker_db, settings.room, settings.microphone_db,
        settings.hiss, settings.suppression, settings.gain_control, settings.limiter,
    )  # fmt: skip
    return None if all(part is None for part in parts) and not settings.noises else settings


def mix_with_dry(response: np.ndarray, wet: float) -> np.ndarray:
    """Mix a prepared room response ``[m]``, at the share ``wet``, with a dry one.

    The dry sound coincides with the direct sound, which keeps its place, and has its sign, so that
    the two do not cancel.
    """
    mixed = np.float32(wet) * response
    mixed[0] += (1 - wet) * math.copysign(1.0, response[0])
    return mixed


def _draw(part: str, seed: int) -> Draw:
    """Random numbers for one part of the chain."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{part} {seed}".encode()))
    return Draw(generator, torch.device("cpu"))


def _step(*values: float) -> Step:
    return Step(_EVERY, tuple(torch.full((1, 1), float(value)) for value in values))


def _distortion(speaker: Loudspeaker, seed: int) -> Step | None:
    if not speaker.drive:
        return None
    drawn = bias(1, _draw("distortion", seed))
    return Step(_EVERY, (torch.full((1, 1), speaker.drive), drawn))


def _loudspeaker_db(speaker: Loudspeaker, seed: int) -> Tensor:
    return loudspeaker_db(
        torch.full((1, 1), float(speaker.high_pass_hz)),
        torch.full((1, 1), float(speaker.high_pass_db)),
        torch.full((1, 1), float(speaker.tilt_db)),
        *resonances(1, speaker.resonance_db, _draw("resonances", seed)),
    )


def _microphone_db(wanted: Degradation) -> Tensor | None:
    uneven_db = wanted.recorder.uneven_db
    if not (wanted.low_hz or wanted.high_hz < math.inf or uneven_db):
        return None
    return microphone_db(
        torch.full((1, 1), float(wanted.low_hz)),
        torch.full((1, 1), float(wanted.high_hz)),
        wander(1, uneven_db, _draw("microphone", wanted.seed)),
    )


def _hiss(recorder: Recorder, samples: int, seed: int) -> Step | None:
    if recorder.hiss_db is None:
        return None
    level_db = torch.full((1, 1), float(recorder.hiss_db))
    return Step(_EVERY, (level_db, *hiss(1, hiss_bins(samples), _draw("hiss", seed))))


def _noises(wanted: Degradation, total: int, room: Tensor | None) -> tuple[Noise, ...]:
    if wanted.snr_db is None:
        return ()
    kinds = [(wanted.noise, 0.0)]
    if wanted.second_noise is not None:
        kinds.append((wanted.second_noise, wanted.second_noise_db))
    noises = []
    for number, (noise, level_db) in enumerate(kinds):
        place = None
        if room is not None and wanted.noise_in_room:
            place = other_place(room, _draw(f"place {number}", wanted.seed).generator)
        gain = torch.full((1, 1), 10 ** (level_db / 20))
        noises.append(Noise(_EVERY, _sound(noise, number, total, wanted.seed), place, gain))
    return tuple(noises)


def _sound(noise: str | NoiseBank, number: int, samples: int, seed: int) -> Tensor:
    """Noise ``[1, samples]``; the second one is another part even if it is of the same kind."""
    draw = _draw(f"noise {number}", seed)
    if isinstance(noise, NoiseBank):
        return noise.draw(1, samples, draw.generator)
    own_seed = seed if number == 0 else draw.generator.initial_seed()
    return torch.tensor(synthetic_noise.noise(noise, samples, own_seed))[None]


def _room(wanted: Degradation) -> Tensor | None:
    """The room's response ``[1, m]``."""
    if wanted.room is None or wanted.wet == 0:
        return None
    if isinstance(wanted.room, np.ndarray):
        response = prepare_rir(wanted.room, LONGEST_RESPONSE_S)
    else:
        response = _synthetic(wanted.room, wanted.seed)
    return torch.from_numpy(mix_with_dry(response, wanted.wet))[None]


@lru_cache(maxsize=64)
def _synthetic(rt60_s: float, seed: int) -> np.ndarray:
    room = synthetic_rooms.hall(rt60_s, np.random.default_rng(seed))
    return prepare_rir(room, LONGEST_RESPONSE_S)
