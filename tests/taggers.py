"""A small tagger that tells hiss, hum and music apart, trained in seconds."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from grafprint.models.taggers import ATGNN, ATGNNConfig, ClipInput, features_of, save_tagger
from tests.training.labelled_clips import LABELS, clip

WINDOW_S = 2.048  # 64 frames of 32 ms
TINY = ATGNNConfig(
    labels=len(LABELS),
    input_shape=(64, 64),
    depths=(1, 1, 2, 1),
    widths=(8, 16, 24, 32),
    label_blocks=(0, 1, 1, 1),
    k=3,
    last_k=3,
    label_k=3,
    hidden_width=32,
    drop_path=0.0,
)


@cache
def trained() -> ATGNN:
    """The network; a third of its training clips are of each label."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # its products are too small to be shared
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ATGNN(TINY)
        audio = np.stack([clip(label, n, WINDOW_S) for n in range(12) for label in LABELS])
        inputs = ClipInput(features_of("small"))(torch.from_numpy(audio.astype(np.float32)))
        targets = torch.eye(len(LABELS)).repeat(12, 1)
        optimiser = torch.optim.Adam(network.parameters(), 3e-3)
        network.train()
        for _ in range(40):
            chosen = torch.randperm(len(inputs))[:18]
            loss = F.binary_cross_entropy_with_logits(network(inputs[chosen]), targets[chosen])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
    torch.set_num_threads(threads)
    return network.eval()


def save(path: Path, labels: tuple[str, ...] = LABELS, **facts: object) -> Path:
    """Write it to a file, for ``--tagger``."""
    save_tagger(path, trained(), labels, features_of("small"), facts)
    return path
