"""Tracks shorter than the query steps that confirm a play: jingles in a mix."""

import json

import numpy as np
import pytest
from scipy.io import wavfile

from grafprint import audio
from grafprint.audio import SAMPLE_RATE as RATE
from grafprint.evaluation.mixes import Mix
from grafprint.library import Library
from grafprint.scan import Timeline
from tests.paths import ASSETS

LENGTHS_S = (3.0, 3.5, 4.5, 5.5, 7.0)


@pytest.fixture(scope="module")
def music():
    """Half a minute of each of some tracks."""
    with Library.open(ASSETS / "library") as bundled:
        tracks = [track for track in bundled.tracks() if track.duration_s > 40][:12]
        paths = [bundled.audio_path(track) for track in tracks]
    return [audio.load(path, start_s=5, duration_s=30) for path in paths if path]


@pytest.fixture(scope="module")
def jingles(music, fingerprinter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("jingles")
    with Library.create(folder / "library", fingerprinter) as library:
        for number, length_s in enumerate(LENGTHS_S):
            jingle = music[number][3 * RATE : 3 * RATE + round(length_s * RATE)]
            wavfile.write(folder / f"{number}.wav", RATE, jingle)
            library.add(folder / f"{number}.wav", fingerprinter)
        yield library


@pytest.fixture(scope="module")
def mix(music, jingles):
    """Each jingle between parts of unknown music."""
    mix = Mix(jingles)
    for track, stranger in zip(jingles.tracks(), music[6:], strict=False):
        mix.add(stranger[: round(7.3 * RATE)])
        mix.play(track, 0, track.duration_s)
    mix.add(music[11])
    return mix


@pytest.fixture(scope="module")
def vectors(fingerprinter, mix):
    """The fingerprints of the mix."""
    return fingerprinter(mix.samples)


def plays(library, vectors, size):
    timeline = Timeline(library)
    found = []
    for begin in range(0, len(vectors), size):
        found += timeline.push(vectors[begin : begin + size])
    return [*found, *timeline.finish()]


def test_jingles_are_found_and_nothing_else(jingles, vectors, mix):
    found = plays(jingles, vectors, 64)
    assert [play.track for play in found] == [part.track for part in mix.parts]
    for play, part in zip(found, mix.parts, strict=True):
        assert play.start_s == pytest.approx(part.start_s, abs=0.3)
        assert play.end_s == pytest.approx(part.end_s, abs=0.3)


def test_the_plays_do_not_depend_on_how_fingerprints_are_split(jingles, vectors):
    assert plays(jingles, vectors, 64) == plays(jingles, vectors, 5) == plays(jingles, vectors, 999)


def test_a_jingle_is_announced_while_it_is_known(jingles, vectors):
    timeline = Timeline(jingles)
    announced = set()
    for part in np.array_split(vectors, 200):
        timeline.push(part)
        announced |= {play.track.id for play in timeline.playing}
        json.dumps(timeline.state())
        timeline = Timeline.resumed(jingles, json.loads(json.dumps(timeline.state())))
    assert announced == {track.id for track in jingles.tracks()}


def test_half_a_jingle_is_not_reported(jingles, fingerprinter, music):
    half = Mix(jingles)
    half.add(music[8][: 8 * RATE])
    half.play(jingles.tracks()[1], 0, 1.7)
    half.add(music[9][: 8 * RATE])
    assert plays(jingles, fingerprinter(half.samples), 64) == []
