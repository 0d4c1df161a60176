"""Music played faster or slower: what scan and identify find, also with --other-speeds.

    python -m benchmarks.speed

On the demo music. A mix of --parts parts of 8 to 28 s with hard cuts, every third of a track that
is not in the library, is played at each speed, in tempo and pitch. A play is right as in
benchmarks.scan. The first 8 s of each part are identified, too. The cost is the number of
fingerprints beside that of a scan without other speeds.

--keep-pitch instead changes the tempo alone, by 6 %, as DJs' players do with 'key lock' (FFmpeg's
atempo), and identifies these parts.

--unknown FOLDER instead scans the music there, none of which may be in the --library, and counts
the plays, all of them wrong. Each command keeps the others' results, and those of other speeds.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.scan import KINDS, LENGTHS_S, faster, make_mix, right, without_strangers
from benchmarks.shared import common
from grafprint import audio
from grafprint.audio.folders import audio_files
from grafprint.evaluation.intervals import wilson
from grafprint.evaluation.mixes import Mix, Part
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, Track
from grafprint.matching import Answer, identify_audio, identify_file
from grafprint.scan import OTHER_SPEEDS, scan
from grafprint.scan.other_speeds import identify_at_other_speeds

SPEEDS = (1.06, 0.94, 1.08, 0.92, 1.04, 0.96, 1.0)
TEMPOS = (1.06, 0.94)
CLIP_S = LENGTHS_S[0]
NEAR_S = 0.5  # largest error of the time in the track


class Remembering(Fingerprinter):
    """Fingerprints the same audio once, and counts how many fingerprints were asked for."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asked = 0
        self._known: dict[str, list[np.ndarray]] = {}

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """See ``Fingerprinter.stream``."""
        held = list(chunks)
        key = hashlib.sha256(np.concatenate(held).tobytes()).hexdigest()
        if key not in self._known:
            self._known[key] = list(super().stream(held))
        for vectors in self._known[key]:
            self.asked += len(vectors)
            yield vectors

    def forget(self) -> None:
        """Free the memory."""
        self._known.clear()


@contextmanager
def demo_music(work: Path) -> Iterator[tuple[Library, list[Track], list[Path]]]:
    """See :func:`benchmarks.scan.without_strangers`, of the bundled library."""
    (work / "demo").mkdir(parents=True, exist_ok=True)
    music = work / "demo" / "music"  # where the library's paths lead
    music.unlink(missing_ok=True)
    music.symlink_to(common.ROOT / "assets/music")
    bundled = common.ROOT / "assets/library"
    with without_strangers(bundled, work / "demo" / "library", Library.tracks) as found:
        yield found
    shutil.rmtree(work / "demo")


def measure(
    library: Library, fingerprinter: Remembering, mix: Mix, speed: float, work: Path
) -> dict[str, Any]:
    """What is found in a mix that is played at a speed."""
    path = work / "mix.wav"
    mix.write(path)
    row: dict[str, Any] = {"speed": speed, "parts": len(mix.parts), "minutes": mix.length_s / 60}
    for name, speeds in (("plain", ()), ("other_speeds", OTHER_SPEEDS)):
        before = fingerprinter.asked
        plays = scan(library, fingerprinter, path, speeds=speeds).plays
        asked = fingerprinter.asked - before
        found = [any(right(play, part, speed) for play in plays) for part in mix.parts]
        errors = [
            abs(play.speed - speed) for play in plays for part in mix.parts
            if right(play, part, speed)
        ]  # fmt: skip
        hits = sum(any(right(play, part, speed) for part in mix.parts) for play in plays)
        row[name] = {
            "plays": len(plays),
            "wrong": len(plays) - hits,
            "recall": wilson(sum(found), len(found)),
            "median_speed_error": float(np.median(errors)) if errors else None,
            "fingerprints": asked,
        }
    named = {"plain": 0, "other_speeds": 0}
    for part in mix.parts:
        clip = work / "clip.wav"
        begin = round(part.start_s * audio.SAMPLE_RATE)
        Mix(library, mix.samples[begin:][: round(CLIP_S * audio.SAMPLE_RATE)]).write(clip)
        plain = identify_file(library, fingerprinter, clip)
        named["plain"] += _names(plain, part)
        answer = identify_at_other_speeds(library, fingerprinter, clip, plain)
        named["other_speeds"] += _names(answer, part)
    row["identified"] = {name: wilson(count, len(mix.parts)) for name, count in named.items()}
    return row


