"""Evaluation of virtual re-recordings beside the grid of SNRs and reverb."""

import csv
import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from grafprint.degradation import NoiseBank, RoomBank, synthetic_noise, synthetic_rooms
from grafprint.errors import ConfigError, DataError
from grafprint.evaluation import (
    RERECORDINGS,
    EvaluationConfig,
    Outcome,
    Report,
    evaluate,
    rerecording_table,
    table,
    to_csv,
)
from grafprint.evaluation.plots import hit_rates
from grafprint.evaluation.queries import Degrader, Setting
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from tests.libraries import of_bundled_tracks
from tests.paths import ASSETS

MUSIC = sorted((ASSETS / "music").glob("*.opus"))
GRID = EvaluationConfig(lengths_s=(1.0, 2.0), snrs_db=(None, 0.0), reverbs=(False,), queries=3)
CHOSEN = {name: RERECORDINGS[name] for name in ("default", "car radio")}
BESIDE = replace(GRID, rerecordings=CHOSEN)


@pytest.fixture(scope="module")
def banks() -> tuple[NoiseBank, RoomBank]:
    return NoiseBank(synthetic_noise.noises(3, 0)), RoomBank(synthetic_rooms.rooms(2, 0))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return of_bundled_tracks(tmp_path_factory.mktemp("rerecordings"), 2)


def run(
    place: Path,
    fingerprinter: Fingerprinter,
    banks: tuple[NoiseBank, RoomBank],
    config: EvaluationConfig,
    journal: Path | None = None,
) -> Report:
    """Evaluate on the library at ``place``."""
    with Library.open(place) as library:
        return evaluate(library, fingerprinter, *banks, config, journal=journal)


@pytest.fixture(scope="module")
def report(place: Path, fingerprinter: Fingerprinter, banks: tuple[NoiseBank, RoomBank]) -> Report:
    return run(place, fingerprinter, banks, BESIDE)


def test_the_grid_is_the_same_with_and_without_rerecordings(place, fingerprinter, banks, report):
    alone = run(place, fingerprinter, banks, GRID)
    for before, after in zip(alone.cells, report.cells, strict=False):
        assert before.setting == after.setting
        for old, new in zip(before.outcomes, after.outcomes, strict=True):
            # Searched for together with other queries: products may differ in the last digit.
            assert asdict(new) == pytest.approx(asdict(old), abs=1e-5)
    assert list(table(alone)) == list(table(report))
    assert "rerecording" not in json.dumps(alone.to_json()) + to_csv(alone)


def test_each_length_has_a_cell_for_each_rerecording(report):
    added = [cell.setting for cell in report.cells if cell.setting.rerecording]
    assert added == [Setting(length, None, False, name) for length in (1.0, 2.0) for name in CHOSEN]
    rows = list(rerecording_table(report))
    assert rows[0] == ["length", "default", "car radio"] and [r[0] for r in rows[1:]] == [
        "1 s",
        "2 s",
    ]
    (cell,) = (c for c in report.cells if c.setting == added[0])
    rate = 100 * cell.rate(Outcome.right_track)[0]
    assert rows[1][1].startswith(f"{rate:.1f} (")


def test_reports_tell_rerecordings_from_queries_without_noise(report):
    written = json.loads(json.dumps(report.to_json()))
    kinds = [(c["snr_db"], c["reverb"], c.get("rerecording")) for c in written["cells"]]
    assert kinds.count((None, False, "default")) == 2 and kinds.count((None, False, None)) == 2
    assert written["config"]["rerecordings"]["car radio"]["snr_db"] == [-5.0, 10.0]
    rows = list(csv.DictReader(io.StringIO(to_csv(report))))
    assert [row["rerecording"] for row in rows].count("car radio") == 2
    assert hit_rates(report).axes[-1].get_title() == "virtual re-recording"


def test_a_grid_is_not_needed(place, fingerprinter, banks):
    config = EvaluationConfig((1.0,), (), queries=1, rerecordings={"default": CHOSEN["default"]})
    report = run(place, fingerprinter, banks, config)
    assert report.done == 1 and len(report.cells) == 1
    assert len(hit_rates(report).axes) == 1
    with pytest.raises(ConfigError, match="nothing to measure"):
        EvaluationConfig(snrs_db=())
    with pytest.raises(ConfigError, match="the clean protocol"):
        replace(BESIDE, protocol="published")


def test_short_queries_are_the_beginnings_of_long_ones(banks):
    rng = np.random.default_rng(0)
    music = (0.1 * rng.standard_normal(16_000 + 48_000)).astype(np.float32)
    degrader = Degrader(banks[0], banks[1], rerecordings=CHOSEN)
    settings = [Setting(s, None, False, name) for s in (1.0, 3.0) for name in CHOSEN]
    short, radio, long, _ = degrader.rerecord_in(settings, music, 16_000, (0, 5))
    assert len(short) == 16_000 and len(long) == 48_000
    assert np.array_equal(short, long[:16_000]) and not np.array_equal(short, radio)
    again = degrader.rerecord_in(settings[:1], music, 16_000, (0, 5))[0]
    other = degrader.rerecord_in(settings[:1], music, 16_000, (0, 6))[0]
    assert np.array_equal(again, short)
    assert not np.allclose(other, again)


def test_journals_tell_rerecordings_apart(place, fingerprinter, banks, tmp_path):
    arguments = (place, fingerprinter, banks)
    small = EvaluationConfig((1.0,), (0.0,), (False,), queries=1)
    journal = tmp_path / "journal.jsonl"
    run(*arguments, small, journal)
    # What a version without re-recordings wrote: still valid.
    assert "rerecording" not in journal.read_text()
    beside = replace(small, rerecordings={"default": CHOSEN["default"]})
    with pytest.raises(DataError, match="another evaluation"):
        run(*arguments, beside, journal)
    first = run(*arguments, beside, tmp_path / "other.jsonl")
    assert run(*arguments, beside, tmp_path / "other.jsonl").to_json() == first.to_json()
    # Nor is it the same when only the settings behind a name are others.
    louder = {"default": replace(CHOSEN["default"], snr_db=(10.0, 20.0))}
    with pytest.raises(DataError, match="another evaluation"):
        run(*arguments, replace(small, rerecordings=louder), tmp_path / "other.jsonl")
