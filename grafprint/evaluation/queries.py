"""Queries for evaluation: cut from a track, degraded and fingerprinted, by either protocol.

*Clean*: each query is its own audio, cut first and degraded alone (the reverb hears the music
before the cut); it starts at any time, off the grid of the references. *Published*: what the
paper's code does - the whole recording is degraded and fingerprinted, and a query is a run of its
fingerprints, so it starts on the grid and its SNR is that of the recording. Unlike that code, both
encode in evaluation mode, so that a fingerprint depends on its own second alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from grafprint import audio
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.effects import mix_at_snr, reverberate
from grafprint.fingerprint import Fingerprinter

PROTOCOLS = ("clean", "published")


@dataclass(frozen=True)
class Setting:
    """How long a query is and how it is degraded; ``snr_db`` None: no noise."""

    length_s: float
    snr_db: float | None
    reverb: bool


@dataclass(frozen=True, eq=False)
class Query:
    """Fingerprints ``[m, dim]`` of a query that begins ``time_s`` into its track.

    ``noise`` and ``room`` name what it was degraded with, empty where it was not.
    """

    fingerprints: np.ndarray
    time_s: float
    noise: str
    room: str


@dataclass(frozen=True, eq=False)
class Degrader:
    """Cuts and degrades with given noises and rooms; ``past_s`` of music is heard by the reverb."""

    noises: NoiseBank
    rooms: RoomBank
    past_s: float = 2.0

    def clean(
        self,
        fingerprinter: Fingerprinter,
        path: Path,
        duration_s: float,
        settings: list[Setting],
        rng: np.random.Generator,
        seed: tuple[int, ...],
    ) -> list[Query]:
        """One query a setting, by the clean protocol, all at the same time, drawn from ``rng``.

        The same noise and room are drawn in every setting, so that settings can be compared.
        """
        longest = max(s.length_s for s in settings)
        # A random double is off any grid.
        time_s = float(rng.uniform(0, duration_s - longest))
        past_s = min(self.past_s, time_s)
        music = audio.load(path, start_s=time_s - past_s, duration_s=past_s + longest)
        past = round(past_s * audio.SAMPLE_RATE)
        heard = list(self.degraded(music, past, settings, seed))
        prints = fingerprinter.many([clip for clip, _, _ in heard])
        return [
            Query(p, time_s, noise, room) for p, (_, noise, room) in zip(prints, heard, strict=True)
        ]

    def degrade(
        self, music: np.ndarray, past: int, setting: Setting, seed: tuple[int, ...]
    ) -> tuple[np.ndarray, str, str]:
        """``music [past + n]`` cut to the setting's length and degraded alone, noise and room.

        Room, cut, then noise at the exact SNR of the cut.
        """
        return next(self.degraded(music, past, [setting], seed))

    def degraded(
        self, music: np.ndarray, past: int, settings: list[Setting], seed: tuple[int, ...]
    ) -> Iterator[tuple[np.ndarray, str, str]]:
        """:meth:`degrade` in each of several settings.

        What does not depend on the SNR is made once for each length.
        """
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
                # The power that reverberation keeps is that of this length.
                cuts[length_s, reverb] = (reverberate(clip, response) if reverb else clip)[:, past:]
            clip = cuts[length_s, reverb]
            if setting.snr_db is not None:
                clip = mix_at_snr(clip, noise, torch.tensor([setting.snr_db]))
            yield (
                clip[0].numpy(),
                name if setting.snr_db is not None else "",
                room if reverb else "",
            )

    def published(
        self,
        fingerprinter: Fingerprinter,
        path: Path,
        duration_s: float,
        settings: list[Setting],
        rng: np.random.Generator,
        seed: tuple[int, ...],
    ) -> list[Query]:
        """One query a setting, by the published protocol, all at one place drawn from ``rng``."""
        music = audio.load(path)
        hop = fingerprinter.features.hop_frames * fingerprinter.features.hop_length
        counts = {s.length_s: fingerprinter.count(round(s.length_s * audio.SAMPLE_RATE))
                  for s in settings}  # fmt: skip
        most = max(counts.values())
        available = fingerprinter.count(len(music))
        place = int(rng.integers(available - most + 1))
        # One more hop on either side: the grid stays, and no edge is seen.
        before = min(place, 1)
        part = slice((place - before) * hop, (place + most + 1) * hop + audio.SAMPLE_RATE)
        conditions = list(dict.fromkeys((s.snr_db, s.reverb) for s in settings))
        whole_s = len(music) / audio.SAMPLE_RATE
        whole = [Setting(whole_s, *condition) for condition in conditions]
        heard = dict(zip(conditions, self.degraded(music, 0, whole, seed), strict=True))
        prints = dict(
            zip(heard, fingerprinter.many([h[0][part] for h in heard.values()]), strict=True)
        )
        return [
            Query(
                prints[s.snr_db, s.reverb][before : before + counts[s.length_s]],
                place * fingerprinter.hop_s,
                *heard[s.snr_db, s.reverb][1:],
            )
            for s in settings
        ]
