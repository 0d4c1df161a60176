"""The clips of the bundled tagger's training: sounds of packages, parts, and what is written."""

import csv
import logging
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from assets.tagger.archives import qt_resources, sounds
from assets.tagger.clips import has_part, join_parts, write_flac, write_part
from assets.tagger.labels import Label, Labels
from assets.tagger.pool import fill_pool, pieces, read_pool
from assets.tagger.scenes import Scene
from assets.tagger.sources import Rule, Source
from assets.tagger.stock import is_music, sounds_of
from assets.tagger.teacher import ask_about_clips, ask_about_pool, probabilities
from grafprint import audio
from grafprint.audio import SAMPLE_RATE
from grafprint.errors import DataError
from grafprint.training.data import PcmCache
from grafprint.training.tagging_batches import TaggingBatches
from grafprint.training.tagging_data import find_labelled_clips
from tests import audio_files

NONE: frozenset[str] = frozenset()
LABELS = Labels(
    [
        Label("Music", 0, True, NONE, NONE, ()),
        Label("Bell", 1, False, NONE, NONE, ()),
        Label("Rain", 2, False, NONE, NONE, ()),
    ]
)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, round(seconds * SAMPLE_RATE)).astype(np.float32)


def qt_archive(files: dict[str, bytes]) -> bytes:
    """A Qt resource archive of format 1: one folder ``in``, with these files, packed or not."""
    names, name_at = b"", {}
    for name in ("in", *files):
        name_at[name] = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    data, data_at = b"", {}
    for number, (name, contents) in enumerate(files.items()):
        data_at[name] = len(data)
        if number % 2:
            contents = struct.pack(">I", len(contents)) + zlib.compress(contents)
        data += struct.pack(">I", len(contents)) + contents
    tree = struct.pack(">iHii", 0, 2, 1, 1)  # the root: one child, number 1
    tree += struct.pack(">iHii", name_at["in"], 2, len(files), 2)
    for number, name in enumerate(files):
        tree += struct.pack(">iHhhi", name_at[name], number % 2, 0, 0, data_at[name])
    header = struct.pack(">4siiii", b"qres", 1, 20, 20 + len(tree), 20 + len(tree) + len(data))
    return header + tree + data + names


def test_archives_of_qt_are_read_packed_or_not():
    files = {"a.ogg": b"OggS" * 9, "b.wav": b"RIFF" * 99, "c.txt": b"text"}
    found = dict(qt_resources(qt_archive(files)))
    assert found == {f"in/{name}": contents for name, contents in files.items()}
    assert list(qt_resources(b"no archive at all, but long enough")) == []


def test_sounds_are_found_in_folders_and_archives(tmp_path: Path):
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr" / "one.wav").write_bytes(b"1")
    (tmp_path / "usr" / "readme.txt").write_bytes(b"2")
    (tmp_path / "usr" / "again.wav").symlink_to("one.wav")
    with zipfile.ZipFile(tmp_path / "usr" / "more.pk3", "w") as archive:
        archive.writestr("x/two.ogg", b"3")
        archive.writestr("x/picture.png", b"4")
    (tmp_path / "usr" / "qt.rcc").write_bytes(qt_archive({"three.OGG": b"5", "d.png": b"6"}))
    found = dict(sounds(tmp_path))
    assert found == {
        "usr/more.pk3/x/two.ogg": b"3",
        "usr/one.wav": tmp_path / "usr" / "one.wav",
        "usr/qt.rcc/in/three.OGG": b"5",
    }


def test_pieces_last_at_most_10_s_and_are_not_silent():
    quiet = np.zeros(SAMPLE_RATE, np.float32)
    found = pieces(np.concatenate([quiet, noise(24), quiet]))
    assert len(found) == 3 and all(len(piece) <= 10 * SAMPLE_RATE for piece in found)
    assert sum(map(len, found)) == pytest.approx(24 * SAMPLE_RATE, abs=2000)
    assert pieces(quiet) == [] and pieces(noise(0.05)) == []
    assert np.abs(pieces(4 * noise(1))[0]).max() == 1


def package(root: Path) -> Path:
    """An unpacked package: a bell, rain in a zip file, a damaged file, and music."""
    root.mkdir()
    audio_files.write(root / "bell.wav", noise(0.5), SAMPLE_RATE, "pcm_s16le")
    (root / "broken.ogg").write_bytes(b"OggS and no more")
    (root / "tune.opus").write_bytes(audio_files.MUSIC[0].read_bytes())
    rain = audio_files.write(root / "rain.flac", noise(12, 1), SAMPLE_RATE, "flac")
    with zipfile.ZipFile(root / "in.zip", "w") as archive:
        archive.write(rain, "wet/rain.flac")
    rain.unlink()
    return root


