"""Weights on disk: nothing is lost, nothing is pickled, bad files are explained."""

import json
import pickle

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from grafprint.errors import CheckpointError
from grafprint.models.checkpoint import (
    identity,
    load_encoder,
    pack_optimiser,
    read,
    save_encoder,
    unpack_optimiser,
    write,
)
from grafprint.models.encoders import build
from grafprint.models.features import FeatureConfig

SMALL = {"widths": (16, 32, 48, 64), "depths": (1, 1, 1, 1), "pooled_width": 32, "hidden_width": 64}


def test_a_network_can_be_saved_and_loaded(tmp_path):
    encoder = build("grafprint", SMALL)
    save_encoder(tmp_path / "net.safetensors", encoder, FeatureConfig(), {"steps": 7})
    loaded, features, facts = load_encoder(tmp_path / "net.safetensors")
    assert facts == {"steps": 7} and features == FeatureConfig() and not loaded.training
    assert identity(loaded, features) == identity(encoder, FeatureConfig())
    for name, value in encoder.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, atol=1e-3, rtol=1e-3)


def test_identity_changes_with_weights_and_with_settings():
    encoder = build("grafprint", SMALL)
    first = identity(encoder, FeatureConfig())
    assert identity(encoder, FeatureConfig(hop_frames=4)) != first
    with torch.no_grad():
        next(encoder.parameters())[0, 0, 0, 0] += 1
    assert identity(encoder, FeatureConfig()) != first


def test_an_optimiser_can_be_saved_and_loaded(tmp_path):
    layer = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(layer.parameters(), 1e-3)
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    tensors, rest = pack_optimiser(optimiser)
    write(tmp_path / "state", tensors, {"format": 1, "rest": rest})
    tensors, header = read(tmp_path / "state")
    fresh = torch.optim.Adam(layer.parameters(), 5e-2)
    unpack_optimiser(fresh, tensors, header["rest"])
    assert fresh.param_groups[0]["lr"] == 1e-3
    for a, b in zip(optimiser.state.values(), fresh.state.values(), strict=True):
        assert all(torch.equal(a[k], b[k]) for k in ("step", "exp_avg", "exp_avg_sq"))


def test_errors_name_the_bad_file_and_the_reason(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match="no such file"):
        load_encoder(path)
    path.write_bytes(pickle.dumps({"weights": 1}))
    with pytest.raises(CheckpointError, match=r"x\.safetensors: not a readable safetensors file"):
        load_encoder(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not written by GraFPrint"):
        load_encoder(path)
    save_file({"a": torch.zeros(1)}, path, metadata={"grafprint": json.dumps({"format": 99})})
    with pytest.raises(CheckpointError, match="format 99, but this version reads format 1"):
        load_encoder(path)
    write(path, {"a": torch.zeros(1)}, {"format": 1, "kind": "training"})
    with pytest.raises(CheckpointError, match="holds a training, not an encoder"):
        load_encoder(path)
    save_encoder(path, build("grafprint", SMALL), FeatureConfig())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="not a readable"):
        load_encoder(path)
    tensors, header = {"a": torch.zeros(1)}, {"format": 1, "kind": "encoder"}
    header |= {"encoder": {"name": "grafprint", "options": SMALL}, "features": {}, "facts": {}}
    write(path, tensors, header)
    with pytest.raises(CheckpointError, match="do not fit"):
        load_encoder(path)


def test_a_failed_write_keeps_the_old_file_and_says_why(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    write(path, {"a": torch.zeros(1)}, {"format": 1})

    def refuse(*_, **__):
        raise SafetensorError("Error while serializing: I/O error: No space left (os error 28)")

    monkeypatch.setattr("grafprint.models.checkpoint.save_file", refuse)
    with pytest.raises(CheckpointError, match=r"net\.safetensors: the disk is full"):
        write(path, {"a": torch.ones(1)}, {"format": 1})
    assert read(path)[0]["a"] == 0
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot write"):
        write(tmp_path / "file" / "net.safetensors", {}, {"format": 1})
