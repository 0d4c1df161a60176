"""A small network for sample identification and its re-ranker, trained in seconds on real music."""

from functools import cache
from pathlib import Path

import numpy as np
import torch

from grafprint import audio
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.models.checkpoint import identity
from grafprint.models.encoders import Samples, SamplesConfig, features_of
from grafprint.models.features import LogMel, windows
from grafprint.models.rerankers import (
    CrossAttention,
    CrossAttentionConfig,
    save_reranker,
)
from grafprint.models.rerankers.cross_attention import choose_negatives
from grafprint.training.losses import nt_xent
from tests.libraries import excerpt, write_wav

FEATURES = features_of("samples")
TINY = SamplesConfig(
    widths=(12, 24, 32, 48), depths=(1, 1, 1, 1), pooled_width=64, hidden_width=64, dim=48
)
SONGS, FIRST_S, LENGTH_S = 8, 10.0, 24.0  # of the library
OVERLAYS = (20, 21, 22, 23)  # tracks that are laid over samples in training
OTHERS = (26, 28)  # tracks that were never heard


def song(number: int) -> np.ndarray:
    """A song of the library, [n]."""
    return excerpt(number, FIRST_S, LENGTH_S)


def mixed(sample: np.ndarray, over: np.ndarray, level_db: float) -> np.ndarray:
    """The sample at a level against what is laid over it."""
    gain = np.sqrt(np.square(over).mean() / max(float(np.square(sample).mean()), 1e-9))
    return np.asarray(over + gain * 10 ** (level_db / 20) * sample, np.float32)


def sampling_song(
    number: int, start_s: float, at_s: float, length_s: float = 8.0, total_s: float = 20.0
) -> np.ndarray:
    """New music with a part of a song of the library in it, from ``start_s`` on."""
    new = excerpt(OTHERS[0], 30, total_s).copy()
    rate = audio.SAMPLE_RATE
    begin, first, count = (round(s * rate) for s in (at_s, start_s, length_s))
    part = song(number)[first : first + count]
    new[begin : begin + count] = mixed(part, 0.5 * new[begin : begin + count], 9.0)
    return new


@cache
def _trained() -> tuple[Samples, CrossAttention]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # its products are too small to be shared
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        clean, changed = _pairs()
        encoder = Samples(TINY).train()
        optimiser = torch.optim.Adam(encoder.parameters(), 2e-3)
        for _step in range(60):
            # Every song at one of its places: no two rows are of one song.
            place = torch.randint(clean.shape[1], (SONGS,))
            rows = torch.arange(SONGS)
            both = torch.cat([clean[rows, place], changed[rows, place]])
            a, b = encoder(both).chunk(2)
            loss = nt_xent(a, b, 0.1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        encoder.eval()
        network = _classifier(encoder, clean, changed)
    torch.set_num_threads(threads)
    return encoder, network


def _pairs() -> tuple[torch.Tensor, torch.Tensor]:
    """Windows ``[songs, places, 3, F, T]`` of songs, and of others that sample them."""
    logmel, rng = LogMel(FEATURES), np.random.default_rng(0)
    overs = [excerpt(n, 20, LENGTH_S) for n in OVERLAYS]
    clean: list[torch.Tensor] = []
    changed: list[torch.Tensor] = []
    for number in range(SONGS):
        whole = song(number)
        both = mixed(whole, np.roll(overs[number % len(overs)], int(rng.integers(99_999))), 6.0)
        for sound, held in ((whole, clean), (both, changed)):
            held.append(windows(logmel(torch.from_numpy(sound)), FEATURES)[::2])
    return torch.stack(clean), torch.stack(changed)


def _classifier(encoder: Samples, clean: torch.Tensor, changed: torch.Tensor) -> CrossAttention:
    network = CrossAttention(CrossAttentionConfig(TINY.widths[-1], width=64, hidden_width=32))
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    owners = torch.arange(SONGS).repeat_interleave(clean.shape[1])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        offered, asked = (encoder.nodes(x.flatten(0, 1)) for x in (clean, changed))
        prints = [encoder.fingerprints_of(nodes) for nodes in (asked, offered)]
    for _ in range(150):
        rows = torch.randperm(len(owners), generator=generator)[:48]
        songs = owners[rows, None]
        wrong = [
            choose_negatives(prints[0][rows], prints[1], songs, generator, among, owners=owners)
            for among in (6, 24, 99)
        ]
        references = torch.cat([offered[rows], *(offered[chosen] for chosen in wrong)])
        sampled = torch.zeros(len(references))
        sampled[: len(rows)] = 1
        loss = network(asked[rows].repeat(4, 1, 1), references).loss(sampled)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def fingerprinter() -> Fingerprinter:
    """The trained encoder."""
    # In so small a library even a true sample stands out less than the default asks for.
    facts = {"least_score": 2.0}
    return Fingerprinter(_trained()[0], FEATURES, precision="fp32", facts=facts)


def save_networks(folder: Path) -> tuple[Path, Path]:
    """Write the encoder and its re-ranker; their files."""
    encoder, network = _trained()
    fingerprinter().save(folder / "encoder.safetensors")
    save_reranker(folder / "reranker.safetensors", network, identity(encoder, FEATURES))
    return folder / "encoder.safetensors", folder / "reranker.safetensors"


def make_library(folder: Path) -> Path:
    """A library of all songs in ``folder/library``, their music and the networks beside it."""
    encoder, _ = save_networks(folder)
    network = Fingerprinter.load(encoder, precision="fp32")
    with Library.create(folder / "library", network) as library:
        for number in range(SONGS):
            library.add(write_wav(folder / "music" / f"song {number}.wav", song(number)), network)
    return folder / "library"