def test_a_pool_is_filled_once_and_says_what_it_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    root = package(tmp_path / "pack")
    source = Source("pack", "train", "no", 0, "tune")
    with caplog.at_level(logging.WARNING):
        fill_pool(tmp_path / "pool", source, root, 0)
    assert "broken.ogg" in caplog.text
    pool = read_pool(tmp_path / "pool", source)
    assert pool is not None and pool.taught is None
    assert pool.names == ["bell.wav", "in.zip/wet/rain.flac", "in.zip/wet/rain.flac#1"]
    bell = audio.load(root / "bell.wav")
    assert np.allclose(pool.piece(0) / 32767, bell, atol=1e-4)
    before = (tmp_path / "pool" / "pack.i16").stat().st_mtime_ns
    fill_pool(tmp_path / "pool", source, tmp_path / "gone", 0)
    assert (tmp_path / "pool" / "pack.i16").stat().st_mtime_ns == before
    few = Source("pack", "train", "no", 1, "")
    fill_pool(tmp_path / "few", few, root, 5)
    some = read_pool(tmp_path / "few", few)
    assert some is not None and len({name.split("#")[0] for name in some.names}) == 1
    assert read_pool(tmp_path / "pool", Source("other", "train", "no", 0, "")) is None


def test_telephone_prompts_are_read(tmp_path: Path):
    root = tmp_path / "prompts"
    root.mkdir()
    with av.open(str(root / "hello.g722"), "w", format="g722") as container:
        stream = container.add_stream("g722", SAMPLE_RATE, layout="mono")
        sound = (noise(0.5) * 20000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(sound[None], "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    source = Source("prompts", "train", "no", 0, "")
    fill_pool(tmp_path / "pool", source, root, 0)
    pool = read_pool(tmp_path / "pool", source)
    assert pool is not None and len(pool.piece(0)) == pytest.approx(SAMPLE_RATE // 2, abs=500)


def test_sounds_of_a_split_have_what_name_and_teacher_say(tmp_path: Path):
    source = Source("pack", "train", "no", 0, "")
    fill_pool(tmp_path / "pool", source, package(tmp_path / "pack"), 0)
    pool = read_pool(tmp_path / "pool", source)
    assert pool is not None
    np.save(tmp_path / "pool" / "pack.npy", np.full((len(pool), 3), 0.25, np.float16))
    rules = [
        Rule("pack", re.compile("bell"), ("Bell",), ""),
        Rule("pack", re.compile("rain"), ("Rain",), "valid"),
        Rule("pack", re.compile("tune"), ("Music",), ""),
    ]
    found = sounds_of(tmp_path / "pool", [source], rules, LABELS, "train")
    bell = next(sound for sound in found if "bell" in sound.name)
    assert bell.targets.tolist() == [0, 1, 0.25]
    held_out = sounds_of(tmp_path / "pool", [source], rules, LABELS, "valid")
    assert held_out[0].name == "pack: in.zip/wet/rain.flac"
    assert held_out[0].targets.tolist() == [0, 0, 1]  # whatever the teacher said
    tune = next(sound for sound in found if "tune" in sound.name)
    assert is_music(tune, LABELS) and not is_music(bell, LABELS)


class Teacher:
    """Says the level of the window it was given, for each of three classes."""

    def get_input_details(self) -> list[dict[str, int]]:
        return [{"index": 0}]

    def get_output_details(self) -> list[dict[str, int]]:
        return [{"index": 1}]

    def set_tensor(self, index: int, window: np.ndarray) -> None:
        assert window.shape == (1, 15600) and window.dtype == np.float32
        self.level = float(np.abs(window).max())

    def invoke(self) -> None:
        self.said = np.array([[self.level, self.level / 2, 0]])

    def get_tensor(self, index: int) -> np.ndarray:
        return self.said


@pytest.mark.parametrize("seconds", [0.1, 0.975, 1.5, 9.9])
def test_a_teacher_hears_all_of_a_sound(seconds: float):
    sound = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    sound[round(0.9 * len(sound))] = 0.8
    assert probabilities(Teacher(), sound) == pytest.approx([0.8, 0.4, 0])


def test_a_teacher_is_asked_about_each_sound_once(tmp_path: Path):
    source = Source("pack", "train", "no", 0, "")
    fill_pool(tmp_path / "pool", source, package(tmp_path / "pack"), 0)
    ask_about_pool(Teacher(), tmp_path / "pool")
    pool = read_pool(tmp_path / "pool", source)
    assert pool is not None and pool.taught is not None and pool.taught.shape == (len(pool), 3)
    assert pool.taught[0, 0] == pytest.approx(np.abs(pool.piece(0)).max() / 32767, abs=1e-2)
    before = (tmp_path / "pool" / "pack.npy").stat().st_mtime_ns
    ask_about_pool(Teacher(), tmp_path / "pool")
    assert (tmp_path / "pool" / "pack.npy").stat().st_mtime_ns == before


def test_what_a_teacher_says_of_clips_can_be_compared(tmp_path: Path):
    (tmp_path / "classes.csv").write_text("index,mid,display_name\n0,/a,A\n1,/b,B\n2,/c,C\n")
    (tmp_path / "clips").mkdir()
    write_flac(tmp_path / "clips" / "x.flac", noise(1.2))
    audio_files.write(tmp_path / "clips" / "y.wav", noise(2), 48_000, "pcm_s16le")
    clips = [tmp_path / "clips" / "x.flac", tmp_path / "clips" / "y.wav"]
    ask_about_clips(Teacher(), tmp_path / "said.npz", tmp_path / "classes.csv", clips)
    with np.load(tmp_path / "said.npz") as said:
        assert said["clips"].tolist() == ["clips/x.flac", "clips/y.wav"]
        assert said["labels"].tolist() == ["A", "B", "C"]
        assert said["probabilities"][0] == pytest.approx([0.5, 0.25, 0], abs=0.01)
        assert said["probabilities"].shape == (2, 3)


def scenes(part: int) -> list[tuple[str, Scene]]:
    targets = np.array([[1, 0, np.nan], [0, 0.6, 0.3]], np.float32)
    times = [("Music", 0.5, 1.0), ("Music", 0.25, 0.75)]
    return [(f"{n:02}", Scene(noise(1.5, 2 * part + n), targets[n], times)) for n in range(2)]


def test_parts_make_a_table_that_training_reads(tmp_path: Path):
    parts = [tmp_path / "train-0", tmp_path / "valid-0"]
    for number, part in enumerate(parts):
        assert not has_part(part)
        write_part(part, scenes(number), part.name.split("-")[0], LABELS)
        assert has_part(part)
    assert join_parts(tmp_path, parts) == 4
    clips = find_labelled_clips(tmp_path / "clips.csv")
    assert clips.labels == LABELS.names and len(clips) == 4
    assert [file.split for file in clips.files] == ["train", "train", "valid", "valid"]
    assert np.allclose(clips.targets[0], [1, 0, np.nan], equal_nan=True)
    assert np.allclose(clips.targets[1], [0, 0.6, 0.3], atol=1e-3)
    with (tmp_path / "times.csv").open() as lines:
        times = [row for row in csv.DictReader(lines) if row["clip"] == "train-0/00.flac"]
    assert times == [
        {"clip": "train-0/00.flac", "label": "Music", "start_s": "0.25", "end_s": "1.00"}
    ]
    cache = PcmCache(clips.of_split("train").files, tmp_path / "cache")
    batches = TaggingBatches(cache, clips, 2, SAMPLE_RATE, 0, balanced=True)
    batch = batches[0]
    assert batch.audio.shape == (2, SAMPLE_RATE) and batch.targets.isnan().any()


def test_clips_are_kept_to_16_bits(tmp_path: Path):
    sound = noise(2)
    write_flac(tmp_path / "a.flac", sound)
    assert np.abs(audio.load(tmp_path / "a.flac") - sound).max() < 1e-4
    write_flac(tmp_path / "b.flac", 3 * sound)  # clipped, not wrapped
    assert np.abs(audio.load(tmp_path / "b.flac")).max() <= 1


def damaged_shape(path: Path) -> None:
    np.savez(path, labels=np.array(["a"]), targets=np.zeros((1, 1)))


def damaged_values(path: Path) -> None:
    np.savez(path, labels=np.array(["a"]), targets=np.array([[0.0], [2.0]]))


def damaged_bytes(path: Path) -> None:
    path.write_bytes(b"PK and no more")


def missing_names(path: Path) -> None:
    np.savez(path, targets=np.zeros((2, 1)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged_shape, "do not fit 2 clips"),
        (damaged_values, "from 0 to 1"),
        (damaged_bytes, "no targets of clips can be read"),
        (missing_names, "no targets of clips can be read"),
    ],
)
def test_targets_that_do_not_fit_are_refused(
    tmp_path: Path, damage: Callable[[Path], None], message: str
):
    (tmp_path / "clips.csv").write_text("path,labels\n1.wav,\n2.wav,\n")
    damage(tmp_path / "clips.targets.npz")
    with pytest.raises(DataError, match=message):
        find_labelled_clips(tmp_path / "clips.csv")
