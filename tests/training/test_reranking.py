"""Training of the re-ranker: what it learns, what its negatives are, resuming, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from assets.stems.songs import Song, write_song, write_table
from grafprint.errors import CheckpointError, ConfigError, DataError
from grafprint.fingerprint import Fingerprinter
from grafprint.models import checkpoint
from grafprint.models.rerankers import load_reranker
from grafprint.training import Progress
from grafprint.training.loop import state_path
from grafprint.training.reranking import train_reranker
from grafprint.training.reranking_config import RerankingConfig, load_reranking_config
from grafprint.training.reranking_data import Memory, NodePairs, draw_negatives
from tests.libraries import excerpt
from tests.sample_networks import fingerprinter as trained_encoder

CONFIG = RerankingConfig(
    steps=8, batch=3, stem_share=0.3, among=2, memory=6, learning_rate=2e-3, warmup_steps=1,
    network={"width": 32, "hidden_width": 16}, save_every=4, validate_every=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five songs to learn from, one in stems, and three that are held out."""
    out = tmp_path_factory.mktemp("stems")
    parts = [("a", excerpt(0, 20, 9)), ("b", excerpt(1, 20, 9))]
    mix = np.sum([sound for _, sound in parts], axis=0)
    write_song(out, Song("in stems", "package", "train", mix, parts))
    for number in range(2, 6):
        write_song(out, Song(f"song {number}", "package", "train", excerpt(number, 20, 9)))
    for number in range(6, 9):
        write_song(out, Song(f"song {number}", "package", "valid", excerpt(number, 20, 9)))
    write_table(out)
    return out / "stems.csv"


@pytest.fixture(scope="module")
def encoder() -> Fingerprinter:
    return trained_encoder()


@pytest.fixture(scope="module")
def run(stems, encoder, tmp_path_factory) -> tuple[Path, list[Progress]]:
    """A finished run, and what it reported."""
    out = tmp_path_factory.mktemp("run")
    seen: list[Progress] = []
    path = train_reranker(CONFIG, encoder, stems, out, on_progress=seen.append, report_every=2)
    assert path == out / "reranker.safetensors"
    return path, seen


def test_a_run_reports_validates_and_saves(run, encoder):
    path, seen = run
    assert [p.step for p in seen] == [2, 4, 6, 8] and seen[0].validation is None
    scores = seen[-1].validation
    assert scores is not None
    assert set(scores) == {"AUROC", "similarity_AUROC", "found", "false_accepts"}
    assert all(0 <= value <= 1 for value in scores.values())
    reranker = load_reranker(path)
    reranker.check(encoder.model_id)
    assert reranker.facts["steps_done"] == 8 and reranker.facts["validation"] == scores
    assert load_reranking_config(path.with_name("config.json")) == CONFIG


def test_a_stopped_run_resumes_to_the_same_weights(run, stems, encoder, tmp_path):
    asked = iter(range(100))
    stopped = train_reranker(CONFIG, encoder, stems, tmp_path, stop=lambda: next(asked) == 5)
    assert stopped == state_path(tmp_path, resume=True)
    path = train_reranker(CONFIG, encoder, stems, tmp_path, resume=True)
    whole = load_reranker(run[0]).network.state_dict()
    for name, values in load_reranker(path).network.state_dict().items():
        torch.testing.assert_close(values, whole[name], rtol=2e-3, atol=1e-4)


def test_whole_recordings_are_sampled_too(stems, encoder, tmp_path):
    for number in (6, 7):
        write_song(tmp_path / "mixes", Song(f"{number}", "p", "train", excerpt(number, 20, 9)))
    config = replace(CONFIG, steps=1, batch=7, stem_share=0.15)  # all songs
    with pytest.raises(DataError, match="a batch of 7"):
        train_reranker(config, encoder, stems, tmp_path / "a")
    path = train_reranker(config, encoder, stems, tmp_path / "b", mixes=tmp_path / "mixes")
    assert load_reranker(path).facts["songs"] == 7


def made_pairs(songs: list[tuple[int, int]], seed: int = 0) -> NodePairs:
    generator = torch.Generator().manual_seed(seed)
    count = len(songs)
    nodes = torch.rand(2, count, 4, 3, generator=generator)
    nodes[0, :, 0, 0] = torch.tensor([float(song) for song, _ in songs])  # tells whose it is
    prints = torch.nn.functional.normalize(torch.rand(2, count, 8, generator=generator), dim=-1)
    return NodePairs(nodes[0], nodes[1], prints[0], prints[1], torch.tensor(songs))


def test_negatives_are_of_other_songs_also_those_remembered():
    memory = Memory(4, (4, 3), 8)
    memory.put(0, made_pairs([(7, -1), (8, 1)], seed=1))
    pairs = made_pairs([(1, 2), (2, 7), (3, -1)])
    config = replace(CONFIG, negatives=40, among=99)
    drawn = draw_negatives(pairs, memory, config, torch.Generator().manual_seed(0))
    owners = drawn[:, 0, 0].reshape(40, 3).int()
    for row, own in enumerate(({1, 2}, {2, 7}, {3})):
        assert set(owners[:, row].tolist()) == {1, 2, 3, 7, 8} - own


def test_the_memory_is_a_ring_and_can_be_restored():
    memory = Memory(3, (4, 3), 8)
    for step in range(3):
        memory.put(step, made_pairs([(10 * step, -1), (10 * step + 1, -1)], seed=step))
    assert sorted(memory.owners.tolist()) == [11, 20, 21]
    again = Memory(3, (4, 3), 8)
    again.restore(memory.tensors())
    assert torch.equal(again.nodes, memory.nodes)
    none = Memory(0, (4, 3), 8)
    none.put(0, made_pairs([(1, -1)]))
    assert not len(none.owners)


def test_the_encoder_stays_as_it_is(run, encoder):
    assert checkpoint.identity(encoder.encoder, encoder.features) == encoder.model_id
    assert not encoder.encoder.training


def test_what_makes_no_sense_is_refused(run, stems, encoder, fingerprinter, tmp_path):
    with pytest.raises(CheckpointError, match="network of the encoder 'samples'"):
        train_reranker(CONFIG, fingerprinter, stems, tmp_path / "a")
    with pytest.raises(DataError, match="no such table"):
        train_reranker(CONFIG, encoder, tmp_path / "none.csv", tmp_path / "b")
    few = stems.with_name("few.csv")
    few.write_text("".join(stems.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(DataError, match="3 different songs or more"):
        train_reranker(CONFIG, encoder, few, tmp_path / "few")
    with pytest.raises(DataError, match="a batch of 99"):
        train_reranker(replace(CONFIG, batch=99), encoder, stems, tmp_path / "c")
    with pytest.raises(FileExistsError):
        train_reranker(CONFIG, encoder, stems, run[0].parent)
    with pytest.raises(FileNotFoundError):
        train_reranker(CONFIG, encoder, stems, tmp_path / "d", resume=True)
    other = Fingerprinter(type(encoder.encoder)(encoder.encoder.config), encoder.features)
    with pytest.raises(CheckpointError, match="begun with another encoder"):
        train_reranker(CONFIG, other, stems, run[0].parent, resume=True)
    for changes in ({"batch": 1}, {"mix_share": 2.0}, {"network": {"depth": 3}}):
        with pytest.raises(ConfigError):
            replace(CONFIG, **changes)
