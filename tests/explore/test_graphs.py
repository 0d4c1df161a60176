"""The inspected graphs are the encoder's own, and their measures are right."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch

from grafprint import audio
from grafprint.degradation import Degradation, degrade
from grafprint.explore.graph_export import graphml_text, json_text, to_json, to_networkx
from grafprint.explore.graphs import (
    NodeGraph,
    clusters,
    compare,
    histogram,
    inspect,
    reach,
    segment,
)
from grafprint.fingerprint import Fingerprinter
from grafprint.models.encoders import GraFPrint
from grafprint.models.encoders.grafprint import GraFPrintConfig
from grafprint.models.features import FeatureConfig, LogMel, mel_bin_hz
from tests.paths import ASSETS

START_S = 2.0


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    path = ASSETS / "music" / "freecol-musicbox.opus"
    return audio.load(path, start_s=20.0, duration_s=5.0)


@pytest.fixture(scope="module")
def inputs(fingerprinter: Fingerprinter, music: np.ndarray) -> torch.Tensor:
    """A segment of music, the same with babble, and another one."""
    crowded = degrade(music, Degradation(5.0, "babble", seed=0))
    places = [(music, START_S), (crowded, START_S), (music, 0.5)]
    return torch.cat([segment(fingerprinter, sound, at) for sound, at in places])


@pytest.fixture(scope="module")
def graphs(fingerprinter: Fingerprinter, inputs: torch.Tensor) -> list[list[NodeGraph]]:
    return inspect(fingerprinter, inputs)[1]


def of_edges(neighbours: list[list[int]], grid: tuple[int, int]) -> NodeGraph:
    """A graph of cells of 100 ms and one mel bin, an octave each."""
    listed = np.array(neighbours)
    n = len(listed)
    row, column = np.divmod(np.arange(n), grid[1])
    return NodeGraph(
        0, 0, 0, grid, 1, listed, np.full(listed.shape, 0.5), np.zeros(n, int), np.zeros(n),
        row.astype(float), column.astype(float), 100.0 * 2.0**row, 0.1 * column,
    )  # fmt: skip


def test_the_segment_is_the_one_that_the_fingerprint_is_computed_from(
    fingerprinter: Fingerprinter, music: np.ndarray, inputs: torch.Tensor
):
    prints, _ = inspect(fingerprinter, inputs[:1])
    place = round(START_S / fingerprinter.hop_s)
    assert float(prints[0] @ fingerprinter(music)[place]) == pytest.approx(1, abs=1e-3)
    last = segment(fingerprinter, music, 99.0)
    assert torch.equal(last, segment(fingerprinter, music, 4.0))
    with pytest.raises(ValueError, match="at least 1 s"):
        segment(fingerprinter, music[:9000], 0.0)
    with pytest.raises(ValueError, match="number of seconds"):
        segment(fingerprinter, music, float("nan"))


def test_silence_has_a_graph(fingerprinter: Fingerprinter):
    silence = segment(fingerprinter, np.zeros(20_000, np.float32), 0.0)
    for graph in inspect(fingerprinter, silence)[1][0]:
        assert graph.degree.sum() == graph.neighbours.size
        assert np.isfinite(graph.distances).all() and np.isfinite(graph.change).all()


def test_the_graphs_are_those_of_the_forward_pass(
    fingerprinter: Fingerprinter, inputs: torch.Tensor, graphs: list[list[NodeGraph]]
):
    prints, blocks = fingerprinter.graphs(inputs)
    # CPUs with AMX compute bfloat16 products of other sizes in another order.
    tolerance = 1e-5 if fingerprinter.precision == "fp32" else 5e-3
    assert torch.allclose(prints, fingerprinter.encode(inputs), atol=tolerance)
    for i, listed in enumerate(graphs):
        assert [g.number for g in listed] == list(range(len(blocks)))
        for graph, block in zip(listed, blocks, strict=True):
            assert (graph.neighbours == block.graph.neighbours[i].numpy()).all()
            assert (graph.distances == block.graph.distances[i].numpy()).all()
            exported = to_networkx(graph)
            assert {(a, b) for a, b in graph.edges} == set(exported.edges)


def test_change_is_the_relative_length_of_a_blocks_update(inputs: torch.Tensor):
    torch.manual_seed(0)
    encoder = GraFPrint(GraFPrintConfig(depths=(1, 1), widths=(16, 32))).eval()
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    block, ffn = encoder.stages[0][0], encoder.ffns[0][0]  # type: ignore[index]
    block.register_forward_pre_hook(lambda _m, given: kept.append((given[0], given[0])))
    ffn.register_forward_hook(lambda _m, _i, out: kept.append((out, out)))
    with torch.inference_mode():
        _, blocks = encoder.forward_with_graphs(inputs)
    before, after = (pair[0][0, :, 0, 5] for pair in kept)  # the sixth node: row 0, column 5
    expected = (after - before).norm() / before.norm()
    assert blocks[0].change.shape == (3, 512)
    assert float(blocks[0].change[0, 5]) == pytest.approx(float(expected), rel=1e-4)


def test_degrees_sum_to_the_number_of_edges(graphs: list[list[NodeGraph]]):
    for graph in graphs[0]:
        assert graph.degree.sum() == graph.neighbours.size == len(graph.edges)
    assert of_edges([[1, 2], [2, 0], [1, 0]], (1, 3)).degree.tolist() == [2, 2, 2]
    assert of_edges([[1], [2], [1]], (1, 3)).degree.tolist() == [0, 2, 1]


def test_edges_survive_in_the_same_graph_and_not_in_a_shuffled_one(graphs: list[list[NodeGraph]]):
    graph = graphs[0][0]
    same = compare(graph, graph)
    assert same.share == 1 and len(same.survived) == graph.neighbours.size
    assert len(same.vanished) == len(same.appeared) == 0
    rows = np.random.default_rng(0).permutation(graph.nodes)
    shuffled = compare(graph, replace(graph, neighbours=graph.neighbours[rows]))
    assert shuffled.share < 5 * shuffled.by_chance < 0.05
    degraded, other = compare(graph, graphs[1][0]).share, compare(graph, graphs[2][0]).share
    assert shuffled.share < other < degraded < 1
    with pytest.raises(ValueError, match="same block"):
        compare(graph, graphs[0][5])


def test_edges_that_vanish_and_appear_are_distinguished():
    found = compare(of_edges([[1], [2], [1]], (1, 3)), of_edges([[2], [2], [1]], (1, 3)))
    assert found.survived.tolist() == [[1, 2], [2, 1]]
    assert found.vanished.tolist() == [[0, 1]] and found.appeared.tolist() == [[0, 2]]
    assert found.kept.tolist() == found.known.tolist() == [[False], [True], [True]]
    assert found.share == pytest.approx(2 / 3) and found.by_chance == 0.5


def test_the_reach_of_known_edges():
    grid = of_edges([[5], [0], [1], [0], [3], [2]], (2, 3))  # node 5: row 1, column 2
    found = reach(grid)
    assert found.time_s.ravel() == pytest.approx([0.2, 0.1, 0.1, 0.0, 0.1, 0.0])
    assert found.mel_bins.ravel().tolist() == [1, 0, 0, 1, 0, 1]
    assert found.octaves.ravel() == pytest.approx([1, 0, 0, 1, 0, 1])
    shares = histogram(found.time_s, 0.4, bins=4)
    assert shares == pytest.approx([1 / 3, 1 / 2, 1 / 6, 0])


def test_a_mel_bins_frequency_is_where_its_filter_peaks():
    config = FeatureConfig()
    peaks = LogMel(config).filters.numpy().argmax(axis=0) * config.sample_rate_hz / config.n_fft
    found = mel_bin_hz(np.arange(config.n_mels), config)
    assert np.abs(found - peaks).max() <= config.sample_rate_hz / config.n_fft
    assert (np.diff(mel_bin_hz(np.arange(0, 63.5, 0.5), config)) > 0).all()


def test_clusters_are_by_direction_ordered_from_low_to_high_and_shared_by_graphs():
    rng = np.random.default_rng(0)
    low, high = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    sound = np.concatenate([low + 0.1 * rng.random((6, 3)), high + 0.1 * rng.random((4, 3))])
    first, second = clusters([sound, 7 * sound[::-1]], 2, seed=3)
    assert first.tolist() == [0] * 6 + [1] * 4 and second.tolist() == first[::-1].tolist()
    assert clusters([np.ones((4, 3))], 5)[0].tolist() == [0] * 4


def test_graphml_and_json_read_back_as_the_same_graph(graphs: list[list[NodeGraph]]):
    clean, degraded = graphs[0][4], graphs[1][4]
    made = to_networkx(clean, compare(clean, degraded).kept)
    for read in (
        nx.parse_graphml(graphml_text(made), node_type=int),
        nx.node_link_graph(to_json(made), edges="edges"),
    ):
        assert set(read.edges) == {(a, b) for a, b in clean.edges} and len(read) == 32
        for (a, rank), b in np.ndenumerate(clean.neighbours):
            edge = read.edges[a, int(b)]
            assert edge["distance"] == pytest.approx(float(clean.distances[a, rank]))
            assert edge["rank"] == rank + 1
        node = read.nodes[9]  # row 2, column 1
        assert node["mel_bin"] == clean.mel_bin[9] and node["degree"] == clean.degree[9]
        assert node["cluster"] == clean.cluster[9] and node["time_s"] == pytest.approx(0.368)
        shared = sum(edge["shared"] for _, _, edge in read.edges(data=True))
        assert shared == len(compare(clean, degraded).survived)
    assert '"nodes": [{"mel_bin": 3.5' in json_text(made)
