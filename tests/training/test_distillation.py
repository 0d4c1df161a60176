"""The network that imitates another one: what it learns, resuming, and what it is refused for."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from grafprint import audio, matching
from grafprint.errors import CheckpointError
from grafprint.fingerprint import FAST_MODEL, Fingerprinter
from grafprint.library import Library, LibraryError
from grafprint.matching.live import LiveQuery
from grafprint.models.checkpoint import load_encoder
from grafprint.training.distillation import (
    DistillationData,
    DistillationProgress,
    ImitationConfig,
    imitate,
)
from tests.models.test_sliding import SMALL
from tests.paths import ASSETS

CONFIG = ImitationConfig(
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
def learned(library, teacher, tmp_path_factory) -> tuple[Path, list[DistillationProgress]]:
    """A finished run, and what it reported."""
    out = tmp_path_factory.mktemp("run")
    seen: list[DistillationProgress] = []
    path = imitate(library, teacher.features, CONFIG, out, on_progress=seen.append)
    assert path == out / "encoder.safetensors"
    return path, seen


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_encoder(path)[0].state_dict()


def test_it_comes_closer_to_what_it_imitates(learned):
    path, seen = learned
    assert [p.step for p in seen] == list(range(1, 41))
    assert seen[-1].cosine_similarity > seen[2].cosine_similarity + 0.2
    assert seen[18].held_out is None and seen[19].held_out is not None
    facts = load_encoder(path)[2]
    assert facts["steps_done"] == 40 and 0.05 < facts["hours"] < 0.1
    assert facts["held_out_likeness"] == seen[-1].held_out


def test_a_stopped_run_goes_on_as_if_it_had_not_been(library, teacher, learned, tmp_path):
    steps = iter(range(100))
    state = imitate(library, teacher.features, CONFIG, tmp_path, stop=lambda: next(steps) == 13)
    assert state == tmp_path / "state.safetensors"
    path = imitate(library, teacher.features, CONFIG, tmp_path, resume=True)
    whole = weights(learned[0])
    for name, values in weights(path).items():
        torch.testing.assert_close(values, whole[name], rtol=2e-3, atol=1e-5)


def test_what_it_draws_are_the_librarys_own_fingerprints(library, teacher):
    """The network itself, reading the middle of a stretch, makes what the lesson wants."""
    data = DistillationData(library, teacher.features, CONFIG)
    inputs, wanted = data.draw(0, 3, 2)
    again = data.draw(0, 3, 2)
    assert torch.equal(inputs, again[0]) and torch.equal(wanted, again[1])
    assert not torch.equal(inputs, data.draw(0, 4, 2)[0])
    assert wanted.shape == (2, 24, 128) and inputs.shape == (2, 3, 64, 32 + 3 * 43)
    first, last = wanted[:, 0], wanted[:, -1]
    for stretch, begin, end in zip(inputs, first, last, strict=True):
        for place, own in ((10, begin), (33, end)):
            window = stretch[:, :, 3 * place : 3 * place + 32].clone()
            window[0] = torch.linspace(0, 1, 32)
            window[2] = (window[2] - window[2].max() + 1).clamp_min(0)
            assert (teacher.encode(window[None])[0] * own).sum() > 0.98


def test_a_library_takes_its_fingerprints_but_no_queries(learned, library, teacher, tmp_path):
    fast = Fingerprinter.load(learned[0])
    assert fast.model_id == teacher.model_id == library.model_id
    music = sorted((ASSETS / "music").glob("*.opus"))[0]
    with Library.create(tmp_path / "made", fast) as made:
        assert made.add(music, fast).status == "added"
        assert made.add(music, teacher).status == "unchanged"
        clip = audio.load(music, start_s=3, duration_s=4)
        for ask in (
            lambda: matching.identify_audio(made, fast, clip),
            lambda: matching.identify_file(made, fast, music),
            lambda: LiveQuery(made, fast),
        ):
            with pytest.raises(LibraryError, match=f"with that one .{teacher.model_id}"):
                ask()
        assert matching.identify_audio(made, teacher, clip).best is not None
    other = Fingerprinter.untrained()
    with Library.create(tmp_path / "other", other) as made, pytest.raises(LibraryError):
        made.add(music, fast)


def test_music_that_is_not_at_hand_is_no_lesson(library, teacher, tmp_path):
    with Library.create(tmp_path / "empty", teacher) as empty:
        with pytest.raises(LibraryError, match="at least two tracks of 4 s are needed"):
            imitate(empty, teacher.features, CONFIG, tmp_path / "run")
        assert not (tmp_path / "run" / "state.safetensors").exists()


def test_runs_are_neither_overwritten_nor_mixed_up(library, teacher, learned, tmp_path):
    with pytest.raises(FileExistsError, match="--resume"):
        imitate(library, teacher.features, CONFIG, learned[0].parent)
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        imitate(library, teacher.features, CONFIG, tmp_path, resume=True)
    (tmp_path / "state.safetensors").write_bytes(learned[0].read_bytes())
    with pytest.raises(CheckpointError, match="not the state of an imitation"):
        imitate(library, teacher.features, CONFIG, tmp_path, resume=True)


def test_the_command_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from grafprint.cli import app
    from grafprint.training import distillation

    monkeypatch.setattr(
        distillation, "ImitationConfig", lambda **given: replace(CONFIG, steps=2, **given)
    )
    run = CliRunner().invoke
    asked = ["imitate", str(ASSETS / "library"), "--out", str(tmp_path / "run"), "--hours", "0.05"]
    done = run(app, asked)
    assert done.exit_code == 0 and "trained:" in done.output, done.output
    assert json.loads((tmp_path / "run" / "config.json").read_text())["hours"] == 0.05
    monkeypatch.undo()
    done = run(app, [*asked, "--resume", "--steps", "3"])
    assert done.exit_code == 0, done.output
    assert load_encoder(tmp_path / "run" / "encoder.safetensors")[2]["steps_done"] == 3
    assert isinstance(run(app, asked).exception, FileExistsError)
    missing = run(app, [*asked[:-4], "--out", str(tmp_path / "none"), "--resume"])
    assert isinstance(missing.exception, FileNotFoundError)


def test_likeness_leaves_silence_out():
    wanted = torch.nn.functional.normalize(torch.randn(4, 128), dim=-1)
    wanted[2] = 0
    from grafprint.training.distillation import cosine_similarity

    assert float(cosine_similarity(wanted, wanted)) == pytest.approx(1)
    assert np.isfinite(float(cosine_similarity(-wanted, wanted)))


def test_the_bundled_one_makes_what_the_bundled_network_makes(library, teacher, tmp_path):
    from typer.testing import CliRunner

    from grafprint.cli import app

    fast = Fingerprinter.load(FAST_MODEL)
    assert fast.model_id == teacher.model_id
    alike, beginnings = [], []
    for track in library.tracks()[:4]:
        path = library.audio_path(track)
        assert path is not None
        vectors = fast(audio.load(path, duration_s=20))
        own = library.vectors(np.arange(track.first, track.first + len(vectors)))
        products = (vectors * own)[:-10].sum(axis=1)[own[:-10].any(axis=1)]
        alike.append(products.mean())
        beginnings.append(products[:3].mean())
    assert min(alike) > 0.85 and np.mean(alike) > 0.9
    assert min(beginnings) > 0.85

    run, place = CliRunner().invoke, str(tmp_path / "made")
    music = sorted((ASSETS / "music").glob("*.opus"))[1]
    done = run(app, ["index", str(music), "-l", place, "--fast"])
    assert done.exit_code == 0 and "1 added" in done.output, done.output
    done = run(app, ["index", str(music), "-l", place])
    assert done.exit_code == 0 and "1 unchanged" in done.output, done.output
    clip = audio.load(music, start_s=6.3, duration_s=5)
    with Library.open(place) as made:
        answer = matching.identify_audio(made, teacher, clip)
    assert answer.identified and answer.best is not None
    assert answer.best.start_s == pytest.approx(6.3, abs=0.05)
    refused = run(app, ["index", str(music), "-l", place, "--fast", "--model", "mine.safetensors"])
    assert "name your own fast one with --model" in str(refused.exception)
