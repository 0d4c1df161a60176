"""``--encoder module:Class``: commands with a network whose code is in the current folder."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grafprint.cli import console
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.models import checkpoint
from grafprint.models.encoders import import_network, own
from tests.cli.commands import grafprint
from tests.libraries import write_music, write_wav

CODE = """
from torch import nn
from grafprint.models.features import FeatureConfig

class Net(nn.Module):
    feature_config = FeatureConfig(n_mels=32, hop_frames=4)

    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Unflatten(1, (1, 32)), nn.Conv2d(1, width, 3, stride=4), nn.ReLU(), nn.Flatten(),
            nn.Linear(8 * 8 * width, 32),
        )

    def forward(self, mels):
        return self.layers(mels)

class Wrong(Net):
    def forward(self, mels):
        return mels
"""

ECHO = np.array([1] + 799 * [0] + [0.5], np.float32)


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes the next command one of a new process, which has imported no network."""

    def forget() -> None:
        monkeypatch.setattr(own, "_registered", {})
        sys.modules.pop("researcher", None)
        monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(Path.cwd()))])

    return forget


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: Callable[[], None]) -> Path:
    """The current folder, with the module ``researcher``, some music, and a room: an echo."""
    (tmp_path / "researcher.py").write_text(CODE)
    write_music(tmp_path / "music", 3, 4.0)
    write_wav(tmp_path / "rooms/room.wav", ECHO)
    monkeypatch.chdir(tmp_path)
    forget()
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The message of a command that fails."""
    with pytest.raises(SystemExit) as end:
        console.run(arguments=[str(a) for a in arguments])
    assert end.value.code == 2
    return capsys.readouterr().err


def test_the_commands_take_a_network_of_ones_own(place, forget, capsys):
    sounds = ("--noise", "music", "--rooms", "rooms")
    options = ("--batch", 2, "--precision", "32-true", "--accelerator", "cpu", *sounds)
    named, model = ("--encoder", "researcher:Net"), place / "run/encoder.safetensors"
    grafprint("train", "music", "--out", "run", *named, "--options", '{"width": 6}',
              "--steps", 1, *options)  # fmt: skip
    described = {"name": "researcher:Net", "options": {"width": 6}}
    _, header = checkpoint.read(model)
    assert header["encoder"] == described and header["features"]["n_mels"] == 32
    config = json.loads((place / "run/config.json").read_text())
    assert (config["encoder"], config["encoder_options"]) == tuple(described.values())

    forget()  # neither the run's settings nor the file of weights import it
    message = refusal(capsys, "train", "music", "--out", "run", "--resume", "--steps", 2)
    assert "encoder researcher:Net does not come with the program" in message
    message = refusal(capsys, "index", "music", "-l", "library", "--model", model)
    assert "--encoder researcher:Net" in message and str(model) in message
    assert "researcher" not in sys.modules

    again = ("train", "music", "--out", "run", "--resume", "--steps", 2, *sounds)
    assert "trained" in grafprint(*again, *named)
    forget()
    assert "3 added" in grafprint("index", "music", "-l", "library", "--model", model, *named)
    forget()
    clip = ("identify", "music/track 1.wav", "-l", "library", "--json")
    assert "--encoder researcher:Net" in refusal(capsys, *clip)  # the library remembers the file
    answer = json.loads(grafprint(*clip, *named))
    assert answer["matches"][0]["title"] == "track 1"
    with Library.open("library") as library:
        assert library.dim == 32 and library.hop_s == 4 * 512 / 16_000


def test_a_class_that_has_moved_is_taken_by_its_new_name(place, forget):
    sys.path.insert(0, str(place))
    Fingerprinter(import_network("researcher:Net")()).save(place / "net.safetensors")
    (place / "researcher.py").rename(place / f"renamed_{place.name}.py")
    forget()
    again = ("--model", "net.safetensors", "--encoder", f"renamed_{place.name}:Net")
    assert "3 added" in grafprint("index", "music", "-l", "library", *again)


def test_mistakes_are_explained_before_the_music_is_read(place, capsys):
    train = ("train", "nowhere", "--out", "run", "--encoder")
    assert "there is no module 'nosuch'" in refusal(capsys, *train, "nosuch:Net")
    assert "no class 'Nat': it has Net, Wrong" in refusal(capsys, *train, "researcher:Nat")
    wrong = refusal(capsys, *train, "researcher:Wrong")
    assert "returns [2, 32, 32] for log-mels" in wrong and "[2, dim]" in wrong
    index = ("index", "music", "-l", "library", "--encoder")
    assert "named module:Class, not 'nafp'" in refusal(capsys, *index, "nafp")
    assert "leave out --encoder" in refusal(capsys, *index, "researcher:Net")
    assert not (place / "library").exists()
