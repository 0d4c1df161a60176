"""Real recordings with a table of truth: made from bundled music by the virtual re-recording."""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from grafprint import audio
from grafprint.cli import app
from grafprint.degradation import NoiseBank, RoomBank, synthetic_noise, synthetic_rooms
from grafprint.degradation.rerecording import PRESETS, Rerecord
from grafprint.errors import ConfigError, DataError
from grafprint.evaluation import (
    RecordingsConfig,
    RecordingsReport,
    evaluate_recordings,
    read_truth,
    recordings_table,
)
from grafprint.evaluation.intervals import bootstrap, clustered, wilson
from grafprint.evaluation.plots import recordings_figure
from grafprint.evaluation.recordings import window_starts
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from tests.libraries import of_bundled_tracks, write_wav
from tests.paths import ASSETS, ROOT

MUSIC = sorted((ASSETS / "music").glob("*.opus"))
START_S, LENGTH_S = 20.0, 6.0
LENGTHS = RecordingsConfig(lengths_s=(1.0, 3.0, 10.0), windows=4)


@dataclass
class Place:
    """A folder with a library of three tracks, four recordings and their table of truth."""

    folder: Path
    titles: list[str]

    @property
    def table(self) -> Path:
        return self.folder / "truth.csv"

    def open(self) -> Library:
        return Library.open(self.folder / "library")

    def write(self, text: str, name: str = "faulty.csv") -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path


