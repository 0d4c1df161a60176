"""The sound of a node's patch: what of a segment lies in its time and its band."""

import numpy as np
import pytest

from grafprint.explore import graphs, patches
from grafprint.explore.graphs import NodeGraph
from grafprint.fingerprint import Fingerprinter
from tests.libraries import excerpt

RATE = 16_000


@pytest.fixture(scope="module")
def blocks(fingerprinter: Fingerprinter) -> list[NodeGraph]:
    inputs = graphs.segment(fingerprinter, excerpt(2, 20, 1.1), 0.0)
    return graphs.inspect(fingerprinter, inputs)[1][0]


def test_patches_tile_the_segment_around_their_nodes(
    blocks: list[NodeGraph], fingerprinter: Fingerprinter
):
    for graph in (blocks[0], blocks[-1]):
        limits = [
            patches.patch_limits(graph, node, fingerprinter.features) for node in range(graph.nodes)
        ]
        for node, (begin, end, low, high) in enumerate(limits):
            assert low < graph.frequency_hz[node] < high
            assert begin <= graph.time_s[node] <= end
        rows, columns = graph.grid
        assert [limits[r * columns][3] for r in range(rows - 1)] == pytest.approx(
            [limits[r * columns][2] for r in range(1, rows)]
        )
        assert limits[0][0] == 0 and 0.95 < limits[columns - 1][1] <= 1


def test_only_the_sound_in_the_patch_is_heard(
    blocks: list[NodeGraph], fingerprinter: Fingerprinter
):
    graph, features = blocks[-1], fingerprinter.features  # 4 rows, 2 columns
    begin, end, low, high = patches.patch_limits(graph, 2, features)
    t = np.arange(RATE) / RATE
    inside, outside = (low + high) / 2, high * 2.5
    tones = 0.01 * np.sin(2 * np.pi * inside * t) + 0.5 * np.sin(2 * np.pi * outside * t)
    patch = patches.patch_sound(tones.astype(np.float32), graph, 2, features)
    assert len(patch) == pytest.approx((end - begin) * RATE, abs=1) and patch.dtype == np.float32
    assert np.abs(patch).max() == pytest.approx(patches.PEAK)
    power = np.abs(np.fft.rfft(patch)) ** 2
    hz = np.fft.rfftfreq(len(patch), 1 / RATE)
    assert hz[np.argmax(power)] == pytest.approx(inside, rel=0.02)
    assert power[hz > high * 1.5].sum() < 0.01 * power.sum()
    assert abs(patch[0]) < 0.01 and abs(patch[-1]) < 0.01  # soft edges


def test_silence_stays_silent_and_unknown_nodes_are_refused(
    blocks: list[NodeGraph], fingerprinter: Fingerprinter
):
    silent = np.zeros(RATE, np.float32)
    assert not patches.patch_sound(silent, blocks[0], 3, fingerprinter.features).any()
    for node in (-1, blocks[0].nodes):
        with pytest.raises(IndexError, match="nodes 0 to 511"):
            patches.patch_sound(silent, blocks[0], node, fingerprinter.features)
