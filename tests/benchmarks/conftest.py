"""Small look-alikes of FMA, MUSAN and AIR, and small networks."""

from pathlib import Path

import pytest

from benchmarks.shared import common, systems
from grafprint import audio
from tests import audio_files
from tests.audio.test_datasets import air, musan
from tests.benchmarks.commands import LAST
from tests.models.test_baselines import SMALL
from tests.training.test_training import TINY


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FMA with 12 tracks for training, 2 for validation and 4 for tests; MUSAN; AIR."""
    root = tmp_path_factory.mktemp("data")
    rows = [",album,set,set", ",title,split,subset", "track_id,,,"]
    for number, path in enumerate(audio_files.MUSIC[:18]):
        split = "training" if number < LAST else "validation" if number < LAST + 2 else "test"
        music = audio.load(path, start_s=3, duration_s=16.0)
        subsets = ["fma_medium"] if split == "test" else ["fma_small", "fma_medium"]
        for subset in subsets:
            place = root / "fma" / subset / "000" / f"{number:06d}.mp3"
            place.parent.mkdir(parents=True, exist_ok=True)
            audio_files.write(place, music, 16_000, "libmp3lame")
        rows.append(f"{number},x,{split},{subsets[0].removeprefix('fma_')}")
    (root / "fma" / "fma_metadata").mkdir()
    (root / "fma" / "fma_metadata" / "tracks.csv").write_text("\n".join(rows) + "\n")
    musan(root / "musan", 30)
    air(root / "air")
    return root


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Small networks, and a temporary folder for results."""
    options = {"grafprint": TINY} | {name: o | {"dim": 128} for name, o in SMALL.items()}
    options["nafp"]["widths"] = (16, 16, 32, 32, 32, 64, 64, 128)
    options["hash-transformer"]["buckets"] = systems.BUCKETS
    for name, run in systems.RUNS.items():
        monkeypatch.setitem(systems.RUNS, name, run | {"encoder_options": options[name]})
    monkeypatch.setitem(systems.COMMON, "batch", 8)
    monkeypatch.setitem(systems.COMMON, "precision", "32-true")
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(common, "FIGURES", tmp_path)
    return tmp_path
