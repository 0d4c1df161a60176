"""Evaluation with queries of one channel, while the references are the mix."""

from pathlib import Path

import numpy as np

from grafprint import audio
from grafprint.degradation import NoiseBank, RoomBank
from grafprint.evaluation.queries import Degrader, Setting
from grafprint.fingerprint import Fingerprinter
from tests.audio_files import music, write


def test_clean_queries_can_be_of_one_channel_only(fingerprinter: Fingerprinter, tmp_path: Path):
    both = music(6, audio.SAMPLE_RATE, 2)
    stereo = write(tmp_path / "stereo.flac", both, audio.SAMPLE_RATE, "flac")
    alone = [write(tmp_path / f"{n}.flac", both[:, [n]], audio.SAMPLE_RATE, "flac") for n in (0, 1)]
    banks = NoiseBank([np.ones(1)]), RoomBank([np.ones(1, np.float32)])

    def query(path: Path, seed: int, one_channel: bool) -> np.ndarray:
        degrader = Degrader(*banks, one_channel=one_channel)
        rng = np.random.default_rng(7)
        settings = [Setting(2.0, None, False)]
        return degrader.clean(fingerprinter, path, 6.0, settings, rng, (seed,))[0].fingerprints

    left, right = (query(path, 0, one_channel=False) for path in alone)
    heard = set()
    for seed in range(6):
        found = query(stereo, seed, one_channel=True)
        (which,) = [
            n for n, each in enumerate((left, right)) if np.allclose(found, each, atol=1e-4)
        ]
        heard.add(which)
    assert heard == {0, 1}
    mix = query(stereo, 0, one_channel=False)
    assert not np.allclose(mix, left, atol=0.1) and not np.allclose(mix, right, atol=0.1)
