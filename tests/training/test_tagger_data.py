"""Labelled clips: FSD50K and AudioSet as they are distributed, and tables of one's own."""

import logging
from pathlib import Path

import numpy as np
import pytest

from grafprint.errors import DataError
from grafprint.training.tagging_data import ClipSet, find_labelled_clips
from tests.training import labelled_clips


def names_of(clips: ClipSet, number: int) -> set[str]:
    return {label for label, on in zip(clips.labels, clips.targets[number], strict=True) if on == 1}


def test_fsd50k_has_its_vocabulary_and_three_splits(tmp_path: Path):
    clips = find_labelled_clips(labelled_clips.fsd50k(tmp_path / "FSD50K"))
    assert clips.labels == ("Hiss", "Hum", "Mains_hum", "Music")
    assert [f.split for f in clips.files] == ["train", "train", "valid", "test"]
    assert [f.path.stem for f in clips.files] == ["64760", "16399", "16401", "37199"]
    assert all(f.path.is_file() for f in clips.files)
    expected = [{"Hum", "Mains_hum"}, {"Hiss"}, {"Music", "Hiss"}, {"Music"}]
    assert [names_of(clips, n) for n in range(4)] == expected
    assert clips.targets.dtype == np.float32 and set(clips.targets.ravel()) == {0, 1}
    valid = clips.of_split("valid")
    assert len(valid) == 1 and valid.labels == clips.labels and names_of(valid, 0) == expected[2]


def test_audioset_finds_the_clips_that_are_there(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    root = labelled_clips.audioset(tmp_path / "audioset")
    with caplog.at_level(logging.INFO):
        clips = find_labelled_clips(root)
    assert "balanced_train_segments.csv: 2 of 3 clips are there" in caplog.text
    assert "eval_segments.csv: 1 of 1 clips are there" in caplog.text
    assert clips.labels == ("Speech", "Male speech, man speaking", "Music")
    assert [f.split for f in clips.files] == ["train", "train", "test"]
    assert [names_of(clips, n) for n in range(3)] == [
        {"Speech", "Male speech, man speaking"},
        {"Music"},
        {"Speech", "Music"},
    ]
    (root / "eval_segments.csv").unlink()
    assert len(find_labelled_clips(root)) == 2
    (root / "balanced_train_segments.csv").unlink()
    with pytest.raises(DataError, match="there is none of balanced_train_segments"):
        find_labelled_clips(root)


def test_a_table_of_ones_own_needs_paths_and_labels(tmp_path: Path):
    (tmp_path / "a.csv").write_text('path,labels\nx/1.wav,"dog; big, brown dog"\nx/2.wav,\n')
    clips = find_labelled_clips(tmp_path / "a.csv")
    assert clips.labels == ("big, brown dog", "dog")
    assert [f.path for f in clips.files] == [tmp_path / "x/1.wav", tmp_path / "x/2.wav"]
    assert [names_of(clips, n) for n in range(2)] == [{"dog", "big, brown dog"}, set()]
    assert {f.split for f in clips.files} == {"train"}
    (tmp_path / "b.tsv").write_text("path\tlabels\tsplit\n1.wav\tcat\tvalid\n2.wav\tdog\t\n")
    assert [f.split for f in find_labelled_clips(tmp_path / "b.tsv").files] == ["valid", "train"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,tags\n1.wav,dog\n", "no column labels"),
        ("path,labels\n1.wav,dog\n1.wav,cat\n", "listed twice"),
        ("path,labels\n1.wav\n", "line 2 is too short"),
        ("path,labels\n", "no labelled clips"),
        ("", "no column path, labels"),
    ],
)
def test_tables_that_make_no_sense_are_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "clips.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        find_labelled_clips(tmp_path / "clips.csv")


def test_other_things_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="neither a table"):
        find_labelled_clips(tmp_path)
    (tmp_path / "clips.csv").write_bytes(b"path,labels\n\xff\xfe,\xff\n")
    with pytest.raises(DataError, match="cannot be read"):
        find_labelled_clips(tmp_path / "clips.csv")
    root = labelled_clips.fsd50k(tmp_path / "FSD50K")
    truth = root / "FSD50K.ground_truth"
    (truth / "eval.csv").write_text("fname,labels,mids\n37199,Barking,/m/0\n")
    with pytest.raises(DataError, match="the label 'Barking', which is not in the list"):
        find_labelled_clips(root)
    (truth / "eval.csv").unlink()
    with pytest.raises(DataError, match=r"eval.csv: there is no such file"):
        find_labelled_clips(root)
    audioset = labelled_clips.audioset(tmp_path / "audioset")
    with (audioset / "eval_segments.csv").open("a") as file:
        file.write("oneoneoneone\n")
    with pytest.raises(DataError, match="a line is not id, start, end and classes"):
        find_labelled_clips(audioset)