def _names(answer: Answer, part: Part) -> bool:
    """Whether an answer names the part, and the right time in its track."""
    best = answer.best
    if not answer.identified or best is None:
        return False
    return best.track.id == part.track.id and abs(best.start_s - part.track_start_s) <= NEAR_S


def with_tempo(samples: np.ndarray, tempo: float) -> np.ndarray:
    """Audio played at another tempo, with its pitch kept."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=audio.SAMPLE_RATE, format="flt", layout="mono")
    graph.link_nodes(source, graph.add("atempo", str(tempo)), graph.add("abuffersink")).configure()
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = audio.SAMPLE_RATE
    graph.push(frame)
    graph.push(None)
    pieces = []
    while True:
        try:
            pieces.append(graph.pull().to_ndarray()[0])
        except (av.EOFError, av.BlockingIOError):
            return np.concatenate(pieces)


def measure_tempo(
    library: Library, fingerprinter: Fingerprinter, mix: Mix, tempo: float
) -> dict[str, Any]:
    """How many parts are identified at another tempo."""
    named = 0
    for part in mix.parts:
        begin = round(part.start_s * audio.SAMPLE_RATE)
        music = mix.samples[begin:][: round(CLIP_S * audio.SAMPLE_RATE)]
        named += _names(identify_audio(library, fingerprinter, with_tempo(music, tempo)), part)
    return {"tempo": tempo, "parts": len(mix.parts), "identified": named}


def measure_unknown(
    library: Library, fingerprinter: Remembering, folder: Path, most: int | None
) -> dict[str, Any]:
    """Wrong plays in music that is not in the library."""
    paths = audio_files(folder, [])
    paths = paths[:: max(1, len(paths) // most)][:most] if most else paths
    row: dict[str, Any] = {"recordings": len(paths), "library": len(library), "hours": 0.0}
    row |= {"plain": 0, "other_speeds": 0}
    for path in paths:
        for name, speeds in (("plain", ()), ("other_speeds", OTHER_SPEEDS)):
            found = scan(library, fingerprinter, path, speeds=speeds)
            row[name] += len(found.plays)
        row["hours"] += found.duration_s / 3600
        fingerprinter.forget()
    return row


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", type=int, default=15, help="of the mix, unknown ones included")
    parser.add_argument("--speed", type=float, action="append", help="of the mix; can be repeated")
    parser.add_argument("--keep-pitch", action="store_true", help="change the tempo alone")
    parser.add_argument("--unknown", type=Path, help="folder of music that is in no library")
    parser.add_argument("--most", type=int, help="scan only so many files of it")
    parser.add_argument("--library", type=Path, help="for --unknown; default: the bundled one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs"), help="for mixes")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    fingerprinter = Remembering.load()
    assert isinstance(fingerprinter, Remembering)
    if args.unknown:
        place = args.library or common.ROOT / "assets/library"
        with Library.open(place, model_id=fingerprinter.model_id) as library:
            found = measure_unknown(library, fingerprinter, args.unknown, args.most)
        keep(fingerprinter, "unknown", found)
        return
    with demo_music(args.work) as (library, known, strangers):
        rng = np.random.default_rng(args.seed)
        mix = make_mix(library, known, strangers, KINDS["hard cuts"], rng, args.parts)
        if args.keep_pitch:
            rows = [measure_tempo(library, fingerprinter, mix, tempo) for tempo in TEMPOS]
            keep(fingerprinter, "tempos", rows)
            return
        for speed in args.speed or SPEEDS:
            row = measure(library, fingerprinter, faster(mix, speed), speed, args.work)
            fingerprinter.forget()
            keep(fingerprinter, "rows", [row])


def keep(fingerprinter: Fingerprinter, name: str, found: Any) -> None:
    """Write one kind of results, and keep the others."""
    print(found, flush=True)
    try:
        before = common.read("speed")
    except FileNotFoundError:
        before = {}
    before.pop("machine", None)
    if name == "rows":
        measured = {row["speed"] for row in found}
        others = [row for row in before.get("rows", []) if row["speed"] not in measured]
        found = sorted([*others, *found], key=lambda row: float(row["speed"]))
    common.write("speed", before | {"model_id": fingerprinter.model_id, name: found})


if __name__ == "__main__":
    main()
