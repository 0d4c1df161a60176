"""Networks of one's own: what they must do, how they are named, and that no file imports code."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grafprint.errors import CheckpointError, ConfigError
from grafprint.fingerprint import Fingerprinter
from grafprint.models.checkpoint import load_encoder, read, save_encoder, write
from grafprint.models.encoders import (
    OwnEncoder,
    build,
    describe,
    features_of,
    import_network,
    own,
    register,
)
from grafprint.models.features import FeatureConfig
from tests.audio_files import music

FINE = replace(FeatureConfig(), n_mels=48, hop_length=256, window_frames=60)


class Plain(nn.Module):
    """A small convolutional network with the code that people write."""

    def __init__(self, width: int = 4, dim: int = 32) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, width, 3, stride=4)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.LazyLinear(dim)

    def forward(self, mels: Tensor) -> Tensor:
        x = self.norm(self.convolution(mels[:, None])).relu()
        return self.head(x.view(len(x), -1))  # fails for channels-last layouts


class Fine(Plain):
    """With other features than the default ones."""

    feature_config = FINE


class Odd(nn.Module):
    """Returns whatever it is told to."""

    def __init__(self, answer: object, **attributes: object) -> None:
        super().__init__()
        self.answer = answer
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, mels: Tensor) -> object:
        return self.answer(mels) if callable(self.answer) else self.answer


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """No class is registered, as in a new process."""
    monkeypatch.setattr(own, "_registered", {})


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that can be imported, but has not been; it leaves a trace when it is."""
    name = f"module_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        "from pathlib import Path\n"
        "from torch import nn\n"
        "Path(__file__).with_suffix('.trace').touch()\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(32, 64)\n"
        "    def forward(self, mels):\n"
        "        return self.layer(mels.mean(dim=1))\n"
        "size = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return music(3, 16_000)[:, 0]


def test_any_module_makes_unit_fingerprints(clip):
    network = Fingerprinter(Plain(), precision="fp32")
    vectors = network(clip)
    assert vectors.shape == (network.count(len(clip)), 32) and network.dim == 32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    pieces = network.stream([clip[:20_000], clip[20_000:]])
    np.testing.assert_allclose(np.concatenate(list(pieces)), vectors, atol=1e-5)
    assert not network.makes_graphs
    with pytest.raises(TypeError, match="makes no graphs"):
        network.graphs(torch.rand(1, 3, 64, 32))


def test_it_gets_log_mels_from_0_to_1_and_silence_as_zeros(clip):
    seen: list[Tensor] = []

    def look(mels: Tensor) -> Tensor:
        seen.append(mels)
        return mels.flatten(1)[:, :64] + 1

    samples = np.concatenate([clip[:16_000], np.zeros(32_000, np.float32)])
    vectors = Fingerprinter(Odd(look), precision="fp32")(samples)
    mels = seen[-1]
    assert mels.shape == (len(vectors), 64, 32) and mels.dtype == torch.float32
    assert mels.is_contiguous() and mels.min() == 0 and mels.max() == 1
    assert (mels[-1] == 0).all() and (vectors[-1] == 0).all()


def test_its_class_may_declare_other_features(clip):
    network = Fingerprinter(Fine())
    assert network.features == FINE and network.hop_s == pytest.approx(3 * 256 / 16_000)
    assert len(network(clip)) == network.count(len(clip))
    assert features_of(register(Fine)) == FINE
    assert Fingerprinter(Plain()).features == FeatureConfig()
    assert Fingerprinter(Plain(), FINE).features == FINE


def test_trying_it_out_changes_nothing():
    network = Plain()
    OwnEncoder(network)  # gives the lazy layer its size
    network.train().norm.eval()
    state, buffers = torch.get_rng_state(), [b.clone() for b in network.buffers()]
    OwnEncoder(network)
    assert network.training and network.convolution.training and not network.norm.training
    assert all(torch.equal(a, b) for a, b in zip(network.buffers(), buffers, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Odd(lambda x: x), r"returns \[2, 64, 32\] for log-mels \[2, 64, 32\]: it must return"),
        (Odd(lambda x: x.mean()), r"returns \[\] for"),
        (Odd(lambda x: x.reshape(1, -1)), r"returns \[1, 4096\] for"),
        (Odd((1, 2)), r"returns a tuple for log-mels .*: it must return a tensor"),
        (Odd(lambda x: x[:, 0, :20]), "fingerprints of 20 numbers: make it a multiple of 32"),
        (Odd(lambda x: x[:, 0], dim=64), "declares dim 64, but returns 32"),
        (Odd(lambda x: x[:, 0].log()), "NaN or infinity for silence"),
        (Odd(lambda x: x[:, 0] * float("nan")), "NaN or infinity for noise"),
        (nn.Linear(5, 32), r"Linear fails on log-mels \[2, 64, 32\]: RuntimeError: mat1"),
    ],
)  # fmt: skip
def test_a_network_that_does_not_do_its_part_is_refused(network, message):
    with pytest.raises(ConfigError, match=message):
        Fingerprinter(network)


def test_options_and_features_that_cannot_be_are_refused():
    name = register(Plain)
    with pytest.raises(ConfigError, match=r"Plain cannot be built with the options \{'depth': 3\}"):
        build(name, {"depth": 3})
    with pytest.raises(ConfigError, match="that JSON cannot hold"):
        OwnEncoder(Plain(), options={"width": {1, 2}})
    wrong = type("Wrong", (Plain,), {"feature_config": 64})
    with pytest.raises(ConfigError, match="is not a FeatureConfig, but 64"):
        Fingerprinter(wrong())
    with pytest.raises(ConfigError, match="not a class derived from torch"):
        register(dict)  # type: ignore[arg-type]


