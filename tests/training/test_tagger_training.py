"""Small training runs of taggers: they learn, and resume exactly."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from grafprint.errors import CheckpointError, ConfigError, DataError, DivergedError
from grafprint.models.taggers import ClipInput, load_tagger
from grafprint.training.tagging import train_tagger
from grafprint.training.tagging_config import (
    TaggingConfig,
    learning_rate_at,
    load_tagging_config,
    tagging_recipe,
)
from grafprint.training.tagging_data import find_labelled_clips
from grafprint.training.tagging_run import TaggingProgress, tagging_loss
from tests.training import labelled_clips
from tests.training.runs import reports_of
from tests.training.states import same, weights

TINY: dict[str, Any] = {
    "input_shape": [64, 64],  # two seconds
    "depths": [1, 1, 1, 1],
    "widths": [8, 16, 24, 32],
    "label_blocks": [0, 1, 1, 1],
    "k": 5,
    "last_k": 5,
    "label_k": 5,
    "hidden_width": 32,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 clips for training and 6 for validation, of noise, hum and music."""
    root = tmp_path_factory.mktemp("data")
    labelled_clips.table(root)
    return root


def config(**changes: Any) -> TaggingConfig:
    values: dict[str, Any] = {
        "variant": "small",
        "network_options": TINY,
        "epochs": 3,
        "batch": 6,
        "learning_rate": 3e-3,
        "warmup_steps": 3,
        "precision": "32-true",
        "validate_every_epochs": 1000,
        "save_every": 1000,
    }
    return TaggingConfig(**(values | changes))


def run(data: Path, out: Path, settings: TaggingConfig, **options: Any) -> list[TaggingProgress]:
    return reports_of(
        train_tagger, settings, data / "clips.csv", out, cache=data / "cache", **options
    )


def test_it_learns_and_ranks_held_out_clips(data: Path, tmp_path: Path):
    reports = run(data, tmp_path, config(epochs=24, validate_every_epochs=24))
    assert len(reports) == 24 * 3 and reports[-1].epoch == 24
    early, late = (np.mean([r.loss for r in part]) for part in (reports[:6], reports[-6:]))
    assert late < 0.7 * early
    scores = reports[-1].validation
    assert scores is not None and scores["mAP"] > 0.8  # chance: a third
    tagger = load_tagger(tmp_path / "tagger.safetensors")
    assert tagger.labels == labelled_clips.LABELS
    assert tagger.facts["steps_done"] == 72 and tagger.facts["clips"] == 18
    assert tagger.facts["validation"] == scores
    assert json.loads((tmp_path / "config.json").read_text())["batch"] == 6
    assert list(tmp_path.glob("tensorboard/events*"))
    # The file alone tags a clip that it has not been trained with.
    samples = torch.from_numpy(labelled_clips.clip("Hiss", 99, 2.0)).float()
    with torch.no_grad():
        logits = tagger.network(ClipInput(tagger.features)(samples[None]))
    assert tagger.labels[int(logits.argmax())] == "Hiss"


def test_a_stopped_run_resumes_to_the_same_weights(data: Path, tmp_path: Path):
    settings = config(network_options=TINY | {"drop_path": 0.3})
    run(data, tmp_path / "whole", settings)
    steps = iter(range(100))
    run(data, tmp_path / "parts", settings, stop=lambda: next(steps) == 5)
    assert not same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    reports = run(data, tmp_path / "parts", settings, resume=True)
    assert [r.step for r in reports] == [6, 7, 8, 9]
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_a_run_resumes_only_with_its_labels(data: Path, tmp_path: Path):
    steps = iter(range(100))
    run(data, tmp_path, config(), stop=lambda: next(steps) == 2)
    clips = find_labelled_clips(data / "clips.csv")
    other = type(clips)(clips.files, ("a", "b", "c"), clips.targets)
    with pytest.raises(CheckpointError, match="other labels"):
        train_tagger(config(), other, tmp_path, accelerator="cpu", devices=1, resume=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16-mixed"},
        {"label_nodes": False},
        {"balanced": False, "mixup": 0.0, "time_mask": 0.0, "clip_gradients": 0.0},
    ],
    ids=str,
)
def test_other_settings_learn_too(data: Path, tmp_path: Path, changes: dict[str, Any]):
    losses = [r.loss for r in run(data, tmp_path, config(epochs=6, **changes))]
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) and all(map(math.isfinite, losses))


def test_a_diverging_run_stops_before_it_is_saved(data: Path, tmp_path: Path):
    with pytest.raises(DivergedError, match=r"by step \d the .* smaller learning rate"):
        run(data, tmp_path, config(learning_rate=1e30))
    assert not (tmp_path / "tagger.safetensors").exists()


