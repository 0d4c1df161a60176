"""The encoder for sample identification: its size, its graphs, its libraries."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from grafprint.errors import GraFPrintError
from grafprint.explore.graphs import inspect, segment
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.matching import identify_audio
from grafprint.models.checkpoint import load_encoder, save_encoder
from grafprint.models.encoders import Samples, SamplesConfig, build, describe, features_of
from grafprint.models.fast.grafprint import FastGraFPrint, supports
from grafprint.models.features import FeatureConfig, count_windows
from tests.libraries import excerpt, write_wav

TINY = SamplesConfig(
    widths=(8, 16, 16, 24), depths=(1, 1, 2, 1), pooled_width=32, hidden_width=32, dim=32
)
FEATURES = features_of("samples")


@pytest.fixture
def tiny() -> Samples:
    torch.manual_seed(0)
    return Samples(TINY).eval()


@pytest.fixture
def windows() -> torch.Tensor:
    return torch.rand(3, 3, 64, 128, generator=torch.Generator().manual_seed(1))


def test_a_window_is_4_08_s_every_0_512_s() -> None:
    assert (FEATURES.window_s, FEATURES.hop_s) == (4.08, 0.512)
    assert count_windows(1 + FEATURES.window_samples // FEATURES.hop_length, FEATURES) == 1


def test_other_encoders_keep_windows_of_a_second() -> None:
    assert FeatureConfig().window_samples == 16_000
    assert features_of("transformer").window_samples == 16_000
    assert replace(FeatureConfig(), window_frames=16).window_samples == 16_000


def test_the_network_has_about_10_million_parameters_and_a_pyramid_of_256_nodes() -> None:
    encoder = build("samples")
    assert isinstance(encoder, Samples)
    assert 9.5e6 < sum(p.numel() for p in encoder.parameters()) < 11e6
    assert [encoder.grid(stage) for stage in range(4)] == [(16, 16), (16, 8), (8, 8), (8, 4)]
    assert all(block.k == 5 for blocks in encoder.stages for block in blocks)  # type: ignore[attr-defined]


def test_a_fingerprinter_gives_the_nodes_of_the_encoder(windows: torch.Tensor) -> None:
    # Wide enough that no two nodes are equally near, which rounding would decide.
    torch.manual_seed(0)
    encoder = Samples(replace(TINY, widths=(16, 32, 48, 64))).eval()
    for precision, least in (("fp32", 0.999), ("bf16", 0.9)):
        network = Fingerprinter(encoder, FEATURES, precision=precision)
        with torch.inference_mode():
            expected = encoder.nodes(windows)
        nodes = network.nodes(windows)
        assert nodes.shape == (3, 32, 64) and nodes.dtype == torch.float32
        alike = torch.nn.functional.cosine_similarity(nodes, expected, dim=-1)
        assert (alike > least).float().mean() > 0.8
    with pytest.raises(TypeError, match="has no nodes"):
        Fingerprinter.untrained(encoder="nafp").nodes(windows)


def test_nodes_are_what_is_pooled_and_projected(tiny: Samples, windows: torch.Tensor) -> None:
    nodes = tiny.nodes(windows)
    assert nodes.shape == (3, 32, 24)
    torch.testing.assert_close(tiny.fingerprints_of(nodes), tiny(windows), rtol=0, atol=1e-5)


def test_without_the_graph_blocks_the_answer_is_another(
    tiny: Samples, windows: torch.Tensor
) -> None:
    bypassed = Samples(replace(TINY, bypass=True)).eval()
    bypassed.load_state_dict(tiny.state_dict())
    cosines = (tiny(windows) * bypassed(windows)).sum(dim=1)
    assert cosines.max() < 0.999
    assert not torch.allclose(tiny.nodes(windows), bypassed.nodes(windows), atol=1e-2)
    assert not supports(bypassed)
    assert "bypass" not in describe(tiny)["options"]


def test_each_graph_block_acts(tiny: Samples, windows: torch.Tensor) -> None:
    whole = tiny.nodes(windows)
    for blocks in tiny.stages:
        for block in blocks:  # type: ignore[attr-defined]
            scale = block.linear_out[1].weight
            kept = scale.detach().clone()
            with torch.no_grad():
                scale.zero_()
                assert not torch.allclose(tiny.nodes(windows), whole, atol=1e-3)
                scale.copy_(kept)


def test_every_parameter_has_a_gradient(windows: torch.Tensor) -> None:
    encoder = Samples(TINY)
    target = torch.rand(3, 32, generator=torch.Generator().manual_seed(2))
    (encoder(windows) * target).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_fast_version_gives_the_same_fingerprints(tiny: Samples, windows: torch.Tensor) -> None:
    torch.testing.assert_close(FastGraFPrint(tiny)(windows), tiny(windows), rtol=0, atol=1e-4)


def test_a_network_survives_its_file(tiny: Samples, windows: torch.Tensor, tmp_path: Path) -> None:
    tiny.half().float()  # as stored
    save_encoder(tmp_path / "s.safetensors", tiny, FEATURES, {"steps": 0})
    loaded, features, _ = load_encoder(tmp_path / "s.safetensors")
    assert isinstance(loaded, Samples)
    assert loaded.config == TINY
    assert asdict(features) == asdict(FEATURES)
    assert torch.equal(loaded(windows), tiny(windows))


def test_a_library_of_it_identifies_and_refuses_other_networks(
    tiny: Samples, tmp_path: Path
) -> None:
    network = Fingerprinter(tiny, FEATURES)
    for number in range(2):
        write_wav(tmp_path / "music" / f"{number}.wav", excerpt(number, 20, 20))
    with Library.create(tmp_path / "library", network) as library:
        for path in sorted((tmp_path / "music").iterdir()):
            library.add(path, network)
        assert (library.hop_s, library.window_s) == (0.512, 4.08)
        assert len(library) == 2 * len(network(excerpt(0, 20, 20)))
        # Starts on the library's grid: an untrained network has learned no shifts.
        answer = identify_audio(library, network, excerpt(1, 20 + 8 * 0.512, 8))
        assert answer.best is not None
        assert answer.best.track.path.endswith("1.wav")
        other = Fingerprinter(build("grafprint"), FeatureConfig())
        with pytest.raises(GraFPrintError, match="cannot be compared"):
            identify_audio(library, other, excerpt(1, 20, 8))


def test_the_graph_explorer_shows_its_graphs(tiny: Samples) -> None:
    network = Fingerprinter(tiny, FEATURES)
    _, (graphs,) = inspect(network, segment(network, excerpt(0, 20, 6), 0.6))
    assert len(graphs) == 5
