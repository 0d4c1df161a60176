"""The benchmark of taggers, on small look-alikes of ESC-10, a table, music and a teacher."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import tagging
from benchmarks.shared.tagged_sets import ESC10, Teacher, agreement, as_esc10, esc10
from grafprint.errors import DataError
from tests import taggers
from tests.libraries import write_wav
from tests.training import labelled_clips
from tests.training.labelled_clips import LABELS, clip

# Three classes that the small tagger can tell apart, by the sounds that it knows.
SOUNDS = {"rain": "Hiss", "helicopter": "Hum", "rooster": "Music"}


def esc_tagger(path: Path) -> Path:
    """The small tagger, as one that has a label for every class: the others are unlikely."""
    labels = ("Rain", "Helicopter", "Crowing, cock-a-doodle-doo")
    return taggers.save(path, labels)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("benchmark")
    for label, sound in SOUNDS.items():
        for fold in (4, 5):
            for number in range(2):
                name = f"esc10__{list(ESC10).index(label) + 1:03d}-{label}__{fold}-{number}-a.wav"
                samples = clip(sound, 20 + 2 * fold + number, 2.0).astype(np.float32)
                write_wav(root / "noise" / name, samples)
    write_wav(root / "noise" / "ambient__wind.wav", np.ones(16_000, np.float32))
    esc_tagger(root / "esc.safetensors")
    taggers.save(root / "tagger.safetensors")
    labelled_clips.table(root / "own", per_label=3)
    write_wav(root / "music" / "a.wav", clip("Music", 40, 3.0).astype(np.float32))
    write_wav(root / "music" / "b.wav", clip("Hum", 41, 3.0).astype(np.float32))
    valid = [f"own/clips/{label}-{n}.wav" for label in LABELS for n in (1, 2)]
    probabilities = np.repeat(np.eye(3, dtype=np.float16), 2, axis=0)
    probabilities = np.concatenate([probabilities, [[0.1, 0.2, 0.9], [0.1, 0.8, 0.7]]])
    np.savez(root / "teacher.npz", clips=[*valid, "music/a.wav", "music/b.wav"],
             labels=["Hiss", "Hum", "Music"], probabilities=probabilities)  # fmt: skip
    return root


def test_clips_of_esc10_are_known_by_their_names(place: Path):
    folds = esc10(place / "noise")
    assert list(folds) == [4, 5] and len(folds[5]) == 6
    assert folds[5].labels == tuple(ESC10)
    for file, targets in zip(folds[5].files, folds[5].targets, strict=True):
        assert tuple(ESC10)[int(targets.argmax())] in file.path.name and targets.sum() == 1
    with pytest.raises(DataError, match="no clip there is named like ESC-10's"):
        esc10(place / "music")


def test_a_class_is_as_likely_as_the_likeliest_of_its_names():
    labels = (*(names[-1] for names in ESC10.values()), "Bark")
    scores = np.arange(22, dtype=np.float32).reshape(2, 11)
    found = as_esc10(scores, labels)
    np.testing.assert_array_equal(found[:, 0], scores[:, [0, 10]].max(axis=1))
    np.testing.assert_array_equal(found[:, 1:], scores[:, 1:10])
    with pytest.raises(DataError, match="no label for ESC-10's dog-bark: Bark, Dog"):
        as_esc10(scores[:, 1:10], labels[1:10])


def test_agreement_is_with_what_the_teacher_says(place: Path):
    teacher = Teacher.read(place / "teacher.npz")
    files = [place / "music" / "b.wav", place / "music" / "unknown.wav", place / "music" / "a.wav"]
    scores = np.array([[0.9, 0.5], [0, 0], [0.8, 0.1]], np.float32)  # Music, Hum
    found = agreement(scores, ("Music", "Hum"), teacher, files)
    assert (found["clips"], found["labels"], found["same_top"]) == (2, 2, 0.5)
    assert found["mean_difference"] == pytest.approx((0.2 + 0.3 + 0.1 + 0.1) / 4, abs=1e-3)
    assert found["labels_decided"] == 1 and found["mean_average_precision"] == 1  # of Hum
    assert agreement(scores, ("Music", "Hum"), teacher, files[1:2]) == {"clips": 0}


def test_files_that_are_no_teacher_are_refused(place: Path, tmp_path: Path):
    np.savez(tmp_path / "bare.npz", clips=["a"], labels=["b"])
    with pytest.raises(DataError, match="no probabilities of a teacher"):
        Teacher.read(tmp_path / "bare.npz")
    np.savez(tmp_path / "odd.npz", clips=["a"], labels=["b"], probabilities=np.zeros((2, 1)))
    with pytest.raises(DataError, match=r"not \[clips, labels\]"):
        Teacher.read(tmp_path / "odd.npz")
    with pytest.raises(DataError):
        Teacher.read(place / "own/clips.csv")


def test_the_command_measures_every_tagger_on_every_set(place: Path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv",
        ["tagging", "--tagger", str(place / "tagger.safetensors"), "--also",
         f"again={place / 'tagger.safetensors'}", "--instruments", str(place / "own/clips.csv"),
         "--unseen", f"{place / 'own/clips.csv'}:train", "--music", str(place / "music"),
         "--teacher", f"teacher={place / 'teacher.npz'}", "--rounds", "2", "--out",
         str(place / "out")],
    )  # fmt: skip
    tagging.main()
    results = json.loads((place / "out/tagging.json").read_text())
    assert results["machine"] and list(results["taggers"]) == ["bundled", "again"]
    for of_tagger in results["taggers"].values():
        assert (
            of_tagger["ms_10s"] > 0 and of_tagger["parameters_m"] > 0 and of_tagger["labels"] == 3
        )
    instruments, unseen = results["sets"]["instruments"], results["sets"]["unseen sources"]
    assert list(instruments) == ["bundled", "again", "teacher"]
    assert instruments["bundled"]["clips"] == 6 and unseen["bundled"]["clips"] == 3
    assert instruments["bundled"]["mean_average_precision"][0] > 0.9
    assert instruments["teacher"]["mean_average_precision"][0] == 1
    assert "teacher" not in unseen  # it was not asked about these
    assert results["agreement_on_music"]["bundled"]["teacher"]["clips"] == 2
    assert "| instruments | teacher | 6 |" in capsys.readouterr().out


def test_folds_are_tagged_each_by_its_own_tagger(place: Path, monkeypatch):
    only = {name: ESC10[name] for name in SOUNDS}
    monkeypatch.setattr("benchmarks.shared.tagged_sets.ESC10", only)
    tagger = str(place / "esc.safetensors")
    arguments = ["tagging", "--tagger", tagger, "--esc10", str(place / "noise"), "--rounds", "1",
                 "--out", str(place / "folds"), "--fold", f"5={tagger}"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit, match="--fold is needed for each of the folds 4, 5"):
        tagging.main()
    monkeypatch.setattr(sys, "argv", [*arguments, "--fold", f"4={tagger}"])
    tagging.main()
    sets = json.loads((place / "folds/tagging.json").read_text())["sets"]
    assert sets["esc10 fold 5"]["bundled"]["clips"] == 6
    both = sets["esc10 five-fold"]["bundled"]
    assert both["clips"] == both["clips_with_one_label"] == 12
    assert both["accuracy"][0] > 0.8
