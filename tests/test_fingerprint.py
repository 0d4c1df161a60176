"""The fingerprinter: whole and streamed audio, silence, short clips, precision, graphs."""

import numpy as np
import pytest
import torch

from grafprint.fingerprint import Fingerprinter
from grafprint.models.checkpoint import load_encoder, save_encoder
from grafprint.models.encoders import GraFPrint, GraFPrintConfig
from grafprint.models.features import FeatureConfig, LogMel, windows
from tests.audio_files import music

SMALL = GraFPrintConfig(widths=(16, 32, 48, 64), pooled_width=64, hidden_width=96)


@pytest.fixture(scope="module")
def fingerprinter() -> Fingerprinter:
    torch.manual_seed(0)
    return Fingerprinter(GraFPrint(SMALL), precision="fp32", batch=16)


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return music(6, 16_000)[:, 0]


def test_fingerprints_are_unit_vectors_one_per_hop(fingerprinter, clip):
    vectors = fingerprinter(clip)
    assert vectors.shape == (fingerprinter.count(len(clip)), 128)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len(fingerprinter(clip[:16_000])) == 1


@pytest.mark.parametrize("chunk", [700, 16_000, 50_000])
def test_streamed_equals_whole(fingerprinter, clip, chunk):
    pieces = [clip[i : i + chunk] for i in range(0, len(clip), chunk)]
    streamed = np.concatenate(list(fingerprinter.stream(pieces)))
    np.testing.assert_allclose(streamed, fingerprinter(clip), atol=1e-5)


def test_a_segment_is_encoded_alone(fingerprinter, clip):
    """In the published code a fingerprint depends on the rest of the file."""
    inner = fingerprinter(clip)[20:25]
    hop = 3 * 512
    # Two frames of context on either side, so that no padding reaches the windows compared.
    part = clip[18 * hop : 27 * hop + 17_000]
    np.testing.assert_allclose(fingerprinter(part)[2:7], inner, atol=2e-3)


def test_silence_is_the_zero_vector(fingerprinter, clip):
    samples = clip.copy()
    samples[32_000:64_000] = 0
    vectors = fingerprinter(samples)
    silent = (vectors == 0).all(axis=1)
    assert silent[22:30].all() and not silent[:19].any() and not silent[42:].any()
    assert not np.isnan(vectors).any()


def test_bad_audio_is_refused(fingerprinter, clip):
    with pytest.raises(ValueError, match=r"0\.30 s; at least 1 s"):
        fingerprinter(clip[:4800])
    with pytest.raises(ValueError, match="NaN"):
        fingerprinter(np.full(20_000, np.nan, np.float32))
    with pytest.raises(ValueError, match="mono audio"):
        fingerprinter(np.zeros((20_000, 2), np.float32))
    with pytest.raises(ValueError, match="precision is auto, bf16 or fp32"):
        Fingerprinter(GraFPrint(SMALL), precision="fp8")


def test_bf16_stays_close(clip):
    torch.manual_seed(0)
    network = GraFPrint(SMALL)
    exact, fast = (Fingerprinter(network, precision=p)(clip) for p in ("fp32", "bf16"))
    assert (exact * fast).sum(axis=1).mean() > 0.99


def test_graphs_come_with_their_fingerprints(fingerprinter, clip):
    x = windows(LogMel()(torch.from_numpy(clip[:20_000])), FeatureConfig())
    vectors, graphs = fingerprinter.graphs(x)
    assert len(graphs) == 12 and graphs[0].graph.neighbours.shape == (len(x), 512, 3)
    torch.testing.assert_close(vectors, fingerprinter.encode(x), atol=1e-5, rtol=0)


def test_a_saved_network_gives_the_same_fingerprints(tmp_path, fingerprinter, clip):
    torch.manual_seed(0)
    save_encoder(tmp_path / "net.safetensors", GraFPrint(SMALL), FeatureConfig(), {"steps": 1})
    loaded = Fingerprinter.load(tmp_path / "net.safetensors", precision="fp32")
    assert loaded.model_id == fingerprinter.model_id and loaded.facts == {"steps": 1}
    assert (loaded(clip) * fingerprinter(clip)).sum(axis=1).mean() > 0.99
    assert load_encoder(tmp_path / "net.safetensors")[0].config == SMALL
