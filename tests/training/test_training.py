"""Small training runs: they learn, and resume exactly."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.degradation.augmentation import DegradeConfig
from grafprint.degradation.rerecording import RerecordingConfig
from grafprint.errors import CheckpointError, DataError
from grafprint.models.checkpoint import identity, load_encoder
from grafprint.models.encoders import features_of
from grafprint.training import DivergedError, Progress, train
from grafprint.training.config import TrainConfig, learning_rate_at, load_config
from tests import audio_files
from tests.models.test_baselines import SMALL
from tests.paths import ASSETS, ROOT
from tests.training.runs import reports_of
from tests.training.states import same, weights

MUSIC = ASSETS / "music"
TINY = {"widths": (16, 32, 48, 64), "depths": (1, 1, 1, 1), "pooled_width": 64, "hidden_width": 96}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def write_data(folder: Path) -> Path:
    """Manifests of real music with six held-out tracks and with one, synthetic noises and rooms."""
    files = sorted(MUSIC.glob("*.opus"))[:20]
    rows = [f"{path},{'valid' if i < 6 else 'train'}" for i, path in enumerate(files)]
    for name, chosen in (("music.csv", rows), ("one held out.csv", rows[5:])):
        (folder / name).write_text("\n".join(["path,split", *chosen]) + "\n")
    for kind, clips in (
        ("noise", synthetic_noise.noises(3, 0)),
        ("rooms", synthetic_rooms.rooms(2, 0)),
    ):
        (folder / kind).mkdir()
        for number, clip in enumerate(clips):
            audio_files.write(folder / kind / f"{number}.wav", clip, 16_000, "pcm_s16le")
    return folder


def config(**changes: object) -> TrainConfig:
    values = {
        "encoder_options": TINY,
        "steps": 40,
        "batch": 14,
        "learning_rate": 2e-3,
        "warmup_steps": 5,
        "precision": "32-true",
        "validate_every": 1000,
        "save_every": 1000,
        "degrade": DegradeConfig(snr_db=(5, 20)),
    }
    return TrainConfig(**(values | changes))  # type: ignore[arg-type]


def run(
    data: Path,
    out: Path,
    settings: TrainConfig,
    music: str = "one held out.csv",  # validation takes longer than a few steps
    **options: object,
) -> list[Progress]:
    return reports_of(
        train,
        settings,
        data / music,
        out,
        noise=data / "noise",
        rooms=data / "rooms",
        cache=data / "cache",
        **options,
    )


def test_it_learns_and_beats_chance_on_held_out_tracks(data: Path, tmp_path: Path):
    reports = run(data, tmp_path, config(steps=60, validate_every=60), "music.csv")
    early = sum(r.loss for r in reports[:10]) / 10
    late = sum(r.loss for r in reports[-10:]) / 10
    assert late < 0.75 * early
    assert sum(r.accuracy for r in reports[-10:]) / 10 > 4 / 14  # chance: 1 in 14
    scores = reports[-1].validation
    assert scores is not None and scores["noise_track"] > 2 / 6  # chance: one track in six
    _, _, facts = load_encoder(tmp_path / "encoder.safetensors")
    assert facts["steps_done"] == 60 and facts["validation"] == scores
    assert json.loads((tmp_path / "config.json").read_text())["batch"] == 14
    assert list(tmp_path.glob("tensorboard/events*"))


def test_a_stopped_run_resumes_to_the_same_weights(data: Path, tmp_path: Path):
    settings = config(steps=8, encoder_options=TINY | {"drop_path": 0.3})
    run(data, tmp_path / "whole", settings)
    steps = iter(range(100))
    run(data, tmp_path / "parts", settings, stop=lambda: next(steps) == 5)
    assert not same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    reports = run(data, tmp_path / "parts", settings, resume=True)
    assert [r.step for r in reports] == [6, 7, 8]
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_a_diverging_run_stops_and_keeps_the_last_good_state(data: Path, tmp_path: Path):
    settings = config(steps=9, save_every=2)
    run(data, tmp_path, replace(settings, steps=2))
    good = weights(tmp_path)
    # A step of Adam is about as large as the rate: the weights overflow at once.
    diverging = replace(settings, learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"by step \d the .* smaller learning rate"):
        run(data, tmp_path, diverging, resume=True)
    assert same(weights(tmp_path), good)
    assert load_encoder(tmp_path / "encoder.safetensors")[2]["steps_done"] == 2


def test_memory_average_and_neighbours_resume_exactly(data: Path, tmp_path: Path):
    settings = config(steps=6, memory=30, average=0.8, segments_per_track=2)
    run(data, tmp_path / "whole", settings)
    steps = iter(range(100))
    run(data, tmp_path / "parts", settings, stop=lambda: next(steps) == 3)
    run(data, tmp_path / "parts", settings, resume=True)
    whole, parts = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "parts"))
    assert same(whole, parts)
    assert whole["memory"].norm(dim=1) == pytest.approx(torch.ones(30))
    # The network to use is the average, which lags behind.
    encoder, _, _ = load_encoder(tmp_path / "whole" / "encoder.safetensors")
    used = encoder.state_dict()["widen.weight"]
    latest, average = (whole[f"{k}.widen.weight"] for k in ("encoder", "average.module"))
    torch.testing.assert_close(used, average, atol=1e-3, rtol=1e-2)
    assert (used - latest).abs().max() > 1e-3


def test_a_run_with_re_recordings_and_masks_resumes_exactly_too(data: Path, tmp_path: Path):
    degrade = DegradeConfig(snr_db=(5, 20), rerecording_probability=0.6)
    settings = config(steps=4, degrade=degrade, cutout_probability=0.5, band_mask_probability=0.5)
    run(data, tmp_path / "whole", settings)
    steps = iter(range(100))
    run(data, tmp_path / "parts", settings, stop=lambda: next(steps) == 2)
    run(data, tmp_path / "parts", settings, resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_learns_the_same(data: Path, tmp_path: Path):
    options = SMALL["transformer"] | {"depth": 1}
    small = {"encoder": "transformer", "encoder_options": options, "steps": 3}
    plain = run(data, tmp_path / "plain", config(**small))
    compiled = run(data, tmp_path / "compiled", config(**small, compile=True))
    assert [r.loss for r in compiled] == pytest.approx([r.loss for r in plain], rel=1e-3)
    assert weights(tmp_path / "plain").keys() == weights(tmp_path / "compiled").keys()
    network, _, _ = load_encoder(tmp_path / "compiled" / "encoder.safetensors")
    assert torch.isfinite(network(torch.rand(2, 3, 64, 100))).all()


def test_a_run_can_start_from_trained_weights(data: Path, tmp_path: Path):
    run(data, tmp_path / "first", config(steps=2))
    trained = tmp_path / "first" / "encoder.safetensors"
    still = config(steps=2, learning_rate=0.0, final_learning_rate=0.0)
    steps = iter(range(100))
    run(data, tmp_path / "second", still, start_from=trained, stop=lambda: next(steps) == 1)
    run(data, tmp_path / "second", still, resume=True)
    before, features, facts = load_encoder(trained)
    after, _, more = load_encoder(tmp_path / "second" / "encoder.safetensors")
    assert all(
        torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True)
    )
    assert facts["started_from"] is None
    assert more["started_from"] == identity(before, features)  # kept when resuming
    other = config(encoder_options=TINY | {"k": 2})
    with pytest.raises(CheckpointError, match="another kind or size"):
        run(data, tmp_path / "third", other, start_from=trained)


def test_settings_are_read_from_a_file_and_errors_name_them(tmp_path: Path):
    path = tmp_path / "recipe.json"
    path.write_text('{"steps": 7, "gap_s": [0.2, 0.4], "degrade": {"snr_db": [0, 5]}}')
    settings = load_config(path)
    assert settings == TrainConfig(steps=7, gap_s=(0.2, 0.4), degrade=DegradeConfig(snr_db=(0, 5)))
    path.write_text('{"degrade": {"rerecording": {"high_pass_hz": [100, 300]}}}')
    assert load_config(path).degrade.rerecording == RerecordingConfig(high_pass_hz=(100, 300))
    path.write_text(json.dumps(asdict(settings)))
    assert load_config(path) == settings
    for text, says in (
        ('{"stesp": 7}', "no setting stesp"),
        ('{"degrade": {"snr": 1}}', "no setting snr"),
        ('{"degrade": {"rerecording": {"bass": 1}}}', "no setting bass"),
        ("[1]", "not the settings"),
        ("steps: 7", "not the settings"),
        ('{"loss": "l2"}', "nt-xent or triplet"),
        ('{"loss": "triplet", "memory": 8}', "nt-xent only"),
        ('{"encoder": "sliding"}', "use grafprint distill"),
        ('{"precision": "64"}', "one of bf16-mixed"),
        ('{"steps": 0}', "steps must be at least 1"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=says):
            load_config(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_config(tmp_path / "none.json")


def test_a_batch_that_does_not_divide_is_refused(data: Path, tmp_path: Path):
    with pytest.raises(DataError, match="4 segments per track"):
        run(data, tmp_path, config(segments_per_track=4))


@pytest.mark.parametrize("name", ["nafp", "hash-transformer"])
def test_baselines_can_be_trained(data: Path, tmp_path: Path, name: str):
    options = SMALL[name] | {"dim": 32}
    loss = "triplet" if name == "nafp" else "nt-xent"
    settings = config(encoder=name, encoder_options=options, steps=3, loss=loss)
    reports = run(data, tmp_path, settings)
    assert all(math.isfinite(r.loss) for r in reports)
    encoder, features, _ = load_encoder(tmp_path / "encoder.safetensors")
    assert features == features_of(name) and encoder.dim == 32


def test_a_killed_process_resumes_to_the_same_weights(data: Path, tmp_path: Path):
    settings = config(steps=6, save_every=2)
    script = f"""
import sys
from pathlib import Path
from tests.training.test_training import config, run
run(Path({str(data)!r}), Path(sys.argv[1]), config(steps=6, save_every=2))
"""
    run(data, tmp_path / "whole", settings)
    out = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", script, str(out)], cwd=ROOT)
    deadline = time.monotonic() + 120
    while not (out / "state.safetensors").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert run(data, out, settings, resume=True)[0].step in (3, 5)
    assert same(weights(tmp_path / "whole"), weights(out))


def test_an_existing_run_is_not_overwritten(data: Path, tmp_path: Path):
    run(data, tmp_path, config(steps=1))
    with pytest.raises(FileExistsError, match="--resume"):
        run(data, tmp_path, config(steps=1))
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        run(data, tmp_path / "empty", config(steps=1), resume=True)


def test_the_schedule_warms_up_and_follows_a_cosine():
    settings = TrainConfig(steps=1100, warmup_steps=100)
    assert learning_rate_at(0, settings) == pytest.approx(8e-7)
    assert learning_rate_at(100, settings) == pytest.approx(8e-5)
    assert learning_rate_at(600, settings) == pytest.approx((8e-5 + 7e-7) / 2)
    assert learning_rate_at(1100, settings) == pytest.approx(7e-7)
