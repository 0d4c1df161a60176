"""Distillation: what the fast network learns, resuming a run, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from grafprint import audio, matching
from grafprint.errors import CheckpointError, ConfigError
from grafprint.fingerprint import FAST_MODEL, Fingerprinter
from grafprint.library import Library, LibraryError
from grafprint.matching.live import LiveQuery
from grafprint.models.checkpoint import load_encoder
from grafprint.models.features import FeatureConfig
from grafprint.training.config import DistillationConfig
from grafprint.training.distillation import (
    DistillationData,
    DistillationProgress,
    cosine_similarity,
    distill,
)
from tests.libraries import write_music
from tests.models.test_sliding import SMALL
from tests.paths import ASSETS

CONFIG = DistillationConfig(
    steps=40, batch=4, windows=24, hours=0.06, save_every=20, encoder_options=SMALL
)


@pytest.fixture(scope="module")
def library():
    with Library.open(ASSETS / "library") as opened:
        yield opened


@pytest.fixture(scope="module")
def teacher() -> Fingerprinter:
    return Fingerprinter.load(precision="fp32")


@pytest.fixture(scope="module")
def run(library, teacher, tmp_path_factory) -> tuple[Path, list[DistillationProgress]]:
    """A finished run, and what it reported."""
    out = tmp_path_factory.mktemp("run")
    seen: list[DistillationProgress] = []
    path = distill(library, teacher.features, CONFIG, out, on_progress=seen.append)
    assert path == out / "encoder.safetensors"
    return path, seen


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_encoder(path)[0].state_dict()


def test_it_comes_closer_to_its_teacher(run):
    path, seen = run
    assert [p.step for p in seen] == list(range(1, 41))
    assert seen[-1].cosine_similarity > seen[2].cosine_similarity + 0.2
    assert seen[18].held_out is None and seen[19].held_out is not None
    facts = load_encoder(path)[2]
    assert facts["steps_done"] == 40 and 0.05 < facts["hours"] < 0.1
    assert facts["held_out_likeness"] == seen[-1].held_out


def test_a_stopped_run_resumes_to_the_same_weights(library, teacher, run, tmp_path):
    steps = iter(range(100))
    state = distill(library, teacher.features, CONFIG, tmp_path, stop=lambda: next(steps) == 13)
    assert state == tmp_path / "state.safetensors"
    path = distill(library, teacher.features, CONFIG, tmp_path, resume=True)
    whole = weights(run[0])
    for name, values in weights(path).items():
        torch.testing.assert_close(values, whole[name], rtol=2e-3, atol=1e-5)


def test_drawn_targets_are_the_librarys_fingerprints(library, teacher):
    """The teacher, given a window from the middle of a chunk, computes the target for it."""
    data = DistillationData(library, teacher.features, CONFIG)
    inputs, targets = data.draw(0, 3, 2)
    again = data.draw(0, 3, 2)
    assert torch.equal(inputs, again[0]) and torch.equal(targets, again[1])
    assert not torch.equal(inputs, data.draw(0, 4, 2)[0])
    assert targets.shape == (2, 24, 128) and inputs.shape == (2, 3, 64, 32 + 3 * 43)
    first, last = targets[:, 0], targets[:, -1]
    for chunk, begin, end in zip(inputs, first, last, strict=True):
        for place, own in ((10, begin), (33, end)):
            window = chunk[:, :, 3 * place : 3 * place + 32].clone()
            window[0] = torch.linspace(0, 1, 32)
            window[2] = (window[2] - window[2].max() + 1).clamp_min(0)
            assert (teacher.encode(window[None])[0] * own).sum() > 0.98


def test_a_library_takes_its_fingerprints_but_not_its_queries(run, library, teacher, tmp_path):
    fast = Fingerprinter.load(run[0])
    assert fast.model_id == teacher.model_id == library.model_id
    music = sorted((ASSETS / "music").glob("*.opus"))[0]
    with Library.create(tmp_path / "new", fast) as new:
        assert new.add(music, fast).status == "added"
        assert new.add(music, teacher).status == "unchanged"
        clip = audio.load(music, start_s=3, duration_s=4)
        for ask in (
            lambda: matching.identify_audio(new, fast, clip),
            lambda: matching.identify_file(new, fast, music),
            lambda: LiveQuery(new, fast),
        ):
            with pytest.raises(LibraryError, match=f"with that one .{teacher.model_id}"):
                ask()
        assert matching.identify_audio(new, teacher, clip).best is not None
    other = Fingerprinter.untrained()
    with Library.create(tmp_path / "other", other) as theirs, pytest.raises(LibraryError):
        theirs.add(music, fast)


def test_a_library_without_audio_files_is_refused(library, teacher, tmp_path):
    with Library.create(tmp_path / "empty", teacher) as empty:
        with pytest.raises(LibraryError, match="at least two tracks of 4 s are needed"):
            distill(empty, teacher.features, CONFIG, tmp_path / "run")
        assert not (tmp_path / "run" / "state.safetensors").exists()


def test_runs_are_not_overwritten_nor_confused(library, teacher, run, tmp_path):
    with pytest.raises(FileExistsError, match="--resume"):
        distill(library, teacher.features, CONFIG, run[0].parent)
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        distill(library, teacher.features, CONFIG, tmp_path, resume=True)
    (tmp_path / "state.safetensors").write_bytes(run[0].read_bytes())
    with pytest.raises(CheckpointError, match="not the state of a distillation"):
        distill(library, teacher.features, CONFIG, tmp_path, resume=True)


def test_the_command_resumes_a_run(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from grafprint.cli import app
    from grafprint.training import config

    monkeypatch.setattr(
        config, "DistillationConfig", lambda **given: replace(CONFIG, steps=2, **given)
    )
    invoke = CliRunner().invoke
    arguments = [
        "distill",
        str(ASSETS / "library"),
        "--out",
        str(tmp_path / "run"),
        "--hours",
        "0.05",
    ]
    done = invoke(app, arguments)
    assert done.exit_code == 0 and "distilled:" in done.output, done.output
    assert json.loads((tmp_path / "run" / "config.json").read_text())["hours"] == 0.05
    monkeypatch.undo()
    done = invoke(app, [*arguments, "--resume", "--steps", "3"])
    assert done.exit_code == 0, done.output
    assert load_encoder(tmp_path / "run" / "encoder.safetensors")[2]["steps_done"] == 3
    assert isinstance(invoke(app, arguments).exception, FileExistsError)
    missing = invoke(app, [*arguments[:-4], "--out", str(tmp_path / "none"), "--resume"])
    assert isinstance(missing.exception, FileNotFoundError)


def test_silence_does_not_count():
    targets = torch.nn.functional.normalize(torch.randn(4, 128), dim=-1)
    targets[2] = 0
    assert float(cosine_similarity(targets, targets)) == pytest.approx(1)
    assert np.isfinite(float(cosine_similarity(-targets, targets)))
    assert float(cosine_similarity(targets, torch.zeros(4, 128))) == 0


def test_the_bundled_fast_network_reproduces_the_bundled_one(library, teacher, tmp_path):
    from typer.testing import CliRunner

    from grafprint.cli import app

    fast = Fingerprinter.load(FAST_MODEL)
    assert fast.model_id == teacher.model_id
    means, beginnings = [], []
    for track in library.tracks()[:4]:
        path = library.audio_path(track)
        assert path is not None
        vectors = fast(audio.load(path, duration_s=20))
        own = library.vectors(np.arange(track.first, track.first + len(vectors)))
        products = (vectors * own)[:-10].sum(axis=1)[own[:-10].any(axis=1)]
        means.append(products.mean())
        beginnings.append(products[:3].mean())
    assert min(means) > 0.85 and np.mean(means) > 0.9
    assert min(beginnings) > 0.85

    invoke, place = CliRunner().invoke, str(tmp_path / "new")
    music = sorted((ASSETS / "music").glob("*.opus"))[1]
    done = invoke(app, ["index", str(music), "-l", place, "--fast"])
    assert done.exit_code == 0 and "1 added" in done.output, done.output
    done = invoke(app, ["index", str(music), "-l", place])
    assert done.exit_code == 0 and "1 unchanged" in done.output, done.output
    clip = audio.load(music, start_s=6.3, duration_s=5)
    with Library.open(place) as new:
        answer = matching.identify_audio(new, teacher, clip)
    assert answer.identified and answer.best is not None
    assert answer.best.start_s == pytest.approx(6.3, abs=0.05)
    refused = invoke(
        app, ["index", str(music), "-l", place, "--fast", "--model", "mine.safetensors"]
    )
    assert "give one of them" in str(refused.exception)


class Flat(torch.nn.Module):
    """A network of one's own, with features and dimensions unlike the default ones."""

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.feature_config = FeatureConfig(n_mels=n_mels, window_frames=30, hop_frames=4)
        self.layer = torch.nn.Linear(30 * n_mels, 32)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        return self.layer(mels.flatten(1))


@pytest.mark.parametrize("n_mels", [96, 48])
def test_a_network_of_ones_own_is_distilled(tmp_path, n_mels):
    teacher = Fingerprinter(Flat(n_mels))
    with Library.create(tmp_path / "library", teacher) as library:
        for number, file in enumerate(write_music(tmp_path / "music", 2, 8.0)):
            assert library.add(file, teacher).track.id == number + 1
        config = replace(CONFIG, steps=2)
        if n_mels % 32:
            with pytest.raises(ConfigError, match="48 mel bins are no multiple of 32"):
                distill(library, teacher.features, config, tmp_path)
            return
        fast = Fingerprinter.load(distill(library, teacher.features, config, tmp_path))
        assert fast.model_id == teacher.model_id and fast.dim == 32
        assert fast.features == teacher.features
        clip = audio.load(tmp_path / "music/track 0.wav")
        assert fast(clip).shape == teacher(clip).shape
