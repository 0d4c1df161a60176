"""Taggers on disk, and what they are given."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from grafprint.errors import CheckpointError
from grafprint.models.checkpoint import save_encoder, write
from grafprint.models.encoders import GraFPrint
from grafprint.models.features import FeatureConfig
from grafprint.models.taggers import ATGNN, ClipInput, features_of, load_tagger, save_tagger
from tests.models.test_encoders import TINY as ENCODER
from tests.models.test_tagger import TINY

LABELS = ("a", "b", "c", "d", "e", "f")


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, ATGNN]:
    torch.manual_seed(0)
    network = ATGNN(TINY).eval()
    path = tmp_path / "tagger.safetensors"
    save_tagger(path, network, LABELS, features_of("small"), {"steps": 3})
    return path, network


def test_a_tagger_is_read_as_it_was_written(saved):
    path, network = saved
    tagger = load_tagger(path)
    assert tagger.labels == LABELS and tagger.facts == {"steps": 3}
    assert tagger.features == FeatureConfig() and tagger.network.config == TINY
    assert not tagger.network.training
    for name, value in tagger.network.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], atol=1e-3, rtol=1e-3)
    # fp16 to fp32 and back loses nothing: the file of a loaded network is the same.
    again = path.with_name("again.safetensors")
    save_tagger(again, tagger.network, LABELS, tagger.features, {"steps": 3})
    assert again.read_bytes() == path.read_bytes()


def test_other_files_are_refused(saved, tmp_path: Path):
    path, network = saved
    encoder = tmp_path / "encoder.safetensors"
    save_encoder(encoder, GraFPrint(ENCODER), FeatureConfig())
    with pytest.raises(CheckpointError, match="holds a encoder, not a tagger"):
        load_tagger(encoder)
    with pytest.raises(CheckpointError, match="there is no such file"):
        load_tagger(tmp_path / "none.safetensors")
    tensors = load_file(path)
    header = _header(path)
    tensors["readout"] = tensors["readout"] + 1
    write(tmp_path / "damaged.safetensors", tensors, header)
    with pytest.raises(CheckpointError, match="the file is damaged"):
        load_tagger(tmp_path / "damaged.safetensors")
    write(tmp_path / "less.safetensors", load_file(path), {"format": 1, "kind": "tagger"})
    with pytest.raises(CheckpointError, match="do not fit"):
        load_tagger(tmp_path / "less.safetensors")
    save_file(tensors, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="not written by GraFPrint"):
        load_tagger(tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="2 names for 6 labels"):
        save_tagger(path, network, ("a", "b"), FeatureConfig())


def _header(path: Path) -> dict[str, object]:
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    metadata = json.loads(raw[8 : 8 + size])["__metadata__"]
    header: dict[str, object] = json.loads(metadata["grafprint"])
    return header


def test_inputs_have_the_papers_shape_and_the_fingerprints():
    assert ClipInput(features_of("pyr-s"))(torch.randn(1, 163_840)).shape == (1, 128, 1024)
    assert ClipInput(features_of("small"))(torch.randn(2, 163_840)).shape == (2, 64, 320)


@pytest.mark.parametrize("variant", ["small", "pyr-s"])
def test_inputs_are_relative_to_the_loudest_bin(variant: str):
    make = ClipInput(features_of(variant))
    tone = torch.sin(torch.arange(32_000) * 2 * math.pi * 440 / 16_000)[None]
    loud, quiet = make(0.5 * tone), make(0.05 * tone)
    assert loud.max() == 1 and loud.min() >= 0
    torch.testing.assert_close(loud, quiet, atol=2e-3, rtol=0)
    assert not make(torch.zeros(1, 32_000)).any()


@pytest.mark.parametrize("samples", [1, 100, 513, 3200])
def test_very_short_clips_have_at_least_one_frame(samples: int):
    made = ClipInput(features_of("small"))(torch.randn(1, samples))
    assert made.shape == (1, 64, max(1, samples // 512)) and torch.isfinite(made).all()
