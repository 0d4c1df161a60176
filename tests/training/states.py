"""The weights that a training run has saved, and whether two are the same."""

from pathlib import Path

import torch
from safetensors.torch import load_file


def weights(out: Path) -> dict[str, torch.Tensor]:
    state = load_file(out / "state.safetensors")
    return {k: v for k, v in state.items() if k.startswith("encoder.")}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
