"""Training data: manifests, FMA trees and folders; the PCM cache; stateless crops."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from grafprint.audio.datasets import DatasetFile, find_music
from grafprint.errors import DataError
from grafprint.training.data import Crops, PcmCache


def make_wav(path: Path, seconds: float, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).integers(-9000, 9000, round(16_000 * seconds))
    wavfile.write(path, 16_000, samples.astype(np.int16))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        make_wav(tmp_path / f"music/{number}.wav", 3 + 0.1 * number, number)
    (tmp_path / "music/notes.txt").write_text("not music")
    return tmp_path / "music"


def test_a_folder_is_searched_for_audio(folder: Path):
    (folder / "deeper").mkdir()
    shutil.copy(folder / "0.wav", folder / "deeper/UPPER.WAV")
    found = find_music(folder)
    assert sorted(s.path.name for s in found) == ["0.wav", "1.wav", "2.wav", "3.wav", "UPPER.WAV"]
    assert {s.split for s in found} == {"train"}


def test_a_manifest_names_tracks_and_splits(folder: Path):
    manifest = folder / "list.csv"
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["path", "track", "split"], ["0.wav", "a", ""], ["1.wav", "a", "valid"]]
        )
    first, second = find_music(manifest)
    assert first.path == folder / "0.wav" and first.track == second.track == "a"
    assert (first.split, second.split) == ("train", "valid")
    manifest.write_text("file\n0.wav\n")
    with pytest.raises(DataError, match="a column named 'path'"):
        find_music(manifest)


def test_an_fma_tree_has_its_own_split(tmp_path: Path):
    for number, seed in ((2, 0), (5, 1), (140, 2), (141, 3)):
        path = tmp_path / f"fma_small/000/{number:06d}.mp3"
        make_wav(path, 1, seed)
    (tmp_path / "fma_metadata").mkdir()
    (tmp_path / "fma_metadata/tracks.csv").write_text(
        ",album,set,set\n,title,split,subset\ntrack_id,,,\n"
        "2,x,training,small\n5,x,validation,small\n140,x,test,small\n"
    )
    found = {s.path.stem: s.split for s in find_music(tmp_path)}
    assert found == {"000002": "train", "000005": "valid", "000140": "test"}
    # One of several subsets.
    make_wav(tmp_path / "fma_medium/000/000140.mp3", 1, 4)
    assert len(find_music(tmp_path)) == 4
    assert [s.split for s in find_music(tmp_path / "fma_medium")] == ["test"]
    assert len(find_music(tmp_path / "fma_small")) == 3


def test_an_error_names_the_place_without_music(tmp_path: Path):
    with pytest.raises(DataError, match="no music found"):
        find_music(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        find_music(tmp_path / "nowhere")


def test_the_cache_holds_the_audio_and_skips_bad_files(folder: Path, tmp_path: Path):
    (folder / "2b.wav").write_text("this is text")
    cache = PcmCache(find_music(folder), tmp_path / "cache")
    assert [s.path.name for s in cache.sources] == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert [p.name for p, _ in cache.failed] == ["2b.wav"]
    _rate, samples = wavfile.read(folder / "3.wav")
    np.testing.assert_allclose(cache.crop(3, 100, 1000), samples[100:1100] / 32768, atol=1e-4)


def test_building_the_cache_resumes_after_an_interruption(folder: Path, tmp_path: Path):
    sources = find_music(folder)
    whole = PcmCache(sources, tmp_path / "whole")

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PcmCache(sources, tmp_path / "cut", interrupt)
    # Killing a process can also leave a torn line, and audio without a line.
    torn = next((tmp_path / "cut").iterdir())
    with (torn / "files.jsonl").open("a") as file:
        file.write('{"path": "x", "fi')
    with (torn / "audio.i16").open("ab") as pcm:
        pcm.write(b"12345")
    resumed = PcmCache(sources, tmp_path / "cut")
    assert np.array_equal(resumed.samples, whole.samples)
    assert np.array_equal(resumed.first, whole.first)


def test_crops_depend_only_on_seed_step_and_rank(folder: Path, tmp_path: Path):
    cache = PcmCache(find_music(folder), tmp_path / "cache")
    crops = Crops(cache, 2, 16_000, seed=3)
    assert torch.equal(crops[5], Crops(cache, 2, 16_000, seed=3)[5])
    assert not torch.equal(crops[5], crops[6])
    halves = [Crops(cache, 1, 16_000, seed=3, rank=r, world=2) for r in (0, 1)]
    assert not torch.equal(halves[0][5], halves[1][5])


def test_a_batch_never_holds_a_track_twice(folder: Path, tmp_path: Path):
    sources = [
        DatasetFile(s.path, "same" if i < 2 else str(i)) for i, s in enumerate(find_music(folder))
    ]
    cache = PcmCache(sources, tmp_path / "cache")
    assert len(Crops(cache, 3, 16_000, seed=0).tracks) == 3
    with pytest.raises(DataError, match=r"a batch of 4 needs as many tracks.*there are 3"):
        Crops(cache, 4, 16_000, seed=0)


def test_crops_avoid_pauses(tmp_path: Path):
    pause = np.zeros(16_000 * 20, np.int16)
    pause[-16_000 * 4 :] = np.random.default_rng(0).integers(-9000, 9000, 16_000 * 4)
    (tmp_path / "music").mkdir()
    wavfile.write(tmp_path / "music/a.wav", 16_000, pause)
    cache = PcmCache(find_music(tmp_path / "music"), tmp_path / "cache")
    exact = float(np.square(cache.crop(0, 16_000 * 15, 32_000)).mean())
    assert cache.power(16_000 * 15, 16_000 * 17) == pytest.approx(exact, rel=1e-4)
    crops = Crops(cache, 1, 16_000, seed=0)
    non_silent = [bool(crops[step].any()) for step in range(12)]
    assert sum(non_silent) >= 9  # with random crops it would be every fifth
