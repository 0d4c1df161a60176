"""Scenes for training a tagger: notes, exact times, levels, and what can still be heard."""

from collections.abc import Sequence

import numpy as np
import pytest

from assets.tagger.activity import active_span, intervals, level_db
from assets.tagger.fonts import Font, events, play
from assets.tagger.labels import read_labels
from assets.tagger.phrases import Note, drum_parts, key_range, phrase, strokes
from assets.tagger.recipes import Director, Shelf, Sound, program_weights, shelf_of
from assets.tagger.scenes import Studio, combine, merge_times, mix, prominence_db
from assets.tagger.stems import Stem, recording, synthetic, tint
from grafprint.audio import SAMPLE_RATE

LABELS = read_labels()


def tone(hertz: float, start_s: float, end_s: float, seconds: float = 10.0) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    on = (time >= start_s) & (time < end_s)
    return (np.sin(2 * np.pi * hertz * time) * on).astype(np.float32)


class SineBank:
    """A player of sines, as a sound font's: each held key is one."""

    def __init__(self) -> None:
        self.held: dict[int, int] = {}
        self.done = 0

    def noteon(self, chan: int, key: int, velocity: int) -> bool:
        self.held[key] = velocity
        return True

    def noteoff(self, chan: int, key: int) -> None:
        self.held.pop(key, None)

    def generate(self, samples: int) -> memoryview:
        time = (self.done + np.arange(samples)) / (2 * SAMPLE_RATE)
        self.done += samples
        one = np.zeros(samples)
        for key, velocity in self.held.items():
            one += velocity / 127 * np.sin(2 * np.pi * 440 * 2 ** ((key - 69) / 12) * time)
        return memoryview(np.repeat(one.astype(np.float32), 2).tobytes())


def test_notes_sound_exactly_when_they_should():
    notes = [Note(0.5, 1.0, 69, 100), Note(2.25, 0.5, 81, 60), Note(4.9, 3.0, 60, 127)]
    sound = play(SineBank(), notes, 5.0)
    assert sound.shape == (5 * SAMPLE_RATE,) and sound.dtype == np.float32
    spans = intervals(sound)
    expected = [(0.5, 1.5), (2.25, 2.75), (4.9, 5.0)]
    assert np.allclose(spans, expected, atol=0.021)
    spectrum = np.abs(np.fft.rfft(sound[: 2 * SAMPLE_RATE]))
    assert np.argmax(spectrum) / 2 == pytest.approx(440, abs=1)


def test_a_key_struck_again_ends_before_it_begins():
    order = [(time, on) for time, on, _ in events([Note(0, 1, 60, 90), Note(1, 1, 60, 90)])]
    assert order == [(0, True), (1, False), (1, True), (2, False)]
    assert not np.any(play(SineBank(), [], 0.5))


@pytest.mark.parametrize("program", [0, 19, 32, 40, 58, 73, 106, 114])
def test_phrases_stay_within_clip_and_range(program: int):
    low, high = key_range(program)
    assert low < high
    for seed in range(12):
        notes = phrase(program, 6.0, np.random.default_rng(seed))
        assert notes == phrase(program, 6.0, np.random.default_rng(seed))
        for note in notes:
            assert 0 <= note.start_s < 6 and note.start_s + note.length_s <= 6 + 1e-6
            assert low <= note.key <= high + 14 and 1 <= note.velocity <= 127


def test_drums_are_told_apart_by_key():
    parts = drum_parts(10.0, np.random.default_rng(3))
    assert len(parts) >= 3
    for key, notes in parts.items():
        assert {note.key for note in notes} == {key}
        assert all(0 <= note.start_s < 10 for note in notes)
    assert {note.key for note in strokes(56, 4.0, np.random.default_rng(0))} == {56}


def test_intervals_join_short_pauses_and_leave_out_what_is_too_quiet():
    sound = tone(300, 1, 2) + tone(300, 2.2, 3) + tone(300, 5, 6) + 0.005 * tone(300, 8, 9)
    assert np.allclose(intervals(sound), [(1, 3), (5, 6)], atol=0.021)
    assert intervals(np.zeros(1000, np.float32)) == []
    begin, end = active_span(sound)
    assert begin / SAMPLE_RATE == pytest.approx(1, abs=0.03)
    assert end / SAMPLE_RATE == pytest.approx(9, abs=0.03)
    assert level_db(tone(300, 0, 1)) == pytest.approx(-3, abs=0.3)
    assert level_db(np.zeros(100)) == -np.inf


