"""Finding, splitting and decoding MUSAN and AIR, with small trees that look like them."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from grafprint.audio.datasets import AIR_TEST_ROOMS, find_clips, load_clips
from grafprint.degradation.banks import noise_bank, room_bank
from grafprint.errors import DataError
from tests import audio_files


def musan(root: Path, noises: int) -> Path:
    for part in ("noise/free-sound", "noise/sound-bible", "music/fma", "speech/librivox"):
        (root / part).mkdir(parents=True)
    noise = np.random.default_rng(0).normal(size=4000).astype(np.float32) * 0.1
    for number in range(noises):
        place = "free-sound" if number % 2 else "sound-bible"
        path = root / f"noise/{place}/noise-{place}-{number:04d}.wav"
        audio_files.write(path, noise, 16_000, "pcm_s16le")
    audio_files.write(root / "music/fma/music-fma-0000.wav", noise, 16_000, "pcm_s16le")
    (root / "noise" / "ANNOTATIONS").write_text("noise-free-sound-0000 dog\n")
    return root


def air(root: Path) -> Path:
    """File names as in the database; a click at 48 kHz, delayed by 480 samples (10 ms)."""
    names = [
        "air_binaural_aula_carolina_1_3_90_3", "air_binaural_booth_1_1_1",
        "air_binaural_lecture_0_1_2", "air_binaural_meeting_1_1_3", "air_binaural_office_0_1_1",
        "air_binaural_stairway_1_1_1_90", "air_phone_bathroom_hfrp", "air_phone_BT_kitchen_hhp",
        "air_phone_lecture1_hhp", "air_phone_corridor_hfrp",
    ]  # fmt: skip
    (root / "AIR_1_4").mkdir(parents=True)
    response = np.zeros((1, 24_000))
    response[0, 480] = 1.0
    response[0, 4800] = 0.5
    for name in names:
        savemat(
            root / "AIR_1_4" / f"{name}.mat",
            {"h_air": response, "air_info": {"fs": 48_000, "room": 1}},
        )
    return root


def test_musan_gives_its_noises_in_two_splits(tmp_path: Path):
    root = musan(tmp_path / "musan", 60)
    found = find_clips(root)
    assert len(found) == 60 and all("noise-" in s.path.name for s in found)
    train, test = (load_clips(root, split)[1] for split in ("train", "test"))
    assert not set(train) & set(test) and len(train) + len(test) == 60
    assert 4 <= len(test) <= 22  # about a fifth
    assert load_clips(root, "test")[1] == test
    assert len(noise_bank(root, "train", 0, 0)) == len(train)


def test_air_is_split_by_room_and_resampled(tmp_path: Path):
    root = air(tmp_path)
    (clips, test), (_, train) = load_clips(root, "test"), load_clips(root, "train")
    assert len(test) == 4 and len(train) == 6
    assert all(any(room in name for room in AIR_TEST_ROOMS) for name in test)
    assert not any(room in name for name in train for room in AIR_TEST_ROOMS)
    for clip in clips:
        assert clip.dtype == np.float32 and clip.shape == (8000,)
        assert np.abs(clip).argmax() == 160  # 10 ms at 16 kHz
        assert clip[1600] / clip[160] == pytest.approx(0.5, rel=1e-3)
    # The bank removes everything before the direct sound.
    assert room_bank(root, "test", 0, 0).responses[0].argmax() == 0


def test_a_damaged_response_is_left_out_and_named(tmp_path: Path, caplog):
    root = air(tmp_path)
    (root / "AIR_1_4" / "air_binaural_office_9_9_9.mat").write_bytes(b"not a matrix")
    savemat(root / "AIR_1_4" / "air_binaural_office_8_8_8.mat", {"other": 1})
    assert len(load_clips(root, "train")[1]) == 6
    assert "office_9_9_9" in caplog.text and "office_8_8_8" in caplog.text


def test_manifests_may_have_splits_but_folders_have_none(tmp_path: Path):
    noise = np.random.default_rng(0).normal(size=4000).astype(np.float32) * 0.1
    for name in ("a", "b", "c"):
        audio_files.write(tmp_path / f"{name}.wav", noise, 16_000, "pcm_s16le")
    manifest = tmp_path / "noise.csv"
    manifest.write_text("path,split\na.wav,train\nb.wav,test\nc.wav,train\n")
    assert load_clips(manifest, "train")[1] == ["a", "c"]
    assert load_clips(manifest, "test")[1] == ["b"]
    assert load_clips(tmp_path, "train")[1] == load_clips(tmp_path, "test")[1] == ["a", "b", "c"]
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.wav").write_text("nothing")
    with pytest.raises(DataError, match="none of the files"):
        load_clips(tmp_path, "train")
