"""What speaks for a label: the evidence is that of the forward pass, and where it says it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from grafprint.errors import AudioError
from grafprint.explore.tag_evidence import ALL_EDGES, POOLED, SILENCED, mask_of, masked
from grafprint.explore.tag_graph import (
    TagGraph,
    inspect_spectrogram,
    inspect_tags,
    silence_squares,
    strongest_ties,
)
from grafprint.models.taggers import ATGNN, features_of, save_tagger
from grafprint.tagging import ClipTagger
from tests import taggers
from tests.training.labelled_clips import LABELS, clip

SHAPE = taggers.TINY.input_shape


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> ClipTagger:
    return ClipTagger.load(taggers.save(tmp_path_factory.mktemp("tagger") / "t.safetensors"))


@pytest.fixture(scope="module")
def graph(tagger: ClipTagger) -> TagGraph:
    """Of hum, then silence."""
    return inspect_tags(tagger, clip("Hum", 40, 1.0).astype(np.float32))


def test_it_is_what_the_tagger_says(tagger: ClipTagger, graph: TagGraph):
    tags = tagger.tag(clip("Hum", 40, 1.0).astype(np.float32))
    np.testing.assert_allclose(graph.probabilities, tags.probabilities, rtol=1e-4)
    assert graph.label_logits is not None
    np.testing.assert_allclose(graph.logits, graph.patch_logits + graph.label_logits, atol=1e-5)
    assert graph.labels == LABELS and graph.spectrogram.shape == SHAPE
    assert graph.spectrogram.max() == 1 and graph.spectrogram.min() >= 0


def test_there_is_evidence_of_every_label_block_and_of_the_pooled_patches(graph: TagGraph):
    names = ["label block 1", "label block 2", "label block 3", ALL_EDGES, POOLED]
    assert [e.name for e in graph.evidence] == names
    assert [e.side for e in graph.evidence] == [8, 16, 32, 8, 32]
    for evidence in graph.evidence:
        rows, columns = evidence.grid
        assert (rows * evidence.side, columns * evidence.side) == SHAPE
        assert evidence.values.shape == (len(LABELS), rows * columns) == (3, evidence.nodes)
        if evidence.name != POOLED:
            np.testing.assert_allclose(evidence.values.sum(axis=1), 1, rtol=1e-5)
    assert graph.by_name(POOLED) is graph.evidence[-1]
    with pytest.raises(KeyError):
        graph.by_name("none")


def test_the_values_of_edges_are_the_winners_shares(graph: TagGraph):
    for edges, evidence in zip(graph.edges, graph.evidence[:3], strict=True):
        for label in range(len(LABELS)):
            expected = np.zeros(evidence.nodes)
            for patch, weight in zip(edges.patches[label], edges.weights[label], strict=True):
                expected[patch] += weight
            np.testing.assert_allclose(evidence.values[label], expected, rtol=1e-6)
            assert set(evidence.lit(label, 99)) <= set(edges.patches[label].tolist())


def test_all_blocks_together_are_the_mean_of_their_pictures(graph: TagGraph):
    pictures = [e.on_spectrogram(1, SHAPE) / e.side**2 for e in graph.evidence[:3]]
    together = graph.by_name(ALL_EDGES).on_spectrogram(1, SHAPE)
    np.testing.assert_allclose(together / 64, np.mean(pictures, axis=0), rtol=1e-4, atol=1e-9)


def test_pooled_evidence_is_what_leaving_a_patch_out_changes(tagger: ClipTagger, graph: TagGraph):
    """By the network itself: its head, on the mean of all patches but one."""
    network = tagger.network
    inputs = torch.from_numpy(graph.spectrogram)[None]
    with torch.no_grad():
        _, graphs = network.forward_with_graphs(inputs)
        nodes = graphs.patches[0].flatten(1).T
        for left_out in range(len(nodes)):
            others = [n for n in range(len(nodes)) if n != left_out]
            logits = network.patch_head(nodes[others].mean(dim=0)[None, :, None, None]).flatten()
            expected = graphs.patch_logits[0] - logits
            found = graph.by_name(POOLED).values[:, left_out]
            np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
        whole = network.patch_head(nodes.mean(dim=0)[None, :, None, None]).flatten()
        np.testing.assert_allclose(graph.patch_logits, whole, atol=1e-4)


def test_silenced_squares_are_what_the_whole_network_says(tagger: ClipTagger, graph: TagGraph):
    found = silence_squares(tagger, graph, 16)
    assert found.name == SILENCED and found.grid == (4, 4) and found.values.shape == (3, 16)
    for node in (0, 7, 15):
        row, column = divmod(node, 4)
        without = torch.from_numpy(graph.spectrogram.copy())
        without[16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 0
        with torch.no_grad():
            logits = tagger.network(without[None])[0].numpy()
        np.testing.assert_allclose(found.values[:, node], graph.logits - logits, atol=1e-4)
    # Where it is silent already, nothing changes: the second half of the clip.
    np.testing.assert_allclose(found.values[:, [3, 7, 11, 15]], 0, atol=1e-4)


def test_lit_nodes_are_those_that_speak_most_for_a_label(graph: TagGraph):
    evidence = graph.by_name(POOLED)
    lit = evidence.lit(1, 2)
    values = evidence.values[1]
    assert len(lit) <= 2 and (values[lit] > 0).all()
    assert values[lit].tolist() == sorted(values, reverse=True)[: len(lit)]
    against = replace(evidence, values=-np.abs(evidence.values))
    assert len(against.lit(1, 2)) == 0


def test_a_mask_covers_the_squares_of_its_nodes(graph: TagGraph):
    mask = mask_of(np.array([1, 6]), (4, 4), 16, SHAPE)
    assert mask.sum() == 2 * 16 * 16
    assert mask[:16, 16:32].all() and mask[16:32, 32:48].all()
    without = masked(graph.spectrogram, mask)
    only = masked(graph.spectrogram, mask, keep=True)
    assert not without[mask].any() and not only[~mask].any()
    np.testing.assert_array_equal(without + only, graph.spectrogram)
    # A clip whose last square is cut off.
    assert mask_of(np.array([3]), (2, 2), 16, (32, 20)).sum() == 16 * 4


def test_the_strongest_ties_are_those_of_the_last_label_block(graph: TagGraph, tagger: ClipTagger):
    adjacency = tagger.network.label_stages[-1][-1].llg.adjacency.detach().numpy()
    ties = strongest_ties(graph, 0, 5)
    assert sorted(j for j, _ in ties) == [1, 2]
    assert abs(ties[0][1]) >= abs(ties[1][1])
    assert all(weight == pytest.approx(adjacency[0, j]) for j, weight in ties)
    assert len(strongest_ties(graph, 0, 1)) == 1


def test_a_network_without_label_nodes_has_the_evidence_of_its_patches(tmp_path: Path):
    torch.manual_seed(0)
    network = ATGNN(replace(taggers.TINY, label_blocks=(0, 0, 0, 0))).eval()
    save_tagger(tmp_path / "t.safetensors", network, LABELS, features_of("small"))
    plain = ClipTagger.load(tmp_path / "t.safetensors")
    graph = inspect_spectrogram(plain, torch.rand(1, *SHAPE))
    assert [e.name for e in graph.evidence] == [POOLED]
    assert graph.label_logits is None and strongest_ties(graph, 0, 3) == []


def test_only_one_window_that_sounds_has_graphs(tagger: ClipTagger):
    for seconds in (0, 3 * tagger.window_samples):
        with pytest.raises(AudioError, match=r"graphs are those of one window, up to 2\.05 s"):
            inspect_tags(tagger, np.ones(seconds, np.float32))
    with pytest.raises(AudioError, match="this part is silent"):
        inspect_tags(tagger, np.zeros(16_000, np.float32))
