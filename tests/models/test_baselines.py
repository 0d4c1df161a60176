"""The baselines: published sizes, shapes, and that each of them learns."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from grafprint import audio
from grafprint.degradation.effects import mix_at_snr
from grafprint.models.checkpoint import load_encoder, save_encoder
from grafprint.models.encoders import (
    ENCODERS,
    Encoder,
    HashTransformer,
    build,
    describe,
    features_of,
)
from grafprint.models.encoders.nafp import Halving
from grafprint.models.encoders.transformer import balanced_assignment
from grafprint.models.features import LogMel, windows
from grafprint.training.losses import nt_xent
from tests.audio_files import MUSIC

SMALL: dict[str, dict[str, Any]] = {
    "nafp": {"widths": (16, 16, 32, 32, 32, 64, 64, 128), "slice_width": 4, "dim": 32},
    "transformer": {"width": 64, "depth": 2, "heads": 4, "pooled_width": 64, "hidden_width": 128},
    "hash-transformer": {
        "width": 64, "depth": 2, "heads": 4, "pooled_width": 64, "hidden_width": 128, "buckets": 8,
    },
}  # fmt: skip
BASELINES = sorted(SMALL)


def segments(name: str, n: int, seed: int = 0) -> torch.Tensor:
    features = features_of(name)
    shape = (n, 3, features.n_mels, features.window_frames)
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "name, parameters",
    [
        ("nafp", 15.2e6),  # 16.9 M with the 256 x 32 input of its own front end
        ("transformer", 45.2e6),  # the paper: 45 M
        ("hash-transformer", 45.2e6 + 256 * 128),
    ],
)
def test_networks_have_the_published_size(name: str, parameters: float):
    network = build(name)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(parameters, rel=0.005)
    with torch.inference_mode():
        z = network.eval()(segments(name, 3))
    assert z.shape == (3, 128)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("length", [1, 2, 3, 8])
def test_nafp_halves_short_axes_as_a_padded_convolution_does(axis: int, length: int):
    torch.manual_seed(0)
    layer = Halving(4, 6, axis)
    x = torch.randn(2, 4, *((length, 5) if axis == 2 else (5, length)))
    whole = torch.nn.Conv2d.forward(layer, x)
    assert whole.shape[axis] == (length + 1) // 2
    torch.testing.assert_close(layer(x), whole)


def test_nafp_with_its_own_front_end_has_the_published_size():
    network = build("nafp", {"input_shape": (256, 32)})
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(16.9e6, rel=0.01)


@pytest.mark.parametrize("name", BASELINES)
def test_a_fingerprint_does_not_depend_on_its_batch(name: str):
    network, inputs = build(name, SMALL[name]).eval(), segments(name, 5)
    with torch.inference_mode():
        alone = torch.cat([network(x[None]) for x in inputs])
        torch.testing.assert_close(network(inputs), alone, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def music() -> torch.Tensor:
    """A few seconds of each bundled track; the last eight are not used for training."""
    clips = [audio.load(path, start_s=5, duration_s=4) for path in MUSIC]
    return torch.from_numpy(np.stack(clips))


def views(name: str, music: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One window of each track, clean and with noise."""
    generator = torch.Generator().manual_seed(seed)
    features = features_of(name)
    start = int(torch.randint(48_000, (), generator=generator))
    clean = music[:, start : start + 16_000]
    noise = torch.randn(clean.shape, generator=generator)
    noisy = mix_at_snr(clean, noise, torch.full((len(music),), 15.0))
    a, b = (
        torch.cat([windows(mel, features)[:1] for mel in LogMel(features)(x)])
        for x in (clean, noisy)
    )
    return a, b


def accuracy(network: Encoder, name: str, music: torch.Tensor) -> float:
    right = []
    with torch.inference_mode():
        for seed in range(1000, 1006):
            a, b = (network(x) for x in views(name, music, seed))
            right.append((b @ a.T).argmax(dim=1) == torch.arange(len(music)))
    return torch.cat(right).float().mean().item()


def train(name: str, music: torch.Tensor, steps: int = 60) -> tuple[Encoder, list[float]]:
    torch.manual_seed(0)
    network = build(name, SMALL[name]).train()
    optimiser = torch.optim.Adam(network.parameters(), 3e-4)
    losses = []
    for step in range(steps):
        a, b = network(torch.cat(views(name, music, step))).chunk(2)
        loss = nt_xent(a, b, 0.1)
        if (extra := network.auxiliary_loss(a, b)) is not None:
            loss = loss + extra
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return network.eval(), losses


@pytest.mark.parametrize("name", BASELINES)
def test_training_generalises_to_other_music(name: str, music: torch.Tensor):
    network, losses = train(name, music[:-8])
    assert sum(losses[-10:]) < 0.75 * sum(losses[:10])
    assert accuracy(network, name, music[-8:]) > 0.5  # chance: 1 in 8


def test_the_hash_layer_fills_its_buckets(music: torch.Tensor):
    network, _ = train("hash-transformer", music, steps=150)
    centres = network.bucket_centres()
    assert isinstance(network, HashTransformer) and centres is not None
    torch.testing.assert_close(centres.norm(dim=1), torch.ones(8))
    with torch.no_grad():
        z = torch.cat([network(views("hash-transformer", music, seed)[0]) for seed in range(8)])
    filled = (z @ centres.T).argmax(dim=1).bincount(minlength=8)
    assert (filled > 0).sum() >= 6 and filled.max() < 0.6 * len(z)


def test_assignments_are_balanced_however_uneven_the_scores():
    rows, centres = (
        F.normalize(torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)), dim=-1)
        for seed, n in enumerate((64, 8))
    )
    scores = rows @ centres.T
    scores[:, 0] += 0.5  # most rows prefer the first bucket
    assert (scores.argmax(dim=1) == 0).float().mean() > 0.5
    plan = balanced_assignment(scores)
    torch.testing.assert_close(plan.sum(dim=1), torch.ones(64))
    assert plan.sum(dim=0).max() < 1.2 * 64 / 8
    # The row that prefers it most stays in it.
    assert plan[(scores[:, 0] - scores[:, 1:].amax(dim=1)).argmax()].argmax() == 0


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_networks_and_their_features_can_be_saved_and_loaded(name: str, tmp_path):
    network = build(name, SMALL.get(name))
    save_encoder(tmp_path / "net.safetensors", network, features_of(name))
    again, features, _ = load_encoder(tmp_path / "net.safetensors")
    assert describe(again) == describe(network) and features == features_of(name)


def test_wrong_dimensions_are_refused():
    with pytest.raises(ValueError, match="multiple of 128"):
        build("nafp", {"widths": (8, 8, 8, 8, 8, 8, 8, 100)})
    with pytest.raises(ValueError, match="leave"):
        build("nafp", {"widths": (128, 128)})
    with pytest.raises(ValueError, match="patches"):
        build("transformer", {"patch_frames": 7})
