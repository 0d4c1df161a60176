"""The operations of the tagging network, compared with the paper's equations as plain loops."""

import pytest
import torch
from torch import Tensor, nn

from grafprint.models.graph import (
    knn,
    max_relative,
    relative_position_bias,
    to_nodes,
    winner_shares,
)
from grafprint.models.taggers.labels import (
    LabelBlock,
    LabelLabelGNN,
    PatchLabelConv,
    PatchLabelGNN,
)
from grafprint.models.taggers.patches import PatchBlock, position_bias, stem


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def pool_means(y: Tensor, side: int) -> list[Tensor]:
    """Means over squares of a map ``[C, H, W]``, row by row; squares at the edges are cut."""
    _, h, w = y.shape
    means = []
    for top in range(0, h, side):
        for left in range(0, w, side):
            rows, columns = range(top, min(top + side, h)), range(left, min(left + side, w))
            means.append(torch.stack([y[:, i, j] for i in rows for j in columns]).mean(dim=0))
    return means


def nearest(nodes: list[Tensor], keys: list[Tensor], bias: Tensor | None = None) -> list[list[int]]:
    """Keys from the nearest to the farthest, for every node, by naive search."""
    orders = []
    for i, node in enumerate(nodes):
        unit = node / node.norm()
        squared = [
            (unit - key / key.norm()).square().sum().item() + (0 if bias is None else bias[i, m])
            for m, key in enumerate(keys)
        ]
        orders.append(sorted(range(len(keys)), key=lambda m: squared[m]))
    return orders


@pytest.mark.parametrize("dilation", [1, 2])
def test_neighbours_among_keys_equal_naive_search(dilation: int):
    nodes, keys, bias = torch.randn(2, 10, 8), torch.randn(2, 15, 8), torch.randn(10, 15)
    graph = knn(nodes, 4, dilation, bias, keys=keys)
    for b in range(2):
        orders = nearest(list(nodes[b]), list(keys[b]), bias)
        assert graph.neighbours[b].tolist() == [o[: 4 * dilation : dilation] for o in orders]
    assert graph.keys is keys
    assert knn(nodes, 15, keys=keys).neighbours.shape == (2, 10, 15)
    with pytest.raises(ValueError, match="need more than 15 nodes"):
        knn(nodes, 8, dilation=2, keys=keys)


@pytest.mark.parametrize("gradient", [False, True])
def test_messages_of_keys_equal_eq_1(gradient: bool):
    nodes, keys = torch.randn(2, 6, 5), torch.randn(2, 9, 5, requires_grad=gradient)
    neighbours = torch.randint(9, (2, 6, 3))
    result = max_relative(nodes, neighbours, keys)
    for b in range(2):
        for i in range(6):
            for c in range(5):
                best = max((keys[b, j, c] - nodes[b, i, c]).item() for j in neighbours[b, i])
                assert result[b, i, c].item() == pytest.approx(best, abs=1e-6)


def test_weights_are_the_shares_of_channels_won():
    keys = torch.randn(2, 9, 40).round(decimals=1)  # rounded: some maxima are equal
    neighbours = torch.rand(2, 6, 9).argsort(dim=-1)[:, :, :4]
    shares = winner_shares(keys, neighbours)
    for b in range(2):
        for i in range(6):
            expected = [0.0] * 4
            for c in range(40):
                values = [float(keys[b, j, c]) for j in neighbours[b, i]]
                winners = [n for n, v in enumerate(values) if v == max(values)]
                for n in winners:
                    expected[n] += 1 / len(winners) / 40
            assert shares[b, i].tolist() == pytest.approx(expected, abs=1e-6)


def test_neighbours_without_weight_have_no_part_in_the_message():
    nodes = torch.randn(1, 30, 4)
    graph = knn(nodes, 9)
    shares = winner_shares(nodes, graph.neighbours)
    best = graph.neighbours.gather(2, shares.argmax(dim=-1, keepdim=True))
    without = torch.where(shares > 0, graph.neighbours, best)
    assert (without != graph.neighbours).any()
    assert torch.equal(max_relative(nodes, without), max_relative(nodes, graph.neighbours))


