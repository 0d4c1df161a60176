"""The tagging network: sizes, any length, gradients, mixed precision."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from benchmarks import tagger_sizes
from grafprint.errors import ConfigError
from grafprint.models.taggers import ATGNN, VARIANTS, ATGNNConfig, config_of, variant
from grafprint.models.taggers.patches import PatchBlock
from tests.paths import ROOT

TINY = ATGNNConfig(
    labels=6,
    input_shape=(32, 64),
    depths=(1, 1, 2, 1),
    widths=(8, 16, 24, 32),
    label_blocks=(1, 1, 2, 1),
    k=3,
    last_k=3,
    label_k=3,
    hidden_width=32,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def size_of() -> dict[tuple[str, bool], tagger_sizes.Size]:
    return tagger_sizes.measure_all()


@pytest.mark.parametrize(("name", "labels"), tagger_sizes.PAPER)
def test_sizes_are_the_papers(name: str, labels: bool, size_of):
    size, (parameters, macs) = size_of[name, labels], tagger_sizes.PAPER[name, labels]
    if (name, labels) == ("iso", True):  # docs/tagging.md explains both
        assert size.parameters_m == pytest.approx(parameters, rel=0.06)
        macs += size.label_search_g
    else:
        assert size.parameters_m == pytest.approx(parameters, rel=0.05)
    assert size.macs_g == pytest.approx(macs, rel=0.05)


def test_the_small_network_is_small(size_of):
    size = size_of["small", True]
    assert size.parameters_m == pytest.approx(5.7, rel=0.05)
    assert size.macs_g == pytest.approx(0.53, rel=0.05)


def test_the_page_has_the_sizes_that_were_counted(size_of):
    page = (ROOT / "docs" / "tagging.md").read_text(encoding="utf-8")
    assert tagger_sizes.table(size_of) in page


def test_the_isotropic_network_has_512_nodes_and_twice_the_neighbours_at_its_end():
    network = ATGNN(variant("iso"))
    assert network.position.shape == (1, 320, 8, 64)
    blocks = [m for m in network.modules() if isinstance(m, PatchBlock)]
    ks = [b.k for b in blocks]
    assert len(ks) == 16 and ks == sorted(ks) and (ks[0], ks[-1]) == (9, 18)
    assert [b.dilation for b in blocks] == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    due = [[n for n, _ in network._due(0, block)] for block in range(16)]
    assert due == [[n] for n in range(16)]  # a label block after each


def test_the_pyramids_have_stages_of_the_papers_shape():
    for name, depths, label_blocks in [
        ("pyr-s", [2, 2, 6, 2], [1, 1, 3, 1]),
        ("pyr-med", [2, 2, 16, 2], [1, 1, 6, 1]),
    ]:
        network = ATGNN(variant(name))
        assert [len(stage) for stage in network.stages] == depths  # type: ignore[arg-type]
        assert [len(stage) for stage in network.label_stages] == label_blocks  # type: ignore[arg-type]
        assert network.position.shape[2:] == (32, 256)
        blocks = [m for m in network.modules() if isinstance(m, PatchBlock)]
        assert {b.k for b in blocks} == {9}
        assert [b.dilation for b in blocks] == [min(n // 4 + 1, 5) for n in range(len(blocks))]
        assert [b.pool for b in blocks] == [4] * 2 + [2] * 2 + [1] * (len(blocks) - 4)
        assert not any(len(network._due(stage, 0)) for stage in range(4))
        assert [len(network._due(s, d - 1)) for s, d in enumerate(depths)] == label_blocks


@pytest.mark.parametrize("frames", [1, 2, 5, 33, 64, 65, 200])
def test_clips_of_any_length_are_tagged(frames: int):
    network = ATGNN(TINY).eval()
    with torch.inference_mode():
        logits = network(torch.rand(2, 32, frames))
    assert logits.shape == (2, 6) and logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


def test_small_clips_of_the_network_for_use_are_tagged():
    network = ATGNN(variant("small")).eval()
    with torch.inference_mode():
        for frames in (1, 7, 320):
            assert torch.isfinite(network(torch.rand(1, 64, frames))).all()
        assert torch.isfinite(network(torch.zeros(1, 64, 320))).all()  # silence: nodes are alike


def test_position_embeddings_are_cut_for_shorter_and_stretched_for_longer_clips():
    network = ATGNN(TINY)
    with torch.no_grad():
        network.position.copy_(torch.arange(16.0).expand_as(network.position))
    assert torch.equal(network._position(5), network.position[..., :5])
    longer = network._position(32)
    assert longer.shape[3] == 32 and longer[0, 0, 0, -1] == 15 and longer[0, 0, 0, 16] == 7.75


def test_a_clips_logits_do_not_depend_on_its_batch():
    network, x = ATGNN(TINY).eval(), torch.rand(3, 32, 64)
    with torch.inference_mode():
        alone = torch.cat([network(clip[None]) for clip in x])
        torch.testing.assert_close(network(x), alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["pyramid", "isotropic", "without labels"])
def test_every_parameter_gets_a_gradient(name: str):
    config = {
        "pyramid": TINY,
        "isotropic": replace(
            TINY, depths=(2,), widths=(16,), key_pooling=(1,), label_blocks=(2,), interleaved=True
        ),
        "without labels": replace(TINY, label_blocks=(0, 0, 0, 0)),
    }[name]
    network = ATGNN(replace(config, drop_path=0.0)).train()
    F.binary_cross_entropy_with_logits(network(torch.rand(4, 32, 64)), torch.ones(4, 6)).backward()
    for parameter, p in network.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), parameter
        if p.numel() > 1:
            assert p.grad.any(), parameter


def test_gradients_reach_every_label_embedding():
    network = ATGNN(replace(TINY, drop_path=0.0)).train()
    network(torch.rand(4, 32, 64)).square().sum().backward()
    assert network.label_embeddings.grad is not None
    assert network.label_embeddings.grad.norm(dim=1).min() > 0


def test_a_network_that_has_tagged_can_be_trained_further():
    network, x = ATGNN(TINY).eval(), torch.rand(2, 32, 48)
    with torch.inference_mode():
        network(x)
    network.train()(x).sum().backward()
    assert network.position.grad is not None and network.position.grad[..., :12].any()
    assert not network.position.grad[..., 12:].any()


def test_training_in_mixed_precision_is_stable_and_learns():
    network = ATGNN(replace(TINY, drop_path=0.0)).train()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    x, targets = torch.rand(8, 32, 64), torch.rand(8, 6).round()
    losses = []
    for _ in range(30):
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(x)
        assert logits.dtype == torch.float32
        loss = F.binary_cross_entropy_with_logits(logits, targets)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        assert torch.isfinite(loss) and all(p.isfinite().all() for p in network.parameters())
    assert losses[-1] < losses[0] / 4
    network.eval()
    with torch.inference_mode():
        exact = network(x).sigmoid()
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network(x).sigmoid()
    # Other neighbours may win by a rounding error, but what was learned is the same.
    assert (exact - mixed).abs().mean() < 0.05
    assert torch.equal(exact > 0.5, mixed > 0.5)


def test_wrong_spectrograms_are_refused():
    network = ATGNN(TINY)
    for shape in [(2, 31, 64), (32, 64), (2, 32, 0)]:
        with pytest.raises(ValueError, match=r"spectrograms are \[B, 32, T\]"):
            network(torch.zeros(shape))


def test_options_are_kept_and_impossible_ones_refused():
    config = variant("small", labels=7)
    assert config.labels == 7 and config.widths == VARIANTS["small"].widths
    assert config_of(json.loads(json.dumps(config.options()))) == config
    assert variant("iso", label_nodes=False).label_stage is None
    assert variant("small", label_nodes=False, label_blocks=[1, 1, 1, 1]).label_stage is None
    assert variant("small").label_stage == 1
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": "big"}, "unknown tagger 'big'; there are: iso, pyr-s, pyr-med, small"),
        ({"labelz": 3}, "no option labelz"),
        ({"widths": (8, 8)}, "widths needs 4 numbers"),
        ({"labels": 0}, "at least 1"),
        ({"widths": (6, 8, 8, 8)}, "multiples of 4"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"interleaved": True}, "as many as"),
        ({"depths": 3}, "cannot have these options"),
    ]
    for options, message in wrong:
        with pytest.raises(ConfigError, match=message):
            variant(**({"name": "small"} | options))
