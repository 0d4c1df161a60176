"""The encoder: size, shapes, batch independence, and the graphs of its forward pass."""

from dataclasses import replace

import pytest
import torch

from grafprint.models.encoders import GraFPrint, GraFPrintConfig, build, describe
from grafprint.models.encoders.grafprint import add_mean_channel
from grafprint.models.graph import BlockGraph, GraphBlock, knn, to_nodes

TINY = GraFPrintConfig(
    widths=(16, 32, 48, 64), depths=(1, 1, 1, 1), pooled_width=64, hidden_width=96
)


@pytest.fixture(scope="module")
def encoder() -> GraFPrint:
    torch.manual_seed(0)
    return GraFPrint().eval()


@pytest.fixture(scope="module")
def inputs() -> torch.Tensor:
    return torch.rand(4, 3, 64, 32, generator=torch.Generator().manual_seed(1))


def test_it_has_the_papers_18_million_parameters(encoder):
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(18.4e6, rel=0.01)


def test_fingerprints_are_unit_vectors(encoder, inputs):
    with torch.inference_mode():
        z = encoder(inputs)
    assert z.shape == (4, 128)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(4))


def test_a_fingerprint_does_not_depend_on_its_batch(encoder, inputs):
    with torch.inference_mode():
        alone = torch.cat([encoder(x[None]) for x in inputs])
        torch.testing.assert_close(encoder(inputs), alone, atol=2e-3, rtol=0)


def test_graphs_come_from_the_forward_pass(encoder, inputs):
    seen: list[torch.Tensor] = []
    hooks = [
        block.linear_in.register_forward_hook(lambda _m, _i, output: seen.append(output))
        for stage in encoder.stages
        for block in stage
    ]
    with torch.inference_mode():
        z, graphs = encoder.forward_with_graphs(inputs)
        for hook in hooks:
            hook.remove()
        assert torch.equal(z, encoder(inputs))
    assert len(graphs) == 12
    assert [g.grid for g in graphs] == [(32, 16)] * 2 + [(16, 8)] * 2 + [(8, 4)] * 6 + [(4, 2)] * 2
    assert [g.dilation for g in graphs] == [1] * 4 + [2] * 4 + [3] * 2 + [2] * 2
    for features, block in zip(seen, graphs, strict=True):
        assert isinstance(block, BlockGraph)
        expected = knn(to_nodes(features), 3, block.dilation)
        assert torch.equal(block.graph.neighbours, expected.neighbours)
        assert torch.equal(block.graph.distances, expected.distances)
        assert len(block.positions) == block.graph.neighbours.shape[1]


def test_options_change_the_network():
    options = {
        "relative_position": True,
        "drop_path": 0.2,
        "k": 5,
        "widths": [16, 32, 48, 64],
        "depths": [1, 1, 1, 1],
    }
    network = build("grafprint", options).train()
    assert torch.isfinite(network(torch.rand(2, 3, 64, 32))).all()
    assert describe(network)["options"]["drop_path"] == 0.2
    blocks = [m for m in network.modules() if isinstance(m, GraphBlock)]
    rates = [block.drop_path.probability for block in blocks]
    assert rates == sorted(rates) and rates[0] == 0 and rates[-1] == pytest.approx(0.2)


def test_more_nodes_and_group_normalisation_are_options():
    options = {
        "widths": [16, 32, 48, 64],
        "depths": [1, 1, 1, 1],
        "stem_stride": [2, 1],
        "norm_groups": 8,
    }
    network = build("grafprint", options).train()
    assert isinstance(network, GraFPrint)
    assert [network.grid(stage) for stage in range(4)] == [(32, 32), (16, 16), (8, 8), (4, 4)]
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    inputs = torch.rand(4, 3, 64, 32)
    # Even in training a fingerprint does not depend on its batch.
    torch.testing.assert_close(network(inputs)[:1], network(inputs[:1]), atol=2e-3, rtol=0)
    _, graphs = network.eval().forward_with_graphs(inputs)
    assert graphs[0].positions.shape == (1024, 2)


def test_the_mean_channel_hears_no_equaliser():
    inputs = torch.rand(2, 3, 64, 32)
    equalised = inputs.clone()
    equalised[:, -1] += torch.linspace(-0.5, 0.5, 64)[:, None]
    added = add_mean_channel(inputs)
    assert added.shape == (2, 4, 64, 32) and torch.equal(added[:, :3], inputs)
    torch.testing.assert_close(add_mean_channel(equalised)[:, 3], added[:, 3], atol=1e-5, rtol=0)
    assert added[:, 3].mean(dim=2).abs().max() < 1e-5
    # With zero weights for it, a network is what it was without.
    plain, extended = GraFPrint(TINY).eval(), GraFPrint(replace(TINY, mean_channel=True)).eval()
    weights = plain.state_dict()
    stem = weights["stem.0.weight"]
    weights["stem.0.weight"] = torch.cat([stem, torch.zeros_like(stem[:, :1])], dim=1)
    extended.load_state_dict(weights)
    torch.testing.assert_close(extended(inputs), plain(inputs))


def test_added_options_do_not_change_the_description_of_older_networks():
    assert "norm_groups" not in describe(GraFPrint(TINY))["options"]
    changed = describe(build("grafprint", {"norm_groups": 4}))["options"]
    assert changed["norm_groups"] == 4 and "stem_stride" not in changed
    again = build("grafprint", changed)
    assert isinstance(again, GraFPrint) and again.config.norm_groups == 4


def test_every_parameter_gets_a_gradient():
    network = GraFPrint(TINY)
    a, b = network(torch.rand(8, 3, 64, 32)).chunk(2)
    (a - b).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_unknown_names_and_options_are_refused():
    with pytest.raises(ValueError, match=r"unknown encoder 'nope'; there are: grafprint"):
        build("nope")
    with pytest.raises(ValueError, match="no option depht"):
        build("grafprint", {"depht": 3})