def test_an_existing_run_is_not_overwritten(data: Path, tmp_path: Path):
    run(data, tmp_path, config(epochs=1))
    with pytest.raises(FileExistsError, match="--resume"):
        run(data, tmp_path, config(epochs=1))
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        run(data, tmp_path / "empty", config(epochs=1), resume=True)


def test_fsd50k_trains_from_its_folder(tmp_path: Path):
    root = labelled_clips.fsd50k(tmp_path / "FSD50K")
    settings = config(epochs=1, batch=2, validate_every_epochs=1)
    train_tagger(settings, root, tmp_path / "run", accelerator="cpu", devices=1)
    tagger = load_tagger(tmp_path / "run" / "tagger.safetensors")
    assert tagger.labels == ("Hiss", "Hum", "Mains_hum", "Music")
    assert tagger.facts["validation"]["mAP"] > 0


def test_audioset_trains_from_its_folder_without_validation(tmp_path: Path):
    root = labelled_clips.audioset(tmp_path / "audioset")
    train_tagger(config(epochs=1, batch=2), root, tmp_path / "run", accelerator="cpu", devices=1)
    tagger = load_tagger(tmp_path / "run" / "tagger.safetensors")
    assert tagger.labels == ("Speech", "Male speech, man speaking", "Music")
    assert tagger.facts["validation"] is None


def test_clips_only_for_evaluation_are_refused(data: Path, tmp_path: Path):
    clips = find_labelled_clips(data / "clips.csv").of_split("valid")
    with pytest.raises(DataError, match="split 'train'"):
        train_tagger(config(), clips, tmp_path, accelerator="cpu", devices=1)


def test_the_loss_is_binary_cross_entropy_of_what_is_known():
    logits = torch.tensor([[0.3, -1.0, 2.0], [0.5, 0.1, -0.2]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0, math.nan], [0.25, math.nan, math.nan]])
    expected = 0.0
    for x, t in ((0.3, 1.0), (-1.0, 0.0), (0.5, 0.25)):
        p = 1 / (1 + math.exp(-x))
        expected -= (t * math.log(p) + (1 - t) * math.log(1 - p)) / 3
    loss = tagging_loss(logits, targets)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    loss.backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    assert not logits.grad[targets.isnan()].any()
    assert tagging_loss(logits, torch.full((2, 3), math.nan)).item() == 0


def test_the_schedule_warms_up_and_halves():
    settings = TaggingConfig(warmup_steps=1000, halve_after_epochs=10, halve_every_epochs=5)
    rates = {e: learning_rate_at(200 * e + 100, 200, settings) for e in (5, 9, 10, 14, 15, 20, 49)}
    full = 5e-4
    assert rates == {
        5: full, 9: full, 10: full / 2, 14: full / 2, 15: full / 4, 20: full / 8, 49: full / 256,
    }  # fmt: skip
    assert learning_rate_at(0, 200, settings) == pytest.approx(5e-7)
    assert learning_rate_at(499, 200, settings) == pytest.approx(2.5e-4)
    assert learning_rate_at(999, 200, settings) == full


def test_settings_are_read_from_a_file_and_errors_name_them(tmp_path: Path):
    path = tmp_path / "recipe.json"
    settings = config(seed=3)
    path.write_text(json.dumps(asdict(settings)))
    assert load_tagging_config(path) == settings
    assert settings.network(7).labels == 7 and settings.network(7).widths == (8, 16, 24, 32)
    for text, says in (
        ('{"epoch": 7}', "no setting epoch"),
        ('{"variant": "large"}', "unknown tagger 'large'"),
        ('{"network_options": {"width": 1}}', "no option width"),
        ('{"network_options": {"input_shape": [64, 320]}}', "pyr-s have 128 mel bins"),
        ('{"batch": 1}', "batch must be at least 2"),
        ('{"mixup": 1.5}', "mixup is a share"),
        ('{"precision": "8"}', "one of bf16-mixed"),
        ('{"epochs": "many"}', "not the settings"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=says):
            load_tagging_config(path)


def test_the_papers_recipes_are_there(tmp_path: Path):
    fsd50k, audioset = tagging_recipe("fsd50k"), tagging_recipe("audioset")
    assert (fsd50k.epochs, fsd50k.batch, fsd50k.balanced) == (50, 24, True)
    assert fsd50k.network(200).input_shape == (128, 1024)
    assert (audioset.epochs, audioset.halve_after_epochs, audioset.balanced) == (60, 35, False)
    assert audioset.network(527).input_shape == (128, 1056)
    (tmp_path / "own.json").write_text('{"epochs": 7}')
    assert tagging_recipe(str(tmp_path / "own.json")).epochs == 7
