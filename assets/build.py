"""Rebuild the derived files in assets/: the demo libraries, the map and the degraded examples.

    python -m assets.build          # everything
    python -m assets.build map      # only the map of the present library
    python -m assets.build samples  # only the library for sample identification

Run it after the network or the music changes. The sources are assets/music, the trained weights,
synthetic noises and rooms, and one synthetic tune.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch

from grafprint import audio, bundled
from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.degradation.effects import mix_at_snr, prepare_rir, reverberate
from grafprint.explore import library_map
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.library.folder import BACKUP

ASSETS = Path(__file__).parent
RATE = audio.SAMPLE_RATE


@dataclass(frozen=True)
class Example:
    """A degraded clip of a demo track, or of the synthetic tune if ``track`` is None."""

    file: str
    label: str
    track: str | None
    start_s: float
    noise: str
    snr_db: float
    rt60_s: float | None = None
    seconds: float = 7.0


CAFE, HALL = "freecol-musicbox.opus", "widelands-hypatias-theme.opus"
ENGINE, PARTY = "zaz-randomness-decides.opus", "redeclipse-galactic-temple.opus"
EXAMPLES = (
    Example("cafe.opus", "In a busy café", CAFE, 31.3, "crowd", 3.0, 0.4),
    Example("hall.opus", "Across a large room", HALL, 22.7, "pink", 15.0, 0.8),
    Example("engine.opus", "Beside an engine", ENGINE, 40.9, "brown", 0.0),
    Example("party.opus", "At a loud party", PARTY, 12.4, "crowd", 0.0, 0.5),
    Example("unknown.opus", "A tune the library does not know", None, 0.0, "pink", 20.0, 0.3),
)


def build_library(folder: Path, fingerprinter: Fingerprinter) -> None:
    """Index assets/music into a new library."""
    shutil.rmtree(folder, ignore_errors=True)
    with Library.create(folder, fingerprinter) as library:
        report = library.add_folder(ASSETS / "music", fingerprinter)
    assert not report.failed, report.failed
    (folder / BACKUP).unlink()  # Git keeps the earlier state


def build_map() -> None:
    """Write assets/library/map.npz for the present library."""
    with Library.open(ASSETS / "library") as library:
        library_map.save(library, library_map.make(library, lambda share, stage: None))


def synthesise_tune(seconds: float) -> np.ndarray:
    """A plucked tune on a minor scale, of decaying harmonics: it is in no library."""
    rng = np.random.default_rng(20)
    scale = 220 * 2 ** (np.array([0, 2, 3, 5, 7, 8, 10, 12]) / 12)
    tune = np.zeros(round(seconds * RATE) + RATE)
    time = np.arange(RATE) / RATE
    for beat in np.arange(0, seconds, 0.23):
        pitch = rng.choice(scale) * rng.choice([0.5, 1.0, 2.0])
        partials = (np.sin(2 * np.pi * h * pitch * time) / h for h in range(1, 7))
        begin = round(beat * RATE)
        tune[begin : begin + RATE] += sum(partials) * np.exp(-6 * time) * rng.uniform(0.4, 1)
    return (tune[: round(seconds * RATE)] / np.abs(tune).max()).astype(np.float32)


def degrade(example: Example, seed: int) -> np.ndarray:
    """Cut and degrade the clip of an example: samples ``[n]`` at 16 kHz, peak 0.9."""
    rng = np.random.default_rng(seed)
    past_s = min(2.0, example.start_s)
    if example.track is None:
        music = synthesise_tune(example.seconds)
    else:
        music = audio.load(
            ASSETS / "music" / example.track,
            start_s=example.start_s - past_s,
            duration_s=past_s + example.seconds,
        )
    clip = torch.from_numpy(music)[None]
    if example.rt60_s is not None:
        response = prepare_rir(synthetic_rooms.room(example.rt60_s, rng))
        clip = reverberate(clip, torch.from_numpy(response)[None])
    clip = clip[:, round(past_s * RATE) :]
    samples = clip.shape[1]
    if example.noise == "crowd":
        noise = synthetic_noise.crowd_noise(samples, rng)
    else:
        noise = synthetic_noise.coloured_noise(example.noise, samples, rng)
    noisy = mix_at_snr(clip, torch.from_numpy(noise)[None], torch.tensor([example.snr_db]))[0]
    return (0.9 * noisy / noisy.abs().max()).numpy()


def write_opus(path: Path, samples: np.ndarray, tags: dict[str, str]) -> None:
    """Encode mono samples at 16 kHz as Opus, 32 kbit/s."""
    with av.open(str(path), "w") as container:
        container.metadata.update(tags)
        stream = container.add_stream("libopus", RATE, layout="mono", bit_rate=32_000)
        frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
        frame.sample_rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])


def build_examples() -> None:
    """Write assets/examples: the clips, their labels and their sources."""
    folder = ASSETS / "examples"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with (ASSETS / "music" / "attribution.tsv").open(newline="", encoding="utf-8") as lines:
        music = {
            r["file"]: r for r in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        }
    columns = ["file", "title", "artist", "licence", "licence_url", "source", "changes"]
    rows, labels = [], []
    for seed, example in enumerate(EXAMPLES):
        if example.track is None:
            row = dict.fromkeys(columns, "") | {
                "title": "Unknown tune",
                "artist": "GraFPrint contributors",
                "licence": "CC0-1.0",
                "licence_url": "https://creativecommons.org/publicdomain/zero/1.0/",
                "changes": "made by assets/build.py",
            }
        else:
            row = {c: music[example.track][c] for c in columns}
            row["changes"] = f"{example.seconds:g} s of it, degraded by assets/build.py"
        row["file"] = example.file
        tags = {
            "title": f"{row['title']} (degraded)",
            "artist": row["artist"],
            "license": row["licence"],
        }
        write_opus(folder / example.file, degrade(example, seed), tags)
        rows.append(row)
        room = "" if example.rt60_s is None else f", RT60 {example.rt60_s:g} s"
        label = f"{example.label} ({example.snr_db:g} dB SNR{room})"
        labels.append({"file": example.file, "label": label})
    with (folder / "attribution.tsv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, delimiter="\t", quoting=csv.QUOTE_NONE)
        writer.writeheader()
        writer.writerows(rows)
    (folder / "examples.json").write_text(json.dumps(labels, indent=1, ensure_ascii=False) + "\n")


def main(only: str = "") -> None:
    """Rebuild everything, or only the ``map`` or the library for ``samples``."""
    if only not in ("", "map", "samples"):
        sys.exit(f"only the map and samples can be built alone, not {only}")
    if not only:
        build_examples()
        build_library(ASSETS / "library", Fingerprinter.load())
    if only != "map":
        encoder = Fingerprinter.load(bundled.asset(bundled.SAMPLES_ENCODER))
        build_library(bundled.asset(bundled.SAMPLES_LIBRARY), encoder)
    if only != "samples":
        build_map()


if __name__ == "__main__":
    main(*sys.argv[1:2])