def test_weights_that_break_on_real_audio_are_told(clip):
    network = Plain()
    fingerprinter = Fingerprinter(network, precision="fp32")
    with torch.no_grad():
        network.convolution.weight.fill_(float("inf"))
    with pytest.raises(
        CheckpointError, match=f"{fingerprinter.model_id} made a fingerprint of NaN"
    ):
        fingerprinter(clip)


def test_saving_keeps_class_options_identity_and_fingerprints(tmp_path, clip):
    torch.manual_seed(0)
    name = register(Fine)
    encoder = build(name, {"width": 8, "dim": 64})
    assert describe(encoder) == {"name": name, "options": {"width": 8, "dim": 64}}
    network = Fingerprinter(encoder, precision="fp32", facts={"steps": 3})
    network.save(tmp_path / "net.safetensors")
    assert network.file == tmp_path / "net.safetensors"
    loaded = Fingerprinter.load(tmp_path / "net.safetensors", precision="fp32")
    assert loaded.model_id == network.model_id and loaded.facts == {"steps": 3}
    assert loaded.features == FINE and loaded.dim == 64
    np.testing.assert_allclose(loaded(clip), network(clip), atol=5e-3)


def test_a_file_alone_imports_nothing(tmp_path, module, forgotten):
    file, trace = tmp_path / "net.safetensors", tmp_path / f"{module}.trace"
    name = f"{module}:Net"
    save_encoder(file, OwnEncoder(Plain(), name=name), FeatureConfig())
    with pytest.raises(CheckpointError, match=rf"of the class {name}, .* --encoder {name}"):
        Fingerprinter.load(file)
    with pytest.raises(ConfigError, match=rf"--encoder {name}"):
        build(name)
    assert not trace.exists() and module not in sys.modules


def test_what_is_imported_but_not_registered_is_not_built_either(tmp_path, forgotten):
    """A file could otherwise call any constructor, with arguments of its choice."""
    file = tmp_path / "net.safetensors"
    for name in ("subprocess:Popen", "torch.nn:Linear", f"{__name__}:Plain"):
        save_encoder(file, OwnEncoder(Plain(), name=name), FeatureConfig())
        with pytest.raises(CheckpointError, match="imported only if you name it"):
            load_encoder(file)


def test_a_class_or_a_module_can_be_given_when_loading(tmp_path, clip, forgotten):
    file = tmp_path / "net.safetensors"
    made = Fingerprinter(OwnEncoder(Plain(8), FINE, "moved:Away", {"width": 8}), precision="fp32")
    made.save(file)
    # The identity is that of the name in the file, so that libraries stay usable.
    for network in (Plain, Plain(8)):
        loaded = Fingerprinter.load(file, precision="fp32", network=network)
        assert loaded.model_id == made.model_id and loaded.features == FINE
        np.testing.assert_allclose(loaded(clip), made(clip), atol=5e-3)
    with pytest.raises(CheckpointError, match=r"net\.safetensors: the weights do not fit"):
        Fingerprinter.load(file, network=Plain(16))
    with pytest.raises(CheckpointError, match=r"net\.safetensors: moved:Away cannot be built"):
        Fingerprinter.load(file, network=nn.Linear)
    with pytest.raises(CheckpointError, match=r"holds the encoder grafprint, .* leave out --enc"):
        Fingerprinter.load(network=Plain)


def test_a_named_class_is_imported_and_registered(tmp_path, module):
    network = import_network(f"{module}:Net")
    assert (tmp_path / f"{module}.trace").exists()
    encoder = build(f"{module}:Net")
    assert isinstance(encoder, OwnEncoder) and type(encoder.network) is network
    with pytest.raises(ConfigError, match=rf"{module}.*py\) has no class 'Nte': it has Net"):
        import_network(f"{module}:Nte")
    with pytest.raises(ConfigError, match="3 is not a class derived from torch"):
        import_network(f"{module}:size")
    with pytest.raises(ConfigError, match="has no torch modules"):
        import_network("json:Net")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nosuch.models:Net", "there is no module 'nosuch', of the network nosuch.models:Net"),
        ("grafprint.nosuch:Net", r"there is no module 'grafprint\.nosuch'"),
        ("needs_more:Net", "'needs_more' cannot be imported: ModuleNotFoundError: .*'nosuch'"),
        ("broken:Net", "'broken' cannot be imported: SyntaxError"),
        (":Net", "is named module:Class, not ':Net'"),
        ("broken", "is named module:Class, not 'broken'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_explained(name, message, tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import nosuch\n")
    (tmp_path / "broken.py").write_text("class Net(\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=message):
        import_network(name)


def test_weights_that_two_layers_share_can_be_saved(tmp_path):
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(32, 32), nn.Linear(32, 32)
            self.two.weight = self.one.weight

        def forward(self, mels: Tensor) -> Tensor:
            return self.two(self.one(mels.mean(dim=1)))

    write(tmp_path / "state", Tied().state_dict(), {"format": 1})
    tensors, _ = read(tmp_path / "state")
    assert torch.equal(tensors["one.weight"], tensors["two.weight"])
