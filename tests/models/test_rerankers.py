"""The re-ranker of sample identification: what it learns, its negatives, scores and files."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from grafprint.errors import CheckpointError
from grafprint.models import checkpoint
from grafprint.models.rerankers import (
    CrossAttention,
    CrossAttentionConfig,
    load_reranker,
    save_reranker,
    song_score,
)
from grafprint.models.rerankers.cross_attention import choose_negatives

TINY = CrossAttentionConfig(nodes_width=16, width=32, hidden_width=16)


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_it_has_the_published_size() -> None:
    network = CrossAttention(CrossAttentionConfig())
    inner = [*network.attention.parameters(), *network.classify.parameters()]
    assert 1.1e6 < sum(p.numel() for p in inner) < 1.13e6
    assert network.attention.num_heads == 4


def test_each_querys_attention_sums_to_one_over_the_references_nodes() -> None:
    judged = CrossAttention(TINY)(torch.randn(3, 8, 16), torch.randn(3, 6, 16))
    assert judged.attention.shape == (3, 4, 8, 6)
    torch.testing.assert_close(judged.attention.sum(dim=-1), torch.ones(3, 4, 8))
    assert judged.probability.shape == (3,)


def test_at_the_start_attention_is_to_nodes_that_are_alike() -> None:
    torch.manual_seed(0)
    network = CrossAttention(CrossAttentionConfig())
    nodes = torch.randn(4, 32, 384) + 5 * torch.randn(384)  # most of a node is in all of them
    attention = network(nodes, nodes.flip(1)).attention
    assert (attention.argmax(dim=-1) == torch.arange(32).flip(0)).float().mean() > 0.95


@pytest.mark.parametrize("common", [0.0, 5.0])
def test_it_learns_to_tell_nodes_that_return_from_others(common: float) -> None:
    torch.manual_seed(0)
    shared = common * torch.randn(16)
    network, generator = CrossAttention(TINY), draw(1)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)

    def pairs(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        reference = torch.randn(n, 8, 16, generator=generator)
        sampled = torch.arange(n) % 2
        query = torch.randn(n, 8, 16, generator=generator)
        noisy = reference.flip(1) + 0.2 * torch.randn(n, 8, 16, generator=generator)
        query = torch.where(sampled[:, None, None] == 1, noisy, query)
        return query + shared, reference + shared, sampled

    for _ in range(300):
        query, reference, sampled = pairs(64)
        loss = network(query, reference).loss(sampled)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    query, reference, sampled = pairs(400)
    right = (network(query, reference).probability >= 0.5) == sampled.bool()
    assert right.float().mean() > 0.9


def test_negatives_are_similar_and_never_of_a_song_in_the_query() -> None:
    generator = draw(2)
    n = 96
    songs = torch.stack([torch.arange(n) // 3, (torch.arange(n) // 3 + 5) % 32], dim=1)
    references = F.normalize(torch.randn(n, 16, generator=generator), dim=1)
    queries = F.normalize(references + 0.1 * torch.randn(n, 16, generator=generator), dim=1)
    chosen = choose_negatives(queries, references, songs, generator, among=4)
    owners = songs[chosen, 0]
    assert (owners[:, None] != songs).all()  # neither sampled nor the overlay
    likeness = queries @ references.T
    of_chosen = likeness.gather(1, chosen[:, None])[:, 0]
    assert (of_chosen > likeness.quantile(0.85, dim=1)).all()


def test_a_batch_of_one_song_has_no_negatives() -> None:
    prints = F.normalize(torch.randn(4, 8), dim=1)
    with pytest.raises(ValueError, match="no reference of another song"):
        choose_negatives(prints, prints, torch.zeros(4, 1, dtype=torch.long), draw(3))


def test_few_usable_references_are_enough() -> None:
    prints = F.normalize(torch.randn(3, 8, generator=draw(4)), dim=1)
    songs = torch.tensor([[0], [0], [1]])
    assert choose_negatives(prints, prints, songs, draw(5)).tolist()[:2] == [2, 2]


def test_a_songs_score_sums_the_best_of_each_segment_that_is_likely() -> None:
    segments = np.array([7, 7, 9, 12])
    probabilities = np.array([0.6, 0.9, 0.49, 0.5])
    assert song_score(segments, probabilities) == pytest.approx(1.4)
    assert song_score(segments[2:3], probabilities[2:3]) == 0
    assert song_score(np.array([], int), np.array([])) == 0


def test_a_reranker_survives_its_file_and_refuses_another_encoder(tmp_path: Path) -> None:
    network = CrossAttention(TINY).half().float().eval()
    save_reranker(tmp_path / "r.safetensors", network, "abc", {"steps": 3})
    loaded = load_reranker(tmp_path / "r.safetensors")
    query, reference = torch.randn(2, 8, 16), torch.randn(2, 8, 16)
    assert torch.equal(loaded.network(query, reference).logits, network(query, reference).logits)
    assert loaded.facts == {"steps": 3}
    loaded.check("abc")
    with pytest.raises(CheckpointError, match="another encoder"):
        loaded.check("abd")


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.write(path, {"a": torch.zeros(1)}, {"format": 1, "kind": "encoder"})
    with pytest.raises(CheckpointError, match="not a re-ranker"):
        load_reranker(path)
    save_reranker(path, CrossAttention(TINY), "abc")
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 64
    path.write_bytes(bytes(damaged))
    with pytest.raises(CheckpointError, match="damaged"):
        load_reranker(path)


def test_negatives_can_be_of_earlier_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, references = torch.rand(2, 4, generator=generator), torch.rand(9, 4)
    owners = torch.tensor([0, 1, 2, 2, 3, 4, 5, 0, 1])
    songs = torch.tensor([[0, 2], [1, -1]])
    for _ in range(30):
        chosen = choose_negatives(queries, references, songs, generator, 99, owners=owners)
        assert int(owners[chosen[0]]) not in (0, 2) and int(owners[chosen[1]]) != 1


def test_less_similar_references_are_drawn_too_and_the_nearest_most_often() -> None:
    references = F.normalize(torch.rand(256, 8, generator=draw(0)), dim=1)
    queries = references[:1].expand(4000, -1)
    owners = torch.arange(1, 257)
    songs = torch.zeros(4000, 1, dtype=torch.long)
    chosen = choose_negatives(queries, references, songs, draw(1), 256, owners=owners)
    order = (queries[:1] @ references.T)[0].argsort(descending=True)
    rank = order.argsort()[chosen] + 1
    # As many from each octave of the rank: 256 are eight.
    shares = torch.histc(rank.float().log2(), 8, 0, 8) / 4000
    assert (shares[1:] > 0.08).all() and shares.max() < 0.2
    assert (rank == 1).float().mean() > 0.1