def rerecorded(track: Path, number: int) -> np.ndarray:
    """Seconds of a track as a phone across the room would record them."""
    past = audio.SAMPLE_RATE
    music = audio.load(track, start_s=START_S - 1, duration_s=LENGTH_S + 1)
    config = replace(PRESETS["phone across the room"], snr_db=(12.0, 15.0))
    banks = NoiseBank(synthetic_noise.noises(3, 0)), RoomBank(synthetic_rooms.rooms(2, 0))
    chain = Rerecord(config, past, *banks)
    clip = chain(torch.from_numpy(music[None]), torch.Generator().manual_seed(number))[0].numpy()
    return np.asarray(clip / np.abs(clip).max(), np.float32)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("recordings")
    with Library.open(of_bundled_tracks(folder, 3)) as library:
        titles = [track.title for track in library.tracks()]
    # The last one is of other music, which is not in the library.
    for number, track in enumerate((*MUSIC[:3], MUSIC[12])):
        write_wav(folder / "clips" / f"{number}.wav", rerecorded(track, number))
    rows = [
        ("clip", "track", "start", "device"),
        ("clips/0.wav", titles[0], START_S, "phone"),
        ("clips/1.wav", str(MUSIC[1]), START_S, "phone"),
        ("clips/2.wav", MUSIC[2].name, "", "laptop"),
        ("clips/3.wav", "-", "", "laptop"),
    ]
    with (folder / "truth.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return Place(folder, titles)


@pytest.fixture(scope="module")
def report(place: Place, fingerprinter: Fingerprinter) -> RecordingsReport:
    with place.open() as library:
        recordings = read_truth(place.table, library, "device")
        return evaluate_recordings(library, fingerprinter, recordings, LENGTHS, "device")


def test_recordings_are_found_named_and_placed(report):
    groups = report.groups()
    assert list(groups) == ["all", "device: phone", "device: laptop"]
    cell = report.summary(groups["all"], 3.0)
    assert (cell["clips"], cell["windows"], cell["absent_windows"]) == (3, 9, 3)
    assert cell["right_track"][0] == 1 and cell["right_tolerance"][0] == 1
    assert cell["named_wrong"][0] == 0 and cell["named_when_absent"][0] == 0
    assert abs(cell["median_time_error_s"]) < 0.1
    # Without a start, only the track is judged.
    laptop = report.summary(groups["device: laptop"], 3.0)
    assert laptop["right_track"][0] == 1 and laptop["right_tolerance"] is None
    # No clip is 10 s long.
    assert report.summary(groups["all"], 10.0)["too_short_clips"] == 4


def test_a_wrong_truth_is_a_wrong_answer_and_absent_ones_are_counted(place, fingerprinter, report):
    shifted = [
        replace(r, start_s=START_S + 0.7) if r.start_s else replace(r, track=None)
        for r in report.recordings
    ]
    cell = replace(report, recordings=shifted).summary([0, 1, 2, 3], 3.0)
    assert cell["right_track"][0] == 1 and cell["right_tolerance"][0] == 0
    assert cell["absent_clips"] == 2 and cell["named_when_absent"][0] > 0
    wide = replace(LENGTHS, tolerance_s=1.0)
    cell = replace(report, recordings=shifted, config=wide).summary([0, 1], 3.0)
    assert cell["right_tolerance"][0] == 1 and cell["right_1hop"][0] == 0
    swapped = [replace(r, track=report.recordings[0].track) for r in report.recordings[:2]]
    cell = replace(report, recordings=swapped, windows=report.windows[:2]).summary([1], 3.0)
    assert cell["right_track"][0] == 0 and cell["named_wrong"][0] > 0


def test_windows_are_at_regular_places():
    assert window_starts(10.0, 10.0, 10) == [0.0]
    assert window_starts(9.95, 10.0, 10) == [0.0] and window_starts(9.8, 10.0, 10) == []
    assert window_starts(10.0, 5.0, 10) == [0.0, 2.5, 5.0]
    many = window_starts(61.0, 1.0, 10)
    assert len(many) == 10 and many[0] == 0 and many[-1] == 60
    assert np.ptp(np.diff(many)) < 1e-9


def test_an_interrupted_or_extended_measurement_resumes(place, fingerprinter, report, tmp_path):
    journal = tmp_path / "new" / "recordings.jsonl"
    with place.open() as library:
        recordings = read_truth(place.table, library, "device")

        def interrupt(done: int, total: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

        arguments = (library, fingerprinter)
        with pytest.raises(KeyboardInterrupt):
            evaluate_recordings(*arguments, recordings, LENGTHS, "device", interrupt, journal)
        kept = journal.read_text()
        whole = evaluate_recordings(*arguments, recordings, LENGTHS, "device", journal=journal)
        assert whole.to_json() == report.to_json()
        assert journal.read_text().startswith(kept)
        # The truth can be mended and rows added without identifying anything again.
        complete = journal.read_text()
        mended = [replace(r, start_s=START_S) for r in recordings]
        evaluate_recordings(*arguments, mended, LENGTHS, journal=journal)
        assert journal.read_text() == complete
        other = replace(LENGTHS, windows=2)
        with pytest.raises(DataError, match="another evaluation"):
            evaluate_recordings(*arguments, recordings, other, journal=journal)


def test_all_faults_of_a_table_are_told_at_once_with_their_lines(place):
    (place.folder / "clips" / "text.wav").write_text("not audio")
    write_wav(place.folder / "clips" / "short.wav", np.full(4000, 0.1, np.float32))
    table = place.write(
        "clip,track,start\n"
        f"clips/0.wav,{place.titles[0]},20\n"
        "\n"
        "clips/0.wav,-,\n"
        "clips/text.wav,-,\n"
        "clips/none.wav,-,\n"
        f"clips/1.wav,No Such Song,\n"
        f"clips/2.wav,{place.titles[0]},soon\n"
        f"clips/3.wav,{place.titles[0]},1e5\n"
        "clips/short.wav,-,\n"
        ",-,\n"
    )
    with place.open() as library, pytest.raises(DataError) as error:
        read_truth(table, library)
    lines = str(error.value).splitlines()
    assert "8 faults" in lines[0]
    expected = {
        4: "stands on line 2", 5: "not audio", 6: "none.wav", 7: "no track No Such Song",
        8: "number of seconds, not soon", 9: "after the end of the track", 10: "at least 1 s",
        11: "no clip is named",
    }  # fmt: skip
    for line, (number, fault) in zip(lines[1:], expected.items(), strict=True):
        assert line.startswith(f"line {number}: ") and fault in line


@pytest.mark.parametrize(
    "text, by, message",
    [
        ("clip,truck\nx,y\n", None, "no column track; the columns are: clip, truck"),
        ("clip,track\nx,-\n", "room", "no column room; the columns are: clip, track"),
        ("clip,track\n", None, "no rows"),
        ("", None, "no column clip, track; the columns are: none"),
    ],
)
def test_tables_without_what_is_needed_are_refused(place, text, by, message):
    with place.open() as library, pytest.raises(DataError, match=message):
        read_truth(place.write(text), library, by)
    with place.open() as library, pytest.raises(DataError, match="not a readable"):
        read_truth(place.folder / "nowhere.csv", library)


def test_tables_of_spreadsheets_are_read(place):
    rows = ["\ufeffclip;track;room", "clips/0.wav;1;a, b", "clips/3.wav;;"]
    with place.open() as library:
        first, second = read_truth(place.write("\r\n".join(rows)), library)
        assert first.track == library.track(1) and first.columns["room"] == "a, b"
        assert second.track is None and second.start_s is None


def test_intervals_of_clustered_queries():
    assert clustered([]) is None
    for clips in range(1, 30):  # rounding does not put a rate outside its interval
        for passed in (0, 4):
            rate, low, high = clustered([(passed, 4)] * clips) or (2, 0, 0)
            assert 0 <= low <= rate <= high <= 1
    # One query a clip: Wilson's interval.
    alone = clustered([(1, 1)] * 30 + [(0, 1)] * 10)
    assert alone is not None and alone == pytest.approx(wilson(30, 40), abs=0.01)
    # Windows that pass or fail with their clip tell no more than the clips.
    assert clustered([(9, 9)] * 30 + [(0, 9)] * 10) == pytest.approx(alone, abs=0.01)
    # And those that do not are worth more, never more than independent queries.
    mixed = clustered([(7, 10), (8, 10)] * 20)
    exact = wilson(300, 400)
    assert mixed is not None and mixed[0] == 0.75
    assert exact[2] - exact[1] <= mixed[2] - mixed[1] < alone[2] - alone[1]


def test_the_page_says_how_many_recordings_are_needed():
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    lines = page.partition("| recordings | 50 %")[2].splitlines()[2:8]
    for line in lines:
        recordings, *intervals = (part.strip() for part in line.strip("|").split("|"))
        for rate, interval in zip((0.5, 0.8, 0.9, 1.0), intervals, strict=True):
            _, low, high = wilson(round(rate * int(recordings)), int(recordings))
            assert interval == f"{100 * low:.0f}-{100 * high:.0f}"


@pytest.mark.parametrize("clips", [5, 20, 60])
@pytest.mark.parametrize("alike", [0.01, 0.3, 0.9])
def test_clustered_intervals_hold_the_truth_in_most_tables(clips: int, alike: float):
    """Tables drawn with a known rate: windows of a clip are ``alike`` (correlation)."""
    rng = np.random.default_rng(clips)
    held = 0
    for _ in range(300):
        rates = rng.beta(0.8 * (1 / alike - 1), 0.2 * (1 / alike - 1), clips)
        interval = clustered((int(n), 10) for n in rng.binomial(10, rates))
        assert interval is not None
        held += interval[1] <= 0.8 <= interval[2]
    assert held / 300 > 0.88


def test_a_report_is_a_table_json_and_a_figure(report):
    rows = list(recordings_table(report))
    assert rows[0] == ["recordings", "in %", "1 s", "3 s", "10 s"]
    assert rows[1][:2] == ["all", "right track"] and rows[1][3].startswith("100 (")
    assert [row[0] for row in rows if row[0]][1:] == ["all", "device: phone", "device: laptop"]
    written = json.loads(json.dumps(report.to_json()))
    assert written["recordings"][0]["device"] == "phone"
    assert len(written["recordings"][0]["windows"]) == 4 + 3
    assert len(recordings_figure(report).axes) == 3
    with pytest.raises(ConfigError, match="at least 1 s"):
        RecordingsConfig(lengths_s=(0.5,))


def test_the_command_measures_recordings(place, tmp_path):
    def run(*arguments: object) -> str:
        words = ["evaluate", "--library", str(place.folder / "library"), *map(str, arguments)]
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    output = run("--recordings", place.table, "--by", "device", "--lengths", 3, "--out", tmp_path)
    assert "device: laptop" in output and "right track" in output
    assert json.loads((tmp_path / "recordings.json").read_text())["by"] == "device"
    assert (tmp_path / "recordings.png").is_file() and (tmp_path / "recordings.jsonl").is_file()
    output = run("--rerecording", "club", "--snr", "", "--queries", 1, "--lengths", 1)
    assert "club" in output and "dB" not in output


@pytest.mark.parametrize(
    "options, message",
    [
        (("--recordings", "x.csv", "--snr", "0"), "--snr has no meaning with --recordings"),
        (("--by", "room"), "--by is for real recordings"),
        (("--rerecording", "submarine"), "--rerecording is one of default"),
        (("--rerecording", "club", "--protocol", "published"), "the clean protocol"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: tuple[str, ...], message: str):
    with pytest.raises(ConfigError, match=message):
        CliRunner().invoke(app, ["evaluate", *options], catch_exceptions=False)


def test_bootstrap_intervals_hold_the_statistic_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(100):
        values = rng.normal(size=40)
        low, high = bootstrap(lambda drawn, v=values: float(v[drawn].mean()), 40, 300, seed)  # type: ignore[misc]
        held += low <= 0 <= high
    assert 86 <= held <= 99
    low, high = bootstrap(lambda drawn: float("nan"), 5, 10)
    assert np.isnan(low) and np.isnan(high)