def stem(name: str, sound: np.ndarray) -> Stem:
    targets = np.zeros(len(LABELS), np.float32)
    targets[LABELS.rows([name])] = 1
    return Stem(name, sound, targets)


def test_a_scene_tells_what_sounds_when():
    scene = mix([stem("Flute", tone(900, 1, 3)), stem("Dog", tone(200, 6, 7))], [0, -6], LABELS)
    on = {LABELS.names[row] for row in np.nonzero(scene.targets == 1)[0]}
    assert on >= {"Flute", "Music", "Dog", "Animal"}
    assert (scene.targets[LABELS.rows(["Rain"])] == 0).all()
    times = {(label, round(start, 1), round(end, 1)) for label, start, end in scene.times}
    assert {("Flute", 1.0, 3.0), ("Music", 1.0, 3.0), ("Dog", 6.0, 7.0)} <= times
    loud = level_db(scene.samples[SAMPLE_RATE : 3 * SAMPLE_RATE])
    quiet = level_db(scene.samples[6 * SAMPLE_RATE : 7 * SAMPLE_RATE])
    assert loud == pytest.approx(0, abs=0.5) and loud - quiet == pytest.approx(6, abs=0.5)


@pytest.mark.parametrize(("gain_db", "target"), [(-6, 1), (-20, np.nan), (-40, 0)])
def test_what_is_drowned_is_not_a_label(gain_db: float, target: float):
    scene = mix(
        [stem("Flute", tone(900, 0, 10)), stem("Dog", tone(200, 6, 7))], [0, gain_db], LABELS
    )
    found = scene.targets[LABELS.row("Dog")]
    assert found == target or (np.isnan(found) and np.isnan(target))
    assert bool([t for t in scene.times if t[0] == "Dog"]) == (target == 1)
    assert scene.targets[LABELS.row("Flute")] == 1
    # The same sound, while nothing else is to be heard, stays a label however soft it is.
    alone = mix(
        [stem("Flute", tone(900, 0, 5)), stem("Dog", tone(200, 6, 7))], [0, gain_db], LABELS
    )
    assert alone.targets[LABELS.row("Dog")] == 1


def test_targets_of_a_mixture_are_the_surest_of_each():
    both = combine(np.array([[1, 0, 0.3, np.nan, np.nan], [np.nan, 0, 0.2, 0.1, 0.9]], np.float32))
    assert np.array_equal(both, np.array([1, 0, 0.3, np.nan, 0.9], np.float32), equal_nan=True)


def test_prominence_is_measured_while_the_sound_is_there():
    assert prominence_db(tone(200, 1, 2), 0.1 * tone(900, 0, 10)) == pytest.approx(20, abs=0.5)
    assert prominence_db(np.zeros(1000), np.ones(1000)) == -np.inf


def test_times_of_a_label_do_not_overlap():
    times = [("b", 1.0, 2.0), ("a", 3.0, 4.0), ("b", 1.5, 3.0), ("b", 5.0, 6.0)]
    assert merge_times(times) == [("a", 3.0, 4.0), ("b", 1.0, 3.0), ("b", 5.0, 6.0)]


