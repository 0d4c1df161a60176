"""The inference-only encoder: same outputs as the trained one, whatever the batch."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from grafprint.fingerprint import Fingerprinter
from grafprint.models import loops
from grafprint.models.encoders import GraFPrint
from grafprint.models.encoders.grafprint import GraFPrintConfig
from grafprint.models.fast import fused_layers
from grafprint.models.fast.grafprint import FastGraFPrint, supports
from grafprint.models.graph import knn, max_relative

SMALL = GraFPrintConfig(
    widths=(16, 32, 64, 128), depths=(1, 1, 5, 1), pooled_width=64, hidden_width=96
)


def network(config: GraFPrintConfig = SMALL, seed: int = 0) -> GraFPrint:
    """A network in eval mode, with other statistics than a new one."""
    torch.manual_seed(seed)
    encoder = GraFPrint(config)
    for norm in encoder.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.uniform_(norm.bias, -0.2, 0.2)
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.uniform_(-0.2, 0.2)
            norm.running_var.uniform_(0.5, 2)
    return encoder.eval()


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    return torch.rand(21, 3, 64, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"relative_position": True},
        {"dilation": False, "k": 5},
        {"stem_stride": (2, 1)},
        {"mean_channel": True},
    ],
)
def test_outputs_are_those_of_the_trained_encoder(changes, windows):
    encoder = network(replace(SMALL, **changes))
    with torch.inference_mode():
        expected = encoder(windows)
    found = FastGraFPrint(encoder)(windows)
    assert found.dtype == torch.float32
    # Unless two nodes are equally near: then rounding decides which is the neighbour.
    assert ((found - expected).abs().amax(dim=1) < 1e-4).float().mean() > 0.8
    assert (found * expected).sum(1).min() > 0.9


def test_outputs_of_the_bundled_network_agree_also_in_bf16(windows):
    encoder = Fingerprinter.load().encoder
    with torch.inference_mode():
        expected = encoder(windows)
    alike = (FastGraFPrint(encoder)(windows) * expected).sum(1)
    # As above: which windows have two equally near nodes depends on the CPU.
    assert (alike > 0.9999).float().mean() > 0.8 and alike.min() > 0.99
    found = FastGraFPrint(encoder, torch.bfloat16)(windows)
    assert (found * expected).sum(1).min() > 0.99
    assert found.norm(dim=1).sub(1).abs().max() < 1e-5


def test_outputs_without_onednn_are_the_same(windows, monkeypatch):
    encoder = network()
    expected = FastGraFPrint(encoder)(windows)
    monkeypatch.setattr(fused_layers, "ONEDNN", None)
    assert (FastGraFPrint(encoder)(windows) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_without_private_operators_are_the_same(dtype, windows, monkeypatch):
    encoder = Fingerprinter.load(precision="fp32").encoder
    expected = FastGraFPrint(encoder, dtype)(windows)
    assert fused_layers.ONEDNN, "this PyTorch has none: there is nothing to compare"
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    monkeypatch.setattr(fused_layers, "ONEDNN", fused_layers.find_onednn())
    assert fused_layers.ONEDNN is None
    found = FastGraFPrint(encoder, dtype)(windows)
    # In bfloat16 a sum or an activation that is not fused is rounded once more.
    least = 0.9999 if dtype == torch.float32 else 0.99
    assert (found * expected).sum(1).min() > least


PRIVATE = (
    "_is_mkldnn_bf16_supported",
    "_linear_pointwise",
    "_reorder_linear_weight",
    "_convolution_pointwise",
    "_reorder_convolution_weight",
)


@pytest.mark.parametrize("missing", PRIVATE)
def test_if_one_private_operator_is_missing_none_is_used(missing, monkeypatch):
    operators = {name: getattr(torch.ops.mkldnn, name) for name in PRIVATE}
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(**operators))
    assert fused_layers.find_onednn()
    monkeypatch.delattr(torch.ops.mkldnn, missing)
    assert fused_layers.find_onednn() is None


def test_a_fingerprint_does_not_depend_on_its_batch(windows):
    fast = FastGraFPrint(network(), torch.bfloat16)
    together = fast(windows)
    alone = torch.cat([fast(window[None]) for window in windows])
    assert (together * alone).sum(1).min() > 0.9999


def test_graphs_are_those_used_for_the_fingerprints(windows):
    encoder = network()
    fast = FastGraFPrint(encoder)
    vectors, graphs = fast.with_graphs(windows[:2])
    assert torch.equal(vectors, fast(windows[:2]))
    with torch.inference_mode():
        _, expected = encoder.forward_with_graphs(windows[:2])
    for found, wanted in zip(graphs, expected, strict=True):
        assert (found.stage, found.block, found.grid, found.dilation) == (
            wanted.stage,
            wanted.block,
            wanted.grid,
            wanted.dilation,
        )
        same = (found.graph.neighbours == wanted.graph.neighbours).float().mean()
        assert same > 0.99  # except for nodes that are equally near
        assert (found.features - wanted.features).norm() < 1e-3 * wanted.features.norm()
        assert (found.change - wanted.change).norm() < 1e-3 * wanted.change.norm()
        torch.testing.assert_close(found.positions, wanted.positions)


def test_several_threads_may_use_one_network(windows):
    fast = FastGraFPrint(network())
    expected, found = fast(windows), {}

    def work(number: int) -> None:
        for _ in range(5):
            found[number] = fast(windows)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(torch.allclose(vectors, expected, atol=1e-6) for vectors in found.values())


def test_group_normalisation_cannot_be_folded():
    encoder = GraFPrint(replace(SMALL, norm_groups=8))
    assert not supports(encoder) and not supports(torch.nn.Identity())
    with pytest.raises(ValueError, match="batch normalisation"):
        FastGraFPrint(encoder)
    windows = torch.rand(2, 3, 64, 32)
    assert Fingerprinter(encoder).encode(windows).shape == (2, 128)


@pytest.mark.parametrize(("n", "k", "dilation"), [(512, 3, 1), (100, 3, 2), (32, 3, 3), (8, 3, 2)])
def test_compiled_loops_agree_with_the_layers(n, k, dilation):
    nodes = torch.randn(3, n, 32, generator=torch.Generator().manual_seed(n))
    expected = knn(nodes, k, dilation)
    unit = torch.nn.functional.normalize(nodes, dim=-1)
    closeness = torch.bmm(unit, unit.transpose(1, 2))
    neighbours, values = torch.empty(3, n, k, dtype=torch.int64), torch.empty(3, n, k)
    half = n // 2
    for first, part in ((0, slice(0, half)), (half, slice(half, n))):
        loops.nearest(
            closeness[:, part].numpy(),
            first,
            k,
            dilation,
            neighbours[:, part].numpy(),
            values[:, part].numpy(),
        )
    assert torch.equal(neighbours, expected.neighbours)
    distances = (2 - 2 * values).clamp_min(0).sqrt()
    torch.testing.assert_close(distances, expected.distances, atol=1e-3, rtol=0)

    both = torch.empty(3, n, 64)
    bits = both.numpy().view(np.int32)
    loops.with_maxima(nodes.numpy().view(np.int32), neighbours.numpy(), 4, bits, 31)
    own, maxima = both.view(3, n, 4, 2, 8).unbind(3)
    assert torch.equal(own.reshape(nodes.shape), nodes)
    relative = max_relative(nodes, neighbours)
    torch.testing.assert_close(maxima.reshape(nodes.shape) - nodes, relative)


def test_compiled_loops_are_exact_in_bfloat16():
    nodes = torch.randn(2, 40, 32, generator=torch.Generator().manual_seed(3)).bfloat16()
    nodes[0, 0] = 0
    neighbours = torch.randint(40, (2, 40, 3), generator=torch.Generator().manual_seed(4))
    both, bits = torch.empty(2, 40, 64), torch.empty(2, 40, 64, dtype=torch.bfloat16)
    floats = nodes.float().numpy().view(np.int32)
    loops.with_maxima(floats, neighbours.numpy(), 4, both.numpy().view(np.int32), 31)
    loops.with_maxima(
        nodes.view(torch.int16).numpy(), neighbours.numpy(), 4, bits.view(torch.int16).numpy(), 15
    )
    assert torch.equal(both, bits.float())
    unit = np.empty((2, 40, 32), np.float32)
    loops.unit_rows(nodes.view(torch.uint16).numpy(), unit, unit.view(np.uint32))
    expected = torch.nn.functional.normalize(nodes.float(), dim=-1)
    torch.testing.assert_close(torch.from_numpy(unit), expected)


def test_equally_near_nodes_are_not_chosen_twice():
    closeness = np.ones((1, 80, 80), np.float32)
    neighbours, values = np.zeros((1, 80, 5), np.int64), np.zeros((1, 80, 5), np.float32)
    loops.nearest(closeness, 0, 5, 2, neighbours, values)
    assert (values == 1).all()
    for node, chosen in enumerate(neighbours[0]):
        assert len({*chosen.tolist(), node}) == 6


def test_nans_do_no_harm():
    closeness = np.full((1, 70, 70), np.nan, np.float32)
    neighbours, values = np.zeros((1, 70, 3), np.int64), np.zeros((1, 70, 3), np.float32)
    loops.nearest(closeness, 0, 3, 1, neighbours, values)
    assert ((neighbours >= 0) & (neighbours < 70)).all()
