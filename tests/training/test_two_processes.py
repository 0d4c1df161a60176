"""Two CPU processes under torchrun train one network on the global batch, of each kind.

They are started once for all tests: starting them takes much longer than a few steps.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training import labelled_clips, test_sample_training, test_training
from tests.training.runs import run_in_two_processes
from tests.training.states import weights

SCRIPT = """
import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from lightning.fabric import Fabric

from grafprint.training import train
from grafprint.training.losses import nt_xent
from grafprint.training.run import _gather
from grafprint.training.tagging import train_tagger
from tests.training import test_sample_training, test_tagger_training, test_training

root = Path(sys.argv[1])
found = {}


def losses(train, *arguments, **options):
    reports = []
    train(*arguments, accelerator="cpu", on_progress=reports.append, report_every=1, **options)
    return [r.loss for r in reports]


def gradients():
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
    fabric.launch()
    torch.manual_seed(0)
    data = torch.randn(2, 8, 10)
    raw = torch.nn.Linear(10, 4)
    unit = torch.nn.functional.normalize
    alone = torch.autograd.grad(nt_xent(*(unit(raw(v), dim=1) for v in data)), raw.weight)[0]
    layer = fabric.setup(raw)
    mine = data[:, 4 * fabric.global_rank : 4 * fabric.global_rank + 4]
    a, b = unit(layer(mine.reshape(8, 10)), dim=1).chunk(2)
    fabric.backward(nt_xent(_gather(fabric, a), _gather(fabric, b)))
    return raw.weight.grad.tolist(), alone.tolist()


music, songs, clips = (root / name for name in ("music", "songs", "clips"))
found["gradients"] = gradients()
found["music"] = losses(
    train, test_training.config(steps=4, batch=12), music / "one held out.csv", root / "of music",
    noise=music / "noise", rooms=music / "rooms", cache=music / "cache",
)
found["songs"] = losses(
    train, test_sample_training.config(steps=2, segments_per_track=2),
    songs / "stems" / "stems.csv", root / "of songs",
    mixes=songs / "mixes.csv", cache=songs / "cache",
)
found["clips"] = losses(
    train_tagger, test_tagger_training.config(epochs=2), clips / "clips.csv", root / "of clips",
    cache=clips / "cache",
)
(root / f"{dist.get_rank()}.json").write_text(json.dumps(found))
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of each kind, and what each process reported in ``RANK.json``."""
    root = tmp_path_factory.mktemp("two processes")
    for name in ("music", "songs", "clips"):
        (root / name).mkdir()
    test_training.write_data(root / "music")
    test_sample_training.write_data(root / "songs")
    labelled_clips.table(root / "clips")
    script = root / "both.py"
    script.write_text(SCRIPT)
    run_in_two_processes(script, root)
    return root


def found(root: Path, rank: int = 0) -> dict[str, Any]:
    return json.loads((root / f"{rank}.json").read_text())


def test_gradients_of_the_gathered_loss_equal_those_of_one_process(trained: Path):
    """With the loss of the global batch, DDP computes the gradients of one process."""
    for rank in (0, 1):
        together, alone = map(torch.tensor, found(trained, rank)["gradients"])
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_fingerprints_of_music(trained: Path):
    losses = found(trained)["music"]
    assert len(losses) == 4 and all(0 < loss < 10 for loss in losses)
    assert all(torch.isfinite(v).all() for v in weights(trained / "of music").values())


def test_fingerprints_for_samples(trained: Path):
    """With one song in several pairs, so that the songs of both processes count."""
    losses = found(trained)["songs"]
    assert len(losses) == 2
    assert all(0 < loss < 10 for loss in losses)


def test_tagger(trained: Path):
    losses = found(trained)["clips"]
    assert len(losses) == 6 and all(0 < loss < 10 for loss in losses)
    assert all(torch.isfinite(v).all() for v in weights(trained / "of clips").values())
