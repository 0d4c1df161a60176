"""Thousands of damaged inputs give a result or a clear error, never a crash or a hang."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from grafprint.library import Library
from grafprint.models.checkpoint import save_encoder
from grafprint.models.encoders import build
from grafprint.models.features import FeatureConfig
from tests import audio_files
from tests.libraries import Network, fill, walk
from tests.paths import ROOT
from tests.training.test_training import TINY

# For a longer run, GRAFPRINT_FUZZ=20 tries twenty times as many, with other seeds.
TIMES = int(os.environ.get("GRAFPRINT_FUZZ", "1"))
SEED = 20250406

FORMATS = {
    "wav": "pcm_s16le", "w64": "pcm_s16le", "aiff": "pcm_s16be", "au": "pcm_s16be",
    "caf": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "ogg": "vorbis", "opus": "libopus",
    "m4a": "aac", "aac": "aac", "mka": "flac", "wma": "wmav2", "ac3": "ac3", "tta": "tta",
}  # fmt: skip


def fuzz(tmp_path: Path, kind: str, files: list[Path], numbers: range) -> None:
    """Try these kinds of damage to each file; a failure names the file and the number.

    Of audio, networks and libraries the first 600 cut the file off, so numbers go beyond. Their
    step has no factor in common with 6, since six kinds of damage take turns.
    """
    for time in range(TIMES):
        job = tmp_path / "job.json"
        names = [str(file) for file in files]
        job.write_text(
            json.dumps(
                {"kind": kind, "files": names, "numbers": list(numbers), "seed": SEED + time}
            )
        )
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzzing", str(job)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=3600,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_DISABLE_JIT": "1"},
        )
        lines = done.stdout.splitlines()
        assert done.returncode == 0 and lines[-1] == "done", (
            f"exit {done.returncode} at {lines[-1:]} of seed {SEED + time}:\n{done.stderr[-2000:]}"
        )
        assert len(lines) == len(numbers) * len(files) + 1


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A short file in each format."""
    folder = tmp_path_factory.mktemp("sounds")
    music = audio_files.music(0.2, 48_000, 2)
    return [
        audio_files.write(folder / f"clip.{ending}", music, 48_000, codec)
        for ending, codec in FORMATS.items()
    ]


def test_damaged_audio(tmp_path: Path, sounds: list[Path]):
    fuzz(tmp_path, "audio", sounds, range(0, 1000, 5))


def test_damaged_networks(tmp_path: Path):
    path = tmp_path / "tiny.safetensors"
    save_encoder(path, build("grafprint", TINY), FeatureConfig(), {})
    fuzz(tmp_path, "network", [path], range(0, 1000, 5))


@pytest.mark.parametrize("factory", ["Flat", "IVF4,SQ8"])
def test_damaged_libraries(tmp_path: Path, factory: str):
    rng = np.random.default_rng(0)
    with Library.create(tmp_path / "library", Network(), factory=factory) as library:
        fill(library, [walk(rng, 40) for _ in range(3)])
    files = [path for path in (tmp_path / "library").iterdir() if path.stat().st_size]
    fuzz(tmp_path, "library", sorted(files), range(0, 1000, 19))


def test_arrays_of_all_kinds(tmp_path: Path):
    fuzz(tmp_path, "array", [tmp_path], range(300))
