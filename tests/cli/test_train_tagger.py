"""``grafprint train-tagger`` on a small table of clips."""

import json
from pathlib import Path

import pytest

from grafprint.errors import ConfigError, DataError
from grafprint.models.taggers import load_tagger
from tests.cli.commands import grafprint, run
from tests.training import labelled_clips
from tests.training.test_tagger_training import TINY

RECIPE = {"variant": "small", "network_options": TINY, "batch": 6, "precision": "32-true"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of clips, a recipe, and a finished run."""
    root = tmp_path_factory.mktemp("tagging")
    labelled_clips.table(root, per_label=4, held_out=1)
    (root / "recipe.json").write_text(json.dumps(RECIPE))
    done = run("train-tagger", root / "clips.csv", "--out", root / "run", "--recipe",
               root / "recipe.json", "--epochs", 2, "--accelerator", "cpu")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"trained: " in done.stdout
    log = done.stderr.decode()
    # Nine clips for training: an epoch is one step of six.
    assert "step 2/2  epoch 2.0/2  loss 0." in log and "mAP 0." in log and "min left" in log
    return root


def test_it_trains_and_resumes(place: Path):
    assert load_tagger(place / "run/tagger.safetensors").facts["steps_done"] == 2
    output = grafprint("train-tagger", place / "clips.csv", "--out", place / "run", "--resume",
                       "--epochs", 3, "--accelerator", "cpu")  # fmt: skip
    assert "tagger.safetensors" in output
    tagger = load_tagger(place / "run/tagger.safetensors")
    assert tagger.facts["steps_done"] == 3 and tagger.labels == labelled_clips.LABELS


def test_options_override_the_recipe(place: Path):
    grafprint("train-tagger", place / "clips.csv", "--out", place / "plain", "--recipe",
              place / "recipe.json", "--epochs", 1, "--batch", 4, "--no-label-nodes",
              "--options", '{"k": 4}', "--learning-rate", 0.001,
              "--accelerator", "cpu")  # fmt: skip
    settings = json.loads((place / "plain/config.json").read_text())
    assert (settings["batch"], settings["learning_rate"], settings["seed"]) == (4, 0.001, 0)
    network = load_tagger(place / "plain/tagger.safetensors").network
    assert network.config.label_stage is None
    assert network.config.k == 4 and network.config.widths == tuple(TINY["widths"])


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (("nowhere", "--out", "new"), DataError, "neither a table"),
        (("clips.csv", "--out", "new", "--variant", "big"), ConfigError, "unknown tagger 'big'"),
        (("clips.csv", "--out", "new", "--options", "{x"), ConfigError, "--options is not JSON"),
        (("clips.csv", "--out", "new", "--recipe", "no.json"), FileNotFoundError, "no such file"),
        (("clips.csv", "--out", "new", "--batch", "60"), DataError, "a batch of 60 needs"),
        (("clips.csv", "--out", "run"), FileExistsError, "holds a run already"),
    ],
)
def test_errors_say_what_is_wrong(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    kind: type[Exception],
    message: str,
):
    monkeypatch.chdir(place)
    with pytest.raises(kind, match=message):
        grafprint("train-tagger", *options, "--accelerator", "cpu")
