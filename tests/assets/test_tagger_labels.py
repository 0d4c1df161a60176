"""Labels of the bundled tagger: which are right for an instrument, a name, and a teacher."""

import re

import numpy as np
import pytest

from assets.tagger.labels import Label, Labels, read_labels
from assets.tagger.sources import (
    Rule,
    Source,
    name_says,
    read_rules,
    read_sources,
    targets_of_sound,
)
from assets.tagger.stock import of_labels, strict
from grafprint.errors import DataError

LABELS = read_labels()


def label(name: str, music: bool, programs: str = "", unsure: str = "", parents: str = "") -> Label:
    split = parents.split(";") if parents else []
    index = None if name == "Tuba" else len(name)
    return Label(
        name, index, music, frozenset(programs.split()), frozenset(unsure.split()), tuple(split)
    )


FEW = Labels(
    [
        label("Music", True),
        label("Brass", True, "61", parents="Music"),
        label("Trumpet", True, "56", "61", parents="Brass"),
        label("Tuba", True, "58", "61", parents="Brass"),
        label("Animal", False),
        label("Dog", False, parents="Animal"),
        label("Rain", False),
    ]
)


def said(labels: Labels, targets: np.ndarray) -> dict[str, float]:
    return dict(zip(labels.names, targets.tolist(), strict=True))


def test_an_instrument_has_its_ancestors_and_leaves_open_what_one_could_argue():
    trumpet = said(FEW, FEW.of_program("56"))
    assert trumpet == {
        "Music": 1, "Brass": 1, "Trumpet": 1, "Tuba": 0, "Animal": 0, "Dog": 0, "Rain": 0
    }  # fmt: skip
    section = said(FEW, FEW.of_program("61"))
    assert section["Music"] == section["Brass"] == 1 and section["Rain"] == 0
    assert np.isnan([section["Trumpet"], section["Tuba"]]).all()
    assert FEW.programs == ["56", "58", "61"]


def test_fewer_labels_lose_parents_that_are_not_among_them():
    some = FEW.select(["Music", "Trumpet"])
    assert some.names == ("Music", "Trumpet")
    assert said(some, some.of_program("56")) == {"Music": 0, "Trumpet": 1}
    with pytest.raises(DataError, match="'Cow' is not a label"):
        some.rows(["Cow"])
    with pytest.raises(DataError, match="its parent Music is not a label"):
        Labels(FEW.labels[1:])


SOURCE = Source("pack", "train", "no", 0, "music/")


def test_names_are_trusted_and_a_teacher_says_the_rest_but_about_music():
    taught = np.array([0.1, 0.9, 0.9, np.nan, 0.7, 0.2, 0.05], np.float32)
    dog = said(FEW, targets_of_sound(SOURCE, ["Dog"], taught, FEW))
    assert dog["Dog"] == dog["Animal"] == 1 and dog["Rain"] == pytest.approx(0.05)
    assert dog["Music"] == dog["Trumpet"] == dog["Tuba"] == 0
    unnamed = said(FEW, targets_of_sound(SOURCE, [], taught, FEW))
    assert unnamed["Animal"] == pytest.approx(0.7) and unnamed["Dog"] == pytest.approx(0.2)


def test_where_a_teacher_hears_music_nothing_is_known_of_it():
    taught = np.array([0.6, 0, 0, 0, 0, 0, 0], np.float32)
    heard = said(FEW, targets_of_sound(SOURCE, [], taught, FEW))
    assert np.isnan([heard["Music"], heard["Brass"], heard["Trumpet"]]).all()
    assert heard["Rain"] == 0


def test_a_named_instrument_is_the_only_one_and_its_kinds_stay_open():
    taught = np.array([0.9, 0, 0, 0, 0.3, 0.1, 0.1], np.float32)
    tuba = said(FEW, targets_of_sound(SOURCE, ["Tuba"], taught, FEW))
    assert tuba["Tuba"] == tuba["Brass"] == tuba["Music"] == 1 and tuba["Trumpet"] == 0
    assert np.isnan(tuba["Animal"]) and tuba["Rain"] == 0  # a teacher that errs on music
    brass = said(FEW, targets_of_sound(SOURCE, ["Brass"], None, FEW))
    assert brass["Brass"] == 1 and np.isnan([brass["Trumpet"], brass["Tuba"]]).all()
    unknown = Source("pack", "train", "unknown", 0, "")
    assert np.isnan(said(FEW, targets_of_sound(unknown, ["Tuba"], None, FEW))["Trumpet"])


def test_measuring_takes_what_names_tell_whatever_a_teacher_says():
    measured = said(FEW, strict(["Brass", "Rain"], FEW))
    assert measured["Music"] == measured["Brass"] == measured["Rain"] == 1
    assert measured["Animal"] == measured["Dog"] == 0
    assert np.isnan([measured["Trumpet"], measured["Tuba"]]).all()


def test_names_tell_labels_and_splits():
    rules = [
        Rule("pack", re.compile("dog|bark", re.IGNORECASE), ("Dog",), ""),
        Rule("pack", re.compile("4-"), (), "valid"),
        Rule("other", re.compile("."), ("Rain",), ""),
    ]
    assert name_says(SOURCE, "animals/Barking.ogg", rules) == (["Dog"], "train")
    assert name_says(SOURCE, "4-dog.ogg", rules) == (["Dog"], "valid")
    assert name_says(SOURCE, "cow.ogg", rules) == ([], "train")
    assert SOURCE.wants("cow.ogg") and not SOURCE.wants("Music/cow.ogg")


def test_a_teacher_is_asked_about_audiosets_labels_by_their_index():
    taught = np.arange(10) / 10
    assert said(FEW, of_labels(taught, FEW))["Dog"] == pytest.approx(0.3)
    assert np.isnan(said(FEW, of_labels(taught, FEW))["Tuba"])


def test_the_tables_agree_with_each_other():
    rules, sources = read_rules(), read_sources()
    for rule in rules:
        LABELS.rows(rule.labels)
        assert any(source.name.startswith(rule.source) for source in sources), rule
    assert len(set(LABELS.names)) == len(LABELS) >= 80
    indices = [entry.audioset for entry in LABELS.labels if entry.audioset is not None]
    assert len(set(indices)) == len(indices) and max(indices) < 521
    for program in LABELS.programs:
        assert 0 <= int(program.lstrip("d")) < 128
        assert np.nansum(LABELS.of_program(program)) >= 1
    named = {name for rule in rules for name in rule.labels}
    made = {"Hum", "Pink noise", "Sine wave", "White noise"}
    taught_only = {entry.name for entry in LABELS.labels if not entry.programs} - named - made
    assert not {name for name in taught_only if LABELS.labels[LABELS.row(name)].music}
