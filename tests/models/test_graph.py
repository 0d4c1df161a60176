"""The graph layers, compared with Eq. 2-4 of the paper written as plain loops."""

import pytest
import torch
from torch import nn

from grafprint.models.graph import (
    DropPath,
    GraphBlock,
    MaxRelativeConv,
    dilation_of,
    knn,
    max_relative,
    node_positions,
    relative_position_bias,
    to_nodes,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_knn_equals_naive_search(dilation: int):
    nodes = torch.randn(3, 40, 16)
    graph = knn(nodes, 4, dilation)
    for b in range(3):
        unit = nodes[b] / nodes[b].norm(dim=1, keepdim=True)
        for i in range(40):
            others = [(float((unit[i] - unit[j]).norm()), j) for j in range(40) if j != i]
            expected = sorted(others)[: 4 * dilation : dilation]
            assert graph.neighbours[b, i].tolist() == [j for _, j in expected]
            distances = torch.tensor([d for d, _ in expected])
            torch.testing.assert_close(graph.distances[b, i], distances, atol=1e-4, rtol=0)


def test_knn_never_returns_the_node_itself_even_among_equal_nodes():
    nodes = torch.ones(1, 10, 8)
    neighbours = knn(nodes, 3).neighbours
    assert (neighbours != torch.arange(10).view(1, 10, 1)).all()


def test_knn_refuses_more_neighbours_than_there_are():
    with pytest.raises(ValueError, match="more than 8 nodes"):
        knn(torch.randn(1, 8, 4), 4, dilation=2)


@pytest.mark.parametrize("gradient", [False, True])
def test_max_relative_equals_eq_2(gradient: bool):
    nodes = torch.randn(2, 12, 5, requires_grad=gradient)
    neighbours = torch.randint(12, (2, 12, 3))
    result = max_relative(nodes, neighbours)
    for b in range(2):
        for i in range(12):
            for c in range(5):
                differences = [nodes[b, j, c] - nodes[b, i, c] for j in neighbours[b, i]]
                assert result[b, i, c].item() == pytest.approx(max(differences).item(), abs=1e-6)


def test_convolution_equals_eq_3_with_grouped_weights():
    conv = MaxRelativeConv(8, groups=4).eval()
    x = torch.randn(2, 8, 3, 4)
    neighbours = torch.randint(12, (2, 12, 3))
    result = to_nodes(conv(x, neighbours))
    weight = conv.state_dict()["update.0.weight"][:, :, 0, 0]  # [16, 4]
    nodes, relative = to_nodes(x), max_relative(to_nodes(x), neighbours)
    for i in range(12):
        both = [v for c in range(8) for v in (nodes[1, i, c], relative[1, i, c])]
        for out in range(16):
            group = out // 4  # each group of 4 outputs sees its own 4 inputs
            value = torch.stack([both[4 * group + n] * weight[out, n] for n in range(4)]).sum()
            # Evaluation-mode batch norm of an untrained layer only divides by sqrt(1 + eps).
            assert result[1, i, out].item() == pytest.approx(value.item(), abs=1e-4)


def test_block_equals_eq_4():
    block = GraphBlock(8, (4, 4), k=3).eval()
    x = torch.randn(2, 8, 4, 4)
    y, graph = block(x)
    inside = block.linear_in(x)
    assert torch.equal(graph.neighbours, knn(to_nodes(inside), 3).neighbours)
    message = block.conv(inside, graph.neighbours)
    torch.testing.assert_close(y, block.linear_out(nn.functional.gelu(message)) + x)


def test_block_learns_through_the_graph():
    block = GraphBlock(8, (4, 4), k=3)
    x = torch.randn(2, 8, 4, 4, requires_grad=True)
    block(x)[0].square().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all() and x.grad.abs().sum() > 0


def test_relative_position_prefers_near_nodes():
    bias = relative_position_bias(32, (8, 4))
    assert bias.shape == (32, 32)
    torch.testing.assert_close(bias, bias.T)
    assert bias[0, 1] < bias[0, 3] and bias[0, 4] < bias[0, 28]
    nodes = torch.randn(1, 32, 16)
    free, bound = knn(nodes, 3).neighbours, knn(nodes, 3, bias=10 * bias).neighbours

    def reach(neighbours: torch.Tensor) -> float:
        place = node_positions((8, 4), (8, 4))
        return (place[neighbours[0]] - place[:, None]).norm(dim=-1).mean().item()

    assert reach(bound) < reach(free)


def test_dilation_advances_and_stays_within_the_graph():
    assert [dilation_of(b, 3, 512) for b in range(12)] == [1] * 4 + [2] * 4 + [3] * 4
    assert dilation_of(11, 3, 8) == 2  # 3 * 2 <= 7 neighbours exist
    assert dilation_of(11, 9, 8) == 1


def test_drop_path_keeps_the_mean_and_is_off_in_evaluation():
    x = torch.ones(4000, 2, 1, 1)
    drop = DropPath(0.25)
    y = drop(x)
    assert y.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert (y[:, 0] == y[:, 1]).all() and y.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(x), x)


def test_positions_are_centres_on_the_spectrogram():
    positions = node_positions((32, 16), (64, 32))
    assert positions.shape == (512, 2)
    assert positions[0].tolist() == [0.5, 0.5] and positions[-1].tolist() == [62.5, 30.5]
    assert positions[17].tolist() == [2.5, 2.5]  # row 1, column 1
