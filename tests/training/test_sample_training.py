"""Training for sample identification: it learns, and resumes exactly."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from assets.stems.songs import Song, write_song, write_table
from grafprint.errors import ConfigError, DataError
from grafprint.models.checkpoint import load_encoder
from grafprint.models.encoders import features_of
from grafprint.training import Progress, train
from grafprint.training.config import StemsConfig, TrainConfig, load_config
from grafprint.training.sample_pairs import SamplePairsConfig
from grafprint.training.sample_validation import SampleValidation
from grafprint.training.stem_bank import StemBank
from tests.cli.commands import grafprint
from tests.libraries import excerpt, write_wav
from tests.training.runs import reports_of
from tests.training.states import same, weights

TINY = {"widths": (16, 16, 32, 32), "depths": (1, 1, 1, 1), "pooled_width": 64, "hidden_width": 64}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def write_data(folder: Path) -> Path:
    """Songs of three stems for training and validation, and recordings with a manifest.

    Of both tables there is one without what is held out, for runs that need no validation.
    """
    for number in range(6):
        stems = [(str(n), excerpt((number + n) % 20, 10 + 15 * n, 9)) for n in range(3)]
        mix = np.sum([sound for _, sound in stems], axis=0)
        split = "valid" if number < 2 else "train"
        write_song(folder / "stems", Song(f"song {number}", "package", split, mix, stems))
    write_table(folder / "stems")
    rows = ["path,split"]
    for number in range(6):
        file = write_wav(folder / f"{number}.wav", excerpt(10 + number, 20, 9))
        rows.append(f"{file.name},{'valid' if number < 2 else 'train'}")
    (folder / "mixes.csv").write_text("\n".join(rows) + "\n")
    for table in (folder / "stems" / "stems.csv", folder / "mixes.csv"):
        lines = table.read_text().splitlines(keepends=True)
        held_out = [line for line in lines if "valid" in line]
        table.with_name(f"train-{table.name}").write_text(
            "".join(line for line in lines if line not in held_out)
        )
    return folder


def config(**changes: object) -> TrainConfig:
    values = {
        "encoder": "samples", "encoder_options": TINY, "steps": 6, "batch": 8,
        "learning_rate": 2e-3, "warmup_steps": 2, "precision": "32-true", "temperature": 0.1,
        "validate_every": 1000, "save_every": 1000,
    }  # fmt: skip
    return TrainConfig(**(values | changes))  # type: ignore[arg-type]


def run(
    data: Path, out: Path, settings: TrainConfig, tables: str = "", **options: object
) -> list[Progress]:
    return reports_of(
        train,
        settings,
        data / "stems" / f"{tables}stems.csv",
        out,
        mixes=data / f"{tables}mixes.csv",
        cache=data / "cache",
        **options,
    )


def test_it_learns_and_measures_held_out_songs(data: Path, tmp_path: Path):
    easy = SamplePairsConfig(
        pitch_share=0, stretch_share=0, varispeed_share=0, filter_share=0, level_db=3
    )
    settings = config(steps=30, samples=easy, average=0.5)
    reports = run(data, tmp_path, settings)
    early, late = (sum(r.loss for r in part) / 8 for part in (reports[:8], reports[-8:]))
    assert late < 0.9 * early
    scores = reports[-1].validation
    assert scores is not None
    assert set(scores) == {
        "hit", "mAP", "hit_plain", "hit_pitch", "hit_stretch", "hit_varispeed", "hit_loop"
    }  # fmt: skip
    kinds = [v for k, v in scores.items() if k.startswith("hit_")]
    assert scores["hit"] == pytest.approx(sum(kinds) / 5)
    assert scores["hit"] <= scores["mAP"] <= 1
    _, features, facts = load_encoder(tmp_path / "encoder.safetensors")
    assert features == features_of("samples")
    assert facts["steps_done"] == 30
    assert facts["validation"] == scores
    assert facts["tracks"] == 8
    assert facts["config"]["stems"]["mix_share"] == 0.5
    assert list(tmp_path.glob("tensorboard/events*"))
    # As lists: JSON has no tuples.
    assert json.loads((tmp_path / "config.json").read_text())["samples"]["level_db"] == 3
    assert load_config(tmp_path / "config.json").samples == easy


def test_a_stopped_run_resumes_to_the_same_weights(data: Path, tmp_path: Path):
    settings = config(segments_per_track=2, encoder_options=TINY | {"drop_path": 0.3})
    run(data, tmp_path / "whole", settings, "train-")
    steps = iter(range(100))
    run(data, tmp_path / "parts", settings, "train-", stop=lambda: next(steps) == 4)
    assert not same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    reports = run(data, tmp_path / "parts", settings, "train-", resume=True)
    assert [r.step for r in reports] == [5, 6]
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_the_command_trains_the_encoder_for_samples_and_resumes(data: Path, tmp_path: Path):
    out, stems = tmp_path / "run", data / "stems"
    options = ["--out", out, "--cache", data / "cache", "--accelerator", "cpu"]
    small = ["--batch", 2, "--options", json.dumps({k: list(v) if isinstance(v, tuple) else v for k, v in TINY.items()})]  # fmt: skip  # noqa: E501
    first = [stems / "train-stems.csv", "--mixes", data / "train-mixes.csv"]
    grafprint("train", *first, *options, *small, "--steps", 1)
    assert load_config(out / "config.json").encoder == "samples"
    whole = [stems / "stems.csv", "--mixes", data / "mixes.csv"]
    grafprint("train", *whole, *options, "--resume", "--steps", 2)
    assert load_encoder(out / "encoder.safetensors")[2]["steps_done"] == 2


def test_what_does_not_go_with_stems_is_refused(data: Path, tmp_path: Path):
    out, table = tmp_path / "run", data / "stems" / "stems.csv"
    with pytest.raises(ConfigError, match="without noise and rooms"):
        train(config(), table, out, noise=data)
    for settings in (config(memory=8), config(loss="triplet")):
        with pytest.raises(ConfigError, match="the loss is nt-xent, and there is no memory"):
            train(settings, table, out)
    with pytest.raises(ConfigError, match="with a table of stems only"):
        train(config(), data / "mixes.csv", out, mixes=data / "mixes.csv")
    with pytest.raises(DataError, match="needs 40 songs"):
        run(data, out, config(batch=80))
    lines = table.read_text().splitlines(keepends=True)
    held_out = table.with_name("valid.csv")
    held_out.write_text("".join(line for line in lines if ",train," not in line))
    with pytest.raises(DataError, match="no songs of the split train"):
        train(config(), held_out, out, cache=data / "cache", accelerator="cpu", devices=1)


class Loudness(nn.Module):
    """An encoder that hears only how much sounds in each band."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Fingerprints ``[n, 64]`` of ``[n, 3, 64, 128]``."""
        bands = inputs[:, 0].mean(dim=2)
        return nn.functional.normalize(bands - bands.mean(dim=1, keepdim=True), dim=1)


def test_validation_does_not_count_the_song_that_is_laid_over(data: Path, tmp_path: Path):
    bank = StemBank(data / "stems" / "stems.csv", "valid", tmp_path)  # two songs
    task = SampleValidation(bank, features_of("samples"), torch.device("cpu"), queries=12)
    scores = task.scores(Loudness())  # type: ignore[arg-type]
    # Of two songs one is laid over, so that the other is always found.
    assert scores == dict.fromkeys(scores, 1.0)


def test_settings_of_stems_are_read_and_wrong_ones_named(tmp_path: Path):
    path = tmp_path / "recipe.json"
    path.write_text('{"stems": {"mix_share": 0.3}, "samples": {"speed": [0.8, 1.2]}}')
    settings = load_config(path)
    assert settings.stems == StemsConfig(mix_share=0.3)
    assert settings.samples == SamplePairsConfig(speed=(0.8, 1.2))
    assert math.isclose(settings.stems.stem_share, 0.5)
    path.write_text('{"samples": {"pitch": 3}}')
    with pytest.raises(ValueError, match="no setting pitch"):
        load_config(path)
