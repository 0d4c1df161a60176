"""Accuracy of scans of long recordings.

    python -m benchmarks.scan --test TEST --distractors TRAIN --noise NOISE --rooms ROOMS

Mixes of parts of TEST's tracks, every third of which is not in the library: with hard cuts, with
cross-fades of 4 s, with people talking over every other part, and through a room with noise at 10
dB. A play is right if it has a part's track at the right time in the track, and covers over half of
the part. Also measured are the errors of its start and end.

--speed 1.04 plays the mixes faster, in speed and pitch, for the limit; --kind measures one kind.
Either prints the results without storing them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.signal import resample_poly

from benchmarks.shared import common
from grafprint import audio
from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.banks import NoiseBank, RoomBank, noise_bank, room_bank
from grafprint.degradation.effects import mix_at_snr, reverberate
from grafprint.degradation.synthetic_noise import cafe
from grafprint.evaluation import query_tracks
from grafprint.evaluation.intervals import wilson
from grafprint.evaluation.mixes import Mix, Part
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, Track
from grafprint.scan import scan
from grafprint.scan.plays import Play

PARTS = 30  # in each mix, a third of them unknown tracks
LENGTHS_S = (8.0, 28.0)
NEAR_S = 0.5  # largest error of the time in the track


@dataclass(frozen=True)
class Kind:
    """A kind of mix."""

    fade_s: float = 0.0
    talk: bool = False
    room: bool = False


KINDS = {
    "hard cuts": Kind(),
    "cross-fades of 4 s": Kind(fade_s=4.0),
    "cross-fades, and talking": Kind(fade_s=4.0, talk=True),
    "hard cuts, in a room, noise at 10 dB": Kind(room=True),
}


def make_mix(
    library: Library,
    known: list[Track],
    strangers: list[Path],
    kind: Kind,
    rng: np.random.Generator,
    parts: int | None = None,
) -> Mix:
    """A mix of random parts (default: PARTS), of random length, of known and unknown tracks."""
    mix = Mix(library)
    for number in range(parts or PARTS):
        length_s = float(rng.uniform(*LENGTHS_S))
        if number % 3 == 2:
            music = audio.load(strangers[rng.integers(len(strangers))], duration_s=length_s)
            mix.add(music, kind.fade_s)
            continue
        track = known[rng.integers(len(known))]
        start_s = float(rng.uniform(0, max(0.0, track.duration_s - length_s)))
        mix.play(track, start_s, length_s, kind.fade_s)
        if kind.talk and number % 2:
            mix.talk_over(mix.parts[-1].start_s + 3, cafe(5 * SAMPLE_RATE, rng))
    return mix


def degrade(samples: np.ndarray, noises: NoiseBank, rooms: RoomBank, seed: int) -> np.ndarray:
    """Play the sound into a room, with noise at 10 dB."""
    generator = torch.Generator().manual_seed(seed)
    clip = reverberate(torch.from_numpy(samples[None]), rooms.draw_named(1, generator)[0])
    noise = noises.draw_named(1, samples.size, generator)[0]
    return mix_at_snr(clip, noise, torch.tensor([10.0]))[0].numpy()


def faster(mix: Mix, speed: float) -> Mix:
    """The mix, played at another speed."""
    if speed == 1:
        return mix
    samples = resample_poly(mix.samples, 1000, round(1000 * speed)).astype(np.float32)
    parts = [replace(p, start_s=p.start_s / speed, end_s=p.end_s / speed) for p in mix.parts]
    return Mix(mix.library, samples, parts)


def right(play: Play, part: Part, speed: float = 1.0) -> bool:
    """Whether a play is the part: its track, the right time in it, over half of its length."""
    shared_s = min(play.end_s, part.end_s) - max(play.start_s, part.start_s)
    expected_s = part.track_start_s + speed * (play.start_s - part.start_s)
    drift_s = play.track_start_s - expected_s
    tracks = {play.track.id, *(track.id for track in play.alternatives)}
    near = abs(drift_s) <= NEAR_S
    return part.track.id in tracks and near and shared_s > 0.5 * (part.end_s - part.start_s)


def measure(
    library: Library,
    fingerprinter: Fingerprinter,
    mixes: list[tuple[Mix, Path]],
    speed: float = 1.0,
) -> dict[str, object]:
    """Precision, recall and errors over the mixes."""
    plays = parts = hits = found = 0
    starts, ends = [], []
    for mix, path in mixes:
        result = scan(library, fingerprinter, path)
        plays += len(result.plays)
        parts += len(mix.parts)
        hits += sum(any(right(play, part, speed) for part in mix.parts) for play in result.plays)
        for part in mix.parts:
            match = next((play for play in result.plays if right(play, part, speed)), None)
            if match:
                found += 1
                starts.append(abs(match.start_s - part.start_s))
                ends.append(abs(match.end_s - part.end_s))
    return {
        "hours": sum(mix.length_s for mix, _ in mixes) / 3600,
        "parts": parts,
        "plays": plays,
        "precision": wilson(hits, plays) if plays else None,
        "recall": wilson(found, parts),
        "median_start_error_s": float(np.median(starts)) if starts else None,
        "median_end_error_s": float(np.median(ends)) if ends else None,
    }


@contextmanager
def without_strangers(
    whole: Path, copy: Path, tracks: Callable[[Library], list[Track]]
) -> Iterator[tuple[Library, list[Track], list[Path]]]:
    """A copy of a library without every third of its ``tracks`` that is long enough for a part.

    Yields the library, the others of these tracks, and the audio of those removed.
    """
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(whole, copy)
    with Library.open(copy, writable=True) as library:
        long = [track for track in tracks(library) if track.duration_s > LENGTHS_S[1]]
        strangers = [library.audio_path(track) for track in long[::3]]
        for track in long[::3]:
            library.remove(track.id)
        known = [track for number, track in enumerate(long) if number % 3]
        yield library, known, [path for path in strangers if path]
    shutil.rmtree(copy)


def main() -> None:
    """Measure each kind."""
    parser = common.options(__doc__)
    parser.add_argument("--mixes", type=int, default=4, help="number of mixes of each kind")
    parser.add_argument("--kind", choices=list(KINDS), help="default: all")
    parser.add_argument("--speed", type=float, default=1.0, help="at which the mixes are played")
    args = parser.parse_args()
    fingerprinter = common.network(args, "grafprint")
    noises, rooms = noise_bank(args.noise, "test", 0, 0), room_bank(args.rooms, "test", 0, 0)
    folders = [folder for folder in (args.test, args.distractors) if folder]
    with common.collection("grafprint", fingerprinter, folders, args.work) as library:
        whole = library.path
    rows = {}
    copy = args.work / "without-strangers"
    with without_strangers(whole, copy, lambda library: query_tracks(library, args.test)) as (
        library,
        known,
        strangers,
    ):
        for name, kind in KINDS.items():
            if args.kind not in (None, name):
                continue
            rng = np.random.default_rng(args.seed)
            mixes = []
            for number in range(args.mixes):
                mix = faster(make_mix(library, known, strangers, kind, rng), args.speed)
                if kind.room:
                    mix.samples = degrade(mix.samples, noises, rooms, number)
                path = args.work / f"mix-{number}.wav"
                mix.write(path)
                mixes.append((mix, path))
            rows[name] = measure(library, fingerprinter, mixes, args.speed)
            print(f"{name}: {rows[name]}", flush=True)
    if args.kind is None and args.speed == 1:
        common.write("scan", {"network": fingerprinter.facts, "rows": rows})


if __name__ == "__main__":
    main()