def test_recordings_are_placed_whole_or_cut_and_come_again():
    rng, targets = np.random.default_rng(1), np.zeros(3, np.float32)
    short = np.ones(SAMPLE_RATE // 4, np.float32)
    for _ in range(10):
        sound = recording("x", short, targets, 5.0, rng).samples
        assert len(sound) == 5 * SAMPLE_RATE and np.any(sound)
        long = recording("x", np.ones(20 * SAMPLE_RATE, np.float32), targets, 5.0, rng).samples
        assert len(long) == 5 * SAMPLE_RATE and long.min() > 0


def test_synthetic_sounds_are_what_their_label_says():
    found = {}
    for seed in range(40):
        made = synthetic(LABELS, 4.0, np.random.default_rng(seed))
        assert made.targets[LABELS.row(made.name)] == 1 and np.isfinite(made.samples).all()
        found[made.name] = made.samples
    assert set(found) == {"White noise", "Pink noise", "Hum", "Sine wave", "Beep, bleep"}
    power = np.abs(np.fft.rfft(found["Hum"])) ** 2
    assert power[: 4 * 1000].sum() > 0.9 * power.sum()  # below 1 kHz


def test_rare_labels_are_drawn_as_often_as_the_frequent_ones():
    def sound(name: str, number: int) -> Sound:
        return Sound(f"{name}{number}", np.ones(100, np.int16), stem(name, np.zeros(1)).targets)

    shelf = Shelf(
        [sound("Rain", n) for n in range(50)] + [sound("Siren", n) for n in range(3)], LABELS
    )
    rng = np.random.default_rng(0)
    drawn = [shelf.draw(rng).name for _ in range(300)]
    rare = sum(name.startswith("Siren") for name in drawn)
    assert 20 < rare < 100  # 17 if all sounds were alike
    assert len({name for name in drawn if name.startswith("Rain")}) > 30
    assert shelf.any(rng).samples.dtype == np.float32


class Sines(Font):
    """A sound font of sines."""

    def __init__(self) -> None:
        self.kits = [0]

    def render(
        self, program: int | None, notes: Sequence[Note], seconds: float, kit: int = 0
    ) -> np.ndarray:
        return play(SineBank(), notes, seconds)


def test_scenes_of_all_kinds_can_be_drawn_again():
    sounds = [
        Sound(name, np.full(3000, 9999, np.int16), stem(name, np.zeros(1)).targets)
        for name in ("Rain", "Rain", "Dog", "Dog")
    ]
    music = [
        Sound("m", np.full(300_000, 9999, np.int16), stem("Music", np.zeros(1)).targets)
        for _ in range(2)
    ]
    few, tunes = shelf_of(sounds, LABELS), shelf_of(music, LABELS)
    director = Director(LABELS, [(Sines(), 1.0)], few, tunes, Studio(0, 2), seconds=2.0)
    said = set()
    for seed in range(12):
        scene, again = (director.scene(np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(scene.samples, again.samples)
        assert np.array_equal(scene.targets, again.targets, equal_nan=True)
        assert scene.samples.shape == (2 * SAMPLE_RATE,) and np.isfinite(scene.samples).all()
        assert all(0 <= start < end <= 2 for _, start, end in scene.times)
        timed = {label for label, _, _ in scene.times}
        sure = {LABELS.names[row] for row in np.nonzero(scene.targets == 1)[0]}
        assert sure == timed
        said |= sure
    assert {"Music", "Rain", "Dog", "Animal", "Percussion"} <= said


def test_without_recordings_there_are_scenes_of_instruments():
    assert shelf_of([], LABELS) is None
    director = Director(LABELS, [(Sines(), 1.0)], None, None, None, seconds=2.0)
    for seed in range(6):
        scene = director.scene(np.random.default_rng(seed))
        assert not np.isnan(scene.targets).all() and (scene.targets[~LABELS.music] <= 1).all()


def test_labels_of_one_program_are_not_outnumbered():
    programs = [p for p in LABELS.programs if not p.startswith("d")]
    weights = dict(zip(programs, program_weights(LABELS, programs), strict=True))
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["105"] > 2 * weights["88"]  # the only banjo, and one of 21 synthesizers


def test_colours_and_rooms_keep_the_clip_in_place():
    rng = np.random.default_rng(0)
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[5000] = 1
    assert np.argmax(np.abs(tint(click, rng, 3.0))) == 5000
    studio = Studio(0, 2)
    for _ in range(8):
        recorded = studio.record(tone(500, 0.2, 0.8, 1.0), rng)
        assert recorded.shape == (SAMPLE_RATE,) and 0.04 < np.abs(recorded).max() <= 0.9 + 1e-6
        begin, _ = intervals(recorded, 25.0)[0]
        assert begin == pytest.approx(0.2, abs=0.04)
