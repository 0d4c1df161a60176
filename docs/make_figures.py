"""Draw docs/figures/pipeline.png: five noisy seconds of a demo track through the real code.

    python -m docs.make_figures [--model FILE]

Run it again after the network, the features or the search change.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from demo.explain import stages
from demo.explain.stages import Scene
from grafprint import audio
from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.degradation.effects import mix_at_snr, prepare_rir, reverberate
from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter
from grafprint.library import Library

ROOT = Path(__file__).parent.parent
MUSIC = ROOT / "assets" / "music"
TRACKS = (
    "0ad-along-the-nile", "freecol-founders", "naev-ambiphonic", "widelands-hypatias-theme",
    "zaz-contemplation",
)  # fmt: skip
QUERY, QUERY_START_S, QUERY_LENGTH_S, SNR_DB = "freecol-founders", 31.27, 5.0, 5.0
SEGMENT = 18  # of the query: its graph is drawn
INK = "#1f2937"


def noisy_query() -> np.ndarray:
    """A clip of a demo track in a simulated room with a crowd."""
    rng = np.random.default_rng(4)
    past_s = 2.0
    music = audio.load(
        MUSIC / f"{QUERY}.opus",
        start_s=QUERY_START_S - past_s,
        duration_s=QUERY_LENGTH_S + past_s,
    )
    room = prepare_rir(synthetic_rooms.room(0.4, rng))
    wet = reverberate(torch.from_numpy(music)[None], torch.from_numpy(room)[None])
    wet = wet[:, round(past_s * audio.SAMPLE_RATE) :]
    noise = torch.from_numpy(synthetic_noise.crowd_noise(wet.shape[1], rng))[None]
    return mix_at_snr(wet, noise, torch.tensor([SNR_DB]))[0].numpy()


def _graphs(axes: Axes, scene: Scene) -> None:
    stages.first_graph(axes, scene)
    stages.later_graph(axes, scene)


PANELS = (
    ("Sound: five noisy seconds", stages.waveform),
    ("Log-mel spectrogram, one segment", stages.spectrogram),
    ("Graph: 512 nodes (blue), later 32", _graphs),
    ("Fingerprints, one a segment", stages.fingerprints),
    ("Search: where each hit begins", stages.neighbours),
    ("Alignment: one start fits", stages.alignment),
)


def pipeline(fingerprinter: Fingerprinter, folder: Path) -> Figure:
    """The figure of docs/how-it-works.md; a small library is created in ``folder``."""
    with Library.create(folder / "library", fingerprinter) as library:
        for name in TRACKS:
            library.add(MUSIC / f"{name}.opus", fingerprinter)
        scene = Scene.of(fingerprinter, library, noisy_query(), SEGMENT)
        figure = Figure(figsize=(13, 7), layout="constrained")
        for number, (title, panel) in enumerate(PANELS):
            axes = figure.add_subplot(2, 3, number + 1)
            panel(axes, scene)
            axes.set_title(f"{number + 1}  {title}", fontweight="bold", color=INK)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "figures")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        figure = pipeline(Fingerprinter.load(arguments.model), Path(folder))
        figure.savefig(arguments.out / "pipeline.png", dpi=110, facecolor="white")


if __name__ == "__main__":
    main()
