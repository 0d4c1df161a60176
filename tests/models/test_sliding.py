"""The encoder that reads a recording once: its graphs and its chunks."""

import numpy as np
import pytest
import torch

from grafprint.fingerprint import Fingerprinter
from grafprint.models.chunking import CONTEXT, LENGTH
from grafprint.models.encoders import build
from grafprint.models.encoders.sliding import near
from grafprint.models.fast.sliding import FastSliding
from grafprint.models.graph import knn, to_nodes

SMALL = {"widths": [16, 24, 32, 48], "depths": [1, 1, 2, 1], "pooled_width": 32, "hidden_width": 64}


@pytest.fixture(scope="module")
def fingerprinter() -> Fingerprinter:
    torch.manual_seed(0)
    return Fingerprinter(build("sliding", SMALL), precision="fp32")


@pytest.fixture(scope="module")
def distilled(fingerprinter) -> Fingerprinter:
    """The same network, marked as distilled: the beginning of a recording is mirrored."""
    return Fingerprinter(fingerprinter.encoder, precision="fp32", facts={"imitates": "another"})


def noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 0.1 * rng.standard_normal(round(seconds * 16_000)).astype(np.float32)


@pytest.mark.parametrize("columns", [11, 20, 21, 37, 40])
def test_neighbours_are_the_nearest_nodes_within_reach(columns):
    reach, k, dilation = 5, 3, 2
    y = torch.randn(2, 8, 4, columns, generator=torch.Generator().manual_seed(columns))
    column = torch.arange(columns).repeat(4)
    far = (column[:, None] - column).abs() > reach
    expected = knn(to_nodes(y), k, dilation, torch.zeros(1).masked_fill(far, torch.inf))
    graph = near(y, k, dilation, reach)
    assert torch.equal(graph.neighbours, expected.neighbours)
    torch.testing.assert_close(graph.distances, expected.distances)


def test_it_has_about_grafprints_size_and_a_seventh_of_its_operations():
    from torch.utils.flop_counter import FlopCounterMode

    operations = {}
    inputs = {"sliding": torch.rand(1, 3, 64, 32 + 3 * 63), "grafprint": torch.rand(64, 3, 64, 32)}
    for name, x in inputs.items():
        network = build(name).eval()
        assert sum(p.numel() for p in network.parameters()) == pytest.approx(19e6, rel=0.06)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network(x)
        operations[name] = counter.get_total_flops()
    assert operations["grafprint"] / operations["sliding"] == pytest.approx(7.0, abs=0.3)


def test_a_single_window_is_a_chunk_of_one(fingerprinter):
    encoder = fingerprinter.encoder
    with torch.inference_mode():
        assert encoder(torch.rand(2, 3, 64, 32)).shape == (2, 128)
        z = encoder(torch.rand(2, 3, 64, 32 + 3 * 4))
    assert z.shape == (2, 5, 128)
    torch.testing.assert_close(z.norm(dim=2), torch.ones(2, 5))
    with pytest.raises(ValueError, match="whole windows"):
        encoder(torch.rand(1, 3, 64, 33))


@pytest.mark.parametrize("seconds", [1.0, 3.3, 7.0, 7.2, 8.1, 16.0])
@pytest.mark.parametrize("network", ["fingerprinter", "distilled"])
def test_audio_in_pieces_gives_the_same_fingerprints(network, seconds, request):
    fingerprinter, audio = request.getfixturevalue(network), noise(seconds)
    whole = fingerprinter(audio)
    assert len(whole) == fingerprinter.count(len(audio))
    pieces = np.split(audio, [100, 9_000, 9_001, 15_999])
    in_pieces = np.concatenate(list(fingerprinter.stream(pieces)))
    np.testing.assert_allclose(in_pieces, whole, atol=1e-4)


def test_chunks_are_joined_without_a_seam(fingerprinter):
    """Where two chunks meet, fingerprints are close to those of a chunk around that place."""
    audio = noise(16.0)
    place = LENGTH * 3 * 512
    around = fingerprinter(audio[place - 3 * 512 * 20 : place + 3 * 512 * 30])
    whole = fingerprinter(audio)[LENGTH - 20 : LENGTH + 10]
    cosines = (around[:30] * whole).sum(axis=1)
    assert cosines[CONTEXT : CONTEXT + 10].min() > 0.95


def test_a_mirrored_beginning_is_context_for_the_first_windows(fingerprinter, distilled):
    audio = noise(16.0)
    hop = 3 * 512
    lead = audio[: CONTEXT * hop][::-1]
    cosines = (distilled(audio) * fingerprinter(np.concatenate([lead, audio]))[CONTEXT:]).sum(
        axis=1
    )
    assert cosines.min() > 0.95
    plain = (fingerprinter(audio) * distilled(audio)).sum(axis=1)
    assert plain[0] < 0.999 and plain[40:].min() > 0.99


def test_silence_within_a_recording_is_the_zero_vector(fingerprinter):
    audio = noise(12.0)
    audio[5 * 16_000 : 8 * 16_000] = 0
    silent = ~fingerprinter(audio).any(axis=1)
    hop = fingerprinter.hop_s
    assert silent[round(5.1 / hop) : round(6.8 / hop)].all()
    assert not silent[: round(3.9 / hop)].any() and not silent[round(8.1 / hop) :].any()


def test_too_short_audio_is_refused(fingerprinter):
    with pytest.raises(ValueError, match="at least 1 s"):
        fingerprinter(noise(0.5))


def test_live_audio_and_several_clips(fingerprinter):
    clips = [noise(2.0), noise(1.0)]
    for found, clip in zip(fingerprinter.many(clips), clips, strict=True):
        np.testing.assert_array_equal(found, fingerprinter(clip))
    live = fingerprinter.live().push(noise(3.0))
    assert live.shape[1] == 128 and len(live)


@pytest.mark.parametrize("windows", [1, 4, 12, 30])
def test_outputs_of_the_fast_encoder_are_the_same(fingerprinter, windows):
    """Within 1e-4 in float32, with other running statistics than a new network has."""
    encoder = fingerprinter.encoder
    torch.manual_seed(1)
    encoder.train()
    with torch.no_grad():
        encoder(torch.rand(4, 3, 64, 92))
    encoder.eval()
    x = torch.rand(2, 3, 64, 32 + 3 * (windows - 1))
    with torch.inference_mode():
        expected = encoder(x)
    found = FastSliding(encoder)(x)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    coarse = FastSliding(encoder, torch.bfloat16)(x)
    assert (coarse * expected).sum(dim=-1).mean() > 0.98
