"""An example that the page can make of any library: a loop of a track under a new beat."""

from __future__ import annotations

import numpy as np
import torch

from demo.clips import ClipError
from demo.sampling import Sampling
from grafprint import audio
from grafprint.degradation.musical import change_pitch_and_tempo, filter_band
from grafprint.errors import AudioError
from grafprint.library import Track

SPEED = 1.06  # of the loop, pitch included: a semitone
LOOP_S, SONG_S, FIRST_S = 8.0, 30.0, 6.0
TEMPO_BPM = 96.0
_RATE = audio.SAMPLE_RATE


def make_song(sampling: Sampling) -> tuple[np.ndarray, Track]:
    """A song ``[n]`` of 30 s, and the track that it samples. Raises ClipError if none can be read.

    The beat plays alone for some seconds, then with the loop, which is faster, higher and duller
    than in the track.
    """
    for track in sampling.library.tracks():
        path = sampling.library.audio_path(track)
        if path is None or track.duration_s < LOOP_S * SPEED + 2:
            continue
        begin_s = max(0.0, min(track.duration_s / 3, track.duration_s - LOOP_S * SPEED - 2))
        try:
            music = audio.load(path, start_s=begin_s, duration_s=LOOP_S * SPEED + 1)
        except AudioError:
            continue
        return _under_a_beat(music), track
    raise ClipError("no track of the library can be played, so there is nothing to sample")


def _under_a_beat(music: np.ndarray) -> np.ndarray:
    length, semitones = round(LOOP_S * _RATE), 12 * np.log2(SPEED)
    source = torch.from_numpy(music)[None]
    faster = change_pitch_and_tempo(
        source, torch.tensor([semitones]), torch.tensor([SPEED]), length
    )
    loop = filter_band(faster, torch.tensor([80.0]), torch.tensor([5000.0]))[0].numpy()
    song = _beat(round(SONG_S * _RATE))
    level = 1.2 * np.sqrt(np.square(song).mean() / max(float(np.square(loop).mean()), 1e-9))
    first = round(FIRST_S * _RATE)
    repeated = np.resize(loop, len(song) - first) * level
    song[first:] += repeated.astype(np.float32)
    return np.asarray(0.8 * song / np.abs(song).max(), np.float32)


def _beat(count: int) -> np.ndarray:
    """A kick on every beat, a snare on every second one, hats in between: float32 [count]."""
    rng, step = np.random.default_rng(0), round(_RATE * 30 / TEMPO_BPM)
    t = np.arange(round(0.25 * _RATE)) / _RATE
    kick = np.sin(2 * np.pi * (45 * t + 4 * (1 - np.exp(-t * 40)))) * np.exp(-t * 18)
    noise = rng.standard_normal(len(t))
    snare, hat = 0.4 * noise * np.exp(-t * 25), 0.12 * np.diff(noise, prepend=0) * np.exp(-t * 90)
    beat = np.zeros(count + len(t), np.float32)
    for number, begin in enumerate(range(0, count, step)):
        sounds = [hat, *([kick] if number % 2 == 0 else []), *([snare] if number % 4 == 2 else [])]
        beat[begin : begin + len(t)] += sum(sounds).astype(np.float32)
    return beat[:count]
