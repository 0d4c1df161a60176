"""Evaluation queries: cut from a track, degraded and fingerprinted, by one of two protocols.

*Clean*: a query is cut first and degraded alone (its reverb includes the music before the cut). It
starts at any time, off the grid of the references. *Published*: as in the paper's code, the whole
recording is degraded and fingerprinted, and a query is a run of its fingerprints. So it starts on
the grid, and its SNR is that of the recording. Unlike that code, both encode in evaluation mode, so
that a fingerprint depends only on its own second.

A query by the clean protocol can be a virtual re-recording instead
(:mod:`grafprint.degradation.rerecording`): the longest query is recorded once, and the shorter ones
are its beginnings.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from grafprint import audio
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.effects import mix_at_snr, reverberate
from grafprint.degradation.rerecording import PRESETS, Rerecord, RerecordingConfig
from grafprint.fingerprint import Fingerprinter

PROTOCOLS = ("clean", "published")
# By name: everything that training draws from, and the presets.
RERECORDINGS: dict[str, RerecordingConfig] = {"default": RerecordingConfig(), **PRESETS}


@dataclass(frozen=True)
class Setting:
    """Length and degradation of a query; ``snr_db`` None: no noise.

    ``rerecording`` names a virtual re-recording; empty for none. It has noise and rooms of its own,
    so ``snr_db`` is None and ``reverb`` False.
    """

    length_s: float
    snr_db: float | None
    reverb: bool
    rerecording: str = ""


@dataclass(frozen=True, eq=False)
class Query:
    """Fingerprints ``[m, dim]`` of a query that starts at ``time_s`` of its track.

    ``noise`` and ``room`` name what degraded it; empty if nothing did, or for a re-recording.
    """

    fingerprints: np.ndarray
    time_s: float
    noise: str
    room: str


@dataclass(frozen=True, eq=False)
class Degrader:
    """Cut and degrade queries; their reverb includes ``past_s`` seconds of music before the cut.

    ``rerecordings`` are the settings of virtual re-recordings by their names.
    """

    noises: NoiseBank
    rooms: RoomBank
    past_s: float = 2.0
    rerecordings: Mapping[str, RerecordingConfig] = field(default_factory=dict)
    one_channel: bool = False  # clean queries: left or right of stereo recordings, not their mix

    def clean(
        self,
        fingerprinter: Fingerprinter,
        path: Path,
        duration_s: float,
        settings: list[Setting],
        rng: np.random.Generator,
        seed: tuple[int, ...],
    ) -> list[Query]:
        """One query per setting by the clean protocol, all at one time drawn from ``rng``.

        All settings share the noise and the room, so that they can be compared. Re-recordings are
        the last of the ``settings``.
        """
        longest = max(s.length_s for s in settings)
        # Uniform in time, so off the grid of the references.
        time_s = float(rng.uniform(0, duration_s - longest))
        past_s = min(self.past_s, time_s)
        channel = zlib.crc32(repr((*seed, "channel")).encode()) % 2 if self.one_channel else None
        music = audio.load(
            path, start_s=time_s - past_s, duration_s=past_s + longest, channel=channel
        )
        past = round(past_s * audio.SAMPLE_RATE)
        plain = [s for s in settings if not s.rerecording]
        degraded = list(self.degrade_in(plain, music, past, seed))
        prints = fingerprinter.many([clip for clip, _, _ in degraded]) if plain else []
        if again := [s for s in settings if s.rerecording]:
            # Apart: fingerprints differ a little with what is encoded together.
            clips = self.rerecord_in(again, music, past, seed)
            prints += fingerprinter.many(clips)
            degraded += [(clip, "", "") for clip in clips]
        return [
            Query(p, time_s, noise, room)
            for p, (_, noise, room) in zip(prints, degraded, strict=True)
        ]

    def degrade(
        self, music: np.ndarray, past: int, setting: Setting, seed: tuple[int, ...]
    ) -> tuple[np.ndarray, str, str]:
        """Cut ``music [past + n]`` to the setting's length and degrade it.

        Reverb first, then the cut, then noise at the exact SNR of the cut. Returns the clip and
        the names of noise and room.
        """
        return next(self.degrade_in([setting], music, past, seed))

    def degrade_in(
        self, settings: list[Setting], music: np.ndarray, past: int, seed: tuple[int, ...]
    ) -> Iterator[tuple[np.ndarray, str, str]]:
        """:meth:`degrade` in several settings; steps they have in common are computed once."""
        drawn: dict[float, tuple[Tensor, str, Tensor, str]] = {}
        cuts: dict[tuple[float, bool], Tensor] = {}
        for setting in settings:
            length_s, reverb = setting.length_s, setting.reverb
            samples = round(length_s * audio.SAMPLE_RATE)
            if length_s not in drawn:
                generator = torch.Generator().manual_seed(zlib.crc32(repr(seed).encode()))
                response, rooms = self.rooms.draw_named(1, generator)
                noise, noises = self.noises.draw_named(1, samples, generator)
                drawn[length_s] = response, rooms[0], noise, noises[0]
            response, room, noise, name = drawn[length_s]
            if (length_s, reverb) not in cuts:
                clip = torch.from_numpy(music[None, : past + samples])
                # Per length: reverberation keeps the power of what it is given.
                cuts[length_s, reverb] = (reverberate(clip, response) if reverb else clip)[:, past:]
            clip = cuts[length_s, reverb]
            if setting.snr_db is not None:
                clip = mix_at_snr(clip, noise, torch.tensor([setting.snr_db]))
            yield (
                clip[0].numpy(),
                name if setting.snr_db is not None else "",
                room if reverb else "",
            )

    def rerecord_in(
        self, settings: list[Setting], music: np.ndarray, past: int, seed: tuple[int, ...]
    ) -> list[np.ndarray]:
        """``music [past + n]`` re-recorded as each setting says, from ``past`` on.

        Each kind of re-recording is made once, and cut to the settings' lengths.
        """
        recorded: dict[str, np.ndarray] = {}
        for name in dict.fromkeys(s.rerecording for s in settings):
            chain = Rerecord(self.rerecordings[name], past, self.noises, self.rooms)
            generator = torch.Generator().manual_seed(zlib.crc32(repr((*seed, name)).encode()))
            recorded[name] = chain(torch.from_numpy(music[None]), generator)[0].numpy()
        return [recorded[s.rerecording][: round(s.length_s * audio.SAMPLE_RATE)] for s in settings]

    def published(
        self,
        fingerprinter: Fingerprinter,
        path: Path,
        duration_s: float,
        settings: list[Setting],
        rng: np.random.Generator,
        seed: tuple[int, ...],
    ) -> list[Query]:
        """One query per setting by the published protocol, all at one place from ``rng``."""
        music = audio.load(path)
        hop = fingerprinter.features.hop_frames * fingerprinter.features.hop_length
        counts = {
            s.length_s: fingerprinter.count(round(s.length_s * audio.SAMPLE_RATE)) for s in settings
        }
        most = max(counts.values())
        available = fingerprinter.count(len(music))
        place = int(rng.integers(available - most + 1))
        # With a hop more on both sides, which keeps the grid, the query has no edges.
        before = min(place, 1)
        part = slice((place - before) * hop, (place + most + 1) * hop + audio.SAMPLE_RATE)
        conditions = list(dict.fromkeys((s.snr_db, s.reverb) for s in settings))
        whole_s = len(music) / audio.SAMPLE_RATE
        whole = [Setting(whole_s, *condition) for condition in conditions]
        degraded = dict(zip(conditions, self.degrade_in(whole, music, 0, seed), strict=True))
        clips = [clip[part] for clip, _, _ in degraded.values()]
        prints = dict(zip(conditions, fingerprinter.many(clips), strict=True))
        return [
            Query(
                prints[s.snr_db, s.reverb][before : before + counts[s.length_s]],
                place * fingerprinter.hop_s,
                *degraded[s.snr_db, s.reverb][1:],
            )
            for s in settings
        ]