def test_position_terms_equal_those_of_all_pairs():
    whole = relative_position_bias(16, (6, 5))
    torch.testing.assert_close(position_bias(16, (6, 5), 1, torch.device("cpu")), whole)


def test_position_terms_of_pooled_keys_are_means_over_their_squares():
    whole = relative_position_bias(16, (6, 5)).view(30, 6, 5)
    pooled = position_bias(16, (6, 5), 4, torch.device("cpu"))
    torch.testing.assert_close(pooled, torch.stack(pool_means(whole, 4), dim=1))


@pytest.mark.parametrize("pool", [1, 2, 4])
@pytest.mark.parametrize("near", [False, True])
def test_patch_block_equals_eq_1_to_3(pool: int, near: bool):
    block = PatchBlock(8, k=3, dilation=2, pool=pool, relative_position=near).eval()
    x = torch.randn(2, 8, 6, 5)
    y, graph = block(x)
    inside = block.linear_in(x)
    dilation = block.neighbourhood((6, 5))[1]
    assert dilation == {1: 2, 2: 2, 4: 1}[pool]  # with pool 4 there are four candidates
    weight = block.conv.state_dict()["update.0.weight"][:, :, 0, 0]  # [16, 4]
    bias = position_bias(8, (6, 5), pool, x.device) if near else torch.zeros(30, 30)
    updated = torch.zeros(2, 16, 30)
    for b in range(2):
        nodes = list(to_nodes(inside)[b])
        keys = pool_means(inside[b], pool)
        for i, order in enumerate(nearest(nodes, keys, bias)):
            chosen = [m for m in order if pool > 1 or m != i][: 3 * dilation : dilation]
            assert graph.neighbours[b, i].tolist() == chosen
            message = torch.stack([keys[m] - nodes[i] for m in chosen]).amax(dim=0)
            both = torch.stack([nodes[i], message], dim=1).flatten()  # channel by channel
            for out in range(16):
                inputs = both[4 * (out // 4) : 4 * (out // 4) + 4]  # of its group of four
                updated[b, out, i] = (weight[out] * inputs).sum()
    updated /= (1 + 1e-5) ** 0.5  # batch normalisation of an untrained layer
    message = nn.functional.gelu(updated.view(2, 16, 6, 5))
    torch.testing.assert_close(y, block.linear_out(message) + x, atol=1e-4, rtol=1e-4)


def test_recording_weights_leaves_the_output_as_it_is():
    for pool in (1, 2):
        block = PatchBlock(8, k=3, pool=pool).eval()
        x = torch.randn(2, 8, 6, 5)
        y, graph, weights = block.forward_with_weights(x)
        plain, again = block(x)
        assert torch.equal(y, plain) and torch.equal(graph.neighbours, again.neighbours)
        keys = to_nodes(block.linear_in(x)) if graph.keys is None else graph.keys
        assert torch.equal(weights, winner_shares(keys, graph.neighbours))


def test_neighbours_and_dilation_shrink_with_the_map():
    block = PatchBlock(8, k=9, dilation=3)
    assert block.neighbourhood((8, 8)) == (9, 3)
    assert block.neighbourhood((4, 5)) == (9, 2)
    assert block.neighbourhood((2, 4)) == (7, 1)
    assert block.neighbourhood((1, 1)) == (1, 1)
    pooled = PatchBlock(8, k=9, dilation=3, pool=4)
    assert pooled.key_grid((9, 17)) == (3, 5) and pooled.neighbourhood((9, 17)) == (9, 1)
    for grid in [(1, 1), (1, 2), (9, 17)]:
        for each in (block, pooled):
            assert torch.isfinite(each.eval()(torch.randn(1, 8, *grid))[0]).all()


@pytest.mark.parametrize("halvings", [2, 4])
def test_stem_halves_both_axes_rounding_up(halvings: int):
    layers = stem(16, halvings).eval()
    convolutions = [m for m in layers if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == halvings + 1
    assert [c.out_channels for c in convolutions[-2:]] == [16, 16]
    side = 1 << halvings
    assert layers(torch.randn(1, 1, 32, 3 * side + 1)).shape == (1, 16, 32 // side, 4)


def test_label_update_equals_eq_4_and_5():
    channels, labels = 8, 5
    plg = PatchLabelGNN(channels, k=3).eval()
    x, patches = torch.randn(2, channels, labels, 1), torch.randn(2, 12, channels)
    y, graph = plg(x, patches)
    weight = plg.conv.state_dict()["update.0.weight"][:, :, 0, 0]
    assert weight.shape == (channels, 2 * channels // 4)  # 2C -> C in four groups
    for b in range(2):
        nodes = list(to_nodes(x)[b])
        for i, order in enumerate(nearest(nodes, list(patches[b]))):
            assert graph.neighbours[b, i].tolist() == order[:3]
            message = torch.stack([nodes[i] - patches[b, j] for j in order[:3]]).amax(dim=0)
            both = torch.stack([nodes[i], message], dim=1).flatten()
            for out in range(channels):
                inputs = both[4 * (out // 2) : 4 * (out // 2) + 4]
                update = (weight[out] * inputs).sum() / (1 + 1e-5) ** 0.5
                expected = nodes[i][out] + update
                assert y[b, out, i, 0].item() == pytest.approx(expected.item(), abs=1e-4)


def test_a_labels_weights_are_of_the_patches_with_the_largest_difference():
    block = LabelBlock(5, 8, k=3).eval()
    x, patches = torch.randn(1, 8, 5, 1), torch.randn(1, 12, 8)
    _, graph = block(x, patches)
    weights = block.weights(graph)
    for i in range(5):
        wins = [0] * 3
        for c in range(8):
            gaps = [float(x[0, c, i, 0] - patches[0, j, c]) for j in graph.neighbours[0, i]]
            wins[gaps.index(max(gaps))] += 1
        assert weights[0, i].tolist() == pytest.approx([w / 8 for w in wins])


def test_label_graph_equals_eq_6():
    llg = LabelLabelGNN(5)
    assert llg.adjacency.abs().max().item() <= 5**-0.5
    x = torch.randn(2, 8, 5, 1)
    y = llg(x)
    for b in range(2):
        for i in range(5):
            for c in range(8):
                told = sum((llg.adjacency[i, j] * x[b, c, j, 0]).item() for j in range(5))
                assert y[b, c, i, 0].item() == pytest.approx(told + float(x[b, c, i, 0]), abs=1e-5)


def test_a_label_block_is_plg_then_ffn_then_llg():
    block = LabelBlock(5, 8, k=3).eval()
    x, patches = torch.randn(2, 8, 5, 1), torch.randn(2, 12, 8)
    y, _ = block(x, patches)
    torch.testing.assert_close(y, block.llg(block.ffn(block.plg(x, patches)[0])))


def test_the_label_graph_does_not_overflow_in_half_precision():
    llg = LabelLabelGNN(200)
    labels = torch.full((1, 4, 200, 1), 60_000.0, dtype=torch.float16)
    with torch.no_grad():
        llg.adjacency.fill_(0.1)
    with torch.autocast("cpu", torch.float16):
        refined = llg(labels)
    assert refined.dtype == torch.float32
    torch.testing.assert_close(refined, labels.float() * 21, rtol=1e-4, atol=0)


def test_messages_reach_patches_and_labels_in_the_backward_pass():
    conv = PatchLabelConv(8)
    labels = torch.randn(2, 8, 5, 1, requires_grad=True)
    patches = torch.randn(2, 12, 8, requires_grad=True)
    graph = knn(to_nodes(labels), 3, keys=patches)
    conv(labels, graph.neighbours, patches).square().sum().backward()
    for tensor in (labels, patches):
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0
