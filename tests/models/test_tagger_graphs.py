"""The graphs that a tagger returns are those of the very forward pass."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from grafprint.models.graph import KNNGraph, knn, to_nodes, winner_shares
from grafprint.models.taggers import ATGNN, TaggingGraphs
from grafprint.models.taggers.labels import LabelBlock
from grafprint.models.taggers.patches import PatchBlock
from tests.models.test_tagger import TINY

FRAMES = 90
BLOCKS = [(0, 0), (1, 0), (2, 0), (2, 1), (3, 0)]


@pytest.fixture(scope="module")
def seen() -> tuple[ATGNN, Tensor, TaggingGraphs, dict[str, list[Tensor]]]:
    """A network, its logits and graphs of a batch, and what its modules computed meanwhile."""
    torch.manual_seed(0)
    network = ATGNN(TINY).eval()
    inside: dict[str, list[Tensor]] = {"patches": [], "labels": [], "label inputs": []}

    def keep_patches(_module: nn.Module, _given: tuple[Tensor, ...], output: Tensor) -> None:
        inside["patches"].append(output)

    def keep_labels(
        _module: nn.Module, given: tuple[Tensor, ...], output: tuple[Tensor, KNNGraph]
    ) -> None:
        inside["label inputs"].append(to_nodes(given[0]))
        inside["labels"].append(output[0])

    hooks = []
    for module in network.modules():
        if isinstance(module, PatchBlock):
            hooks.append(module.linear_in.register_forward_hook(keep_patches))
        if isinstance(module, LabelBlock):
            hooks.append(module.register_forward_hook(keep_labels))
    with torch.no_grad():
        x = torch.rand(2, 32, FRAMES)
        logits, graphs = network.forward_with_graphs(x)
        for hook in hooks:
            hook.remove()
        assert torch.equal(logits, network(x))
    return network, logits, graphs, inside


def test_every_block_has_its_graph(seen):
    _, _, graphs, _ = seen
    assert [(g.stage, g.block) for g in graphs.patch_graphs] == BLOCKS
    assert [g.grid for g in graphs.patch_graphs] == [(8, 23), (4, 12), (2, 6), (2, 6), (1, 3)]
    assert [g.key_grid for g in graphs.patch_graphs] == [(2, 6), (2, 6), (2, 6), (2, 6), (1, 3)]
    assert [(g.stage, g.block) for g in graphs.label_graphs] == BLOCKS
    assert [g.grid for g in graphs.label_graphs] == [(8, 23), (4, 12), (2, 6), (2, 6), (1, 3)]


def test_patch_graphs_are_those_of_the_nodes_inside(seen):
    network, _, graphs, inside = seen
    blocks = [m for m in network.modules() if isinstance(m, PatchBlock)]
    for y, block, found in zip(inside["patches"], blocks, graphs.patch_graphs, strict=True):
        expected = block.graph(y)
        assert torch.equal(found.graph.neighbours, expected.neighbours)
        assert torch.equal(found.graph.distances, expected.distances)
        keys = to_nodes(y) if expected.keys is None else expected.keys
        assert torch.equal(found.weights, winner_shares(keys, expected.neighbours))
        torch.testing.assert_close(found.weights.sum(dim=-1), torch.ones(found.weights.shape[:2]))
        assert len(found.positions) == y.shape[2] * y.shape[3]
        assert found.graph.neighbours.max() < len(found.key_positions) == keys.shape[1]


def test_label_graphs_are_those_of_the_labels_inside(seen):
    network, _, graphs, inside = seen
    blocks = [m for m in network.modules() if isinstance(m, LabelBlock)]
    for labels, block, found in zip(
        inside["label inputs"], blocks, graphs.label_graphs, strict=True
    ):
        patches = found.patches.keys
        expected = knn(labels, 3, keys=patches)
        assert torch.equal(found.patches.neighbours, expected.neighbours)
        assert found.weights.shape == (2, 6, 3)
        torch.testing.assert_close(found.weights.sum(dim=-1), torch.ones(2, 6))
        assert len(found.positions) == patches.shape[1]
        assert torch.equal(found.adjacency, block.llg.adjacency)


def test_logits_are_the_sum_of_both_terms(seen):
    network, logits, graphs, inside = seen
    assert torch.equal(logits, graphs.patch_logits + graphs.label_logits)  # Eq. 9
    labels = to_nodes(inside["labels"][-1])
    for b in range(2):
        for i in range(6):  # Eq. 8
            readout = network.readout[i].tolist()
            expected = sum(w * v for w, v in zip(readout, labels[b, i].tolist(), strict=True))
            assert graphs.label_logits[b, i].item() == pytest.approx(expected, abs=1e-4)


def test_positions_are_centres_on_the_input(seen):
    _, _, graphs, _ = seen
    first, last = graphs.patch_graphs[0], graphs.patch_graphs[-1]
    assert first.positions[0].tolist() == [1.5, 1.5]  # squares of 4 x 4
    assert first.positions[24].tolist() == [5.5, 5.5]  # row 1, column 1
    assert first.key_positions[0].tolist() == [7.5, 7.5]  # squares of 4 x 4 nodes
    # The last square has three columns of nodes: 20, 21, 22.
    assert first.key_positions[5].tolist() == [7.5, 85.5]
    assert last.positions.tolist() == [[15.5, 15.5], [15.5, 47.5], [15.5, 79.5]]
    assert torch.equal(last.positions, last.key_positions)


def test_a_network_without_label_nodes_has_patch_graphs_only():
    torch.manual_seed(0)
    network = ATGNN(replace(TINY, label_blocks=(0, 0, 0, 0))).eval()
    with torch.inference_mode():
        logits, graphs = network.forward_with_graphs(torch.rand(1, 32, 64))
    assert not graphs.label_graphs and graphs.label_logits is None
    assert torch.equal(logits, graphs.patch_logits) and len(graphs.patch_graphs) == 5
