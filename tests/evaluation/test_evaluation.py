"""Evaluation on a small real library: measures, intervals, both protocols, the journal."""

import json
from dataclasses import astuple

import numpy as np
import pytest
import torch

from grafprint import audio, evaluation
from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.errors import DataError
from grafprint.evaluation import Cell, EvaluationConfig, Outcome, evaluate, table
from grafprint.evaluation.plots import hit_rates
from grafprint.evaluation.queries import Degrader, Setting
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from tests.libraries import excerpt, of_bundled_tracks, write_wav
from tests.paths import ASSETS

MUSIC = ASSETS / "music"


@pytest.fixture(scope="module")
def report(
    tmp_path_factory: pytest.TempPathFactory, fingerprinter: Fingerprinter
) -> evaluation.Report:
    folder = tmp_path_factory.mktemp("evaluation")
    with Library.open(of_bundled_tracks(folder, 4)) as library:
        return evaluate(
            library,
            fingerprinter,
            NoiseBank(synthetic_noise.noises(5, 0)),
            RoomBank(synthetic_rooms.rooms(2, 0)),
            EvaluationConfig(lengths_s=(1.0, 3.0), snrs_db=(None, -20.0), queries=8),
        )


def test_clean_queries_are_found_and_noisy_ones_less_often(report):
    rates = {astuple(c.setting)[:3]: c.rate(Outcome.right_track)[0] for c in report.cells}
    assert len(rates) == 8
    assert rates[3.0, None, False] == 1
    assert rates[1.0, -20.0, True] < rates[3.0, None, False]


def test_times_are_accurate_to_half_a_hop(report):
    clean = next(c for c in report.cells if c.setting == Setting(3.0, None, False))
    errors = [abs(o.found_s - o.time_s) for o in clean.outcomes]
    assert np.median(errors) <= 0.05
    # In the clean protocol, queries start off the grid of the references.
    places = [o.time_s / report.hop_s for o in clean.outcomes]
    assert any(abs(place - round(place)) > 0.1 for place in places)


def test_the_time_in_a_track_is_independent_of_the_track(fingerprinter):
    """Both are random; they must not come from the same random number."""
    config = EvaluationConfig(lengths_s=(1.0,), snrs_db=(None,), reverbs=(False,), queries=40)
    with Library.open(MUSIC.parent / "library") as library:
        tracks = {track.id: track for track in library.tracks()}
        banks = degrader().noises, degrader().rooms
        cell = evaluate(library, fingerprinter, *banks, config).cells[0]
    order = {number: place for place, number in enumerate(tracks)}
    places = [order[o.track] / len(tracks) for o in cell.outcomes]
    times = [o.time_s / tracks[o.track].duration_s for o in cell.outcomes]
    assert abs(np.corrcoef(places, times)[0, 1]) < 0.5


def test_a_report_can_be_json_a_table_and_a_figure(report, tmp_path):
    written = json.loads(json.dumps(report.to_json()))
    assert written["protocol"] == "clean" and len(written["cells"]) == 8
    rows = list(table(report))
    assert rows[0] == ["length", "reverb", "no noise", "-20 dB"] and len(rows) == 5
    hit_rates(report).savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def outcome(found: int | None, found_s: float = 0.0) -> Outcome:
    """The outcome of a query at 10 s of track 7."""
    return Outcome(7, 10.0, found, found_s, 0.9, 0.8, 0.1, 0.0)


def test_hits_are_counted_as_defined():
    assert outcome(7, 10.05 - 1e-9).hit(0.05) and not outcome(7, 10.06).hit(0.05)
    assert outcome(7, 99.0).right_track() and not outcome(8, 10.0).hit(0.05)
    assert not outcome(None, 0.0).right_track()


def test_intervals_are_wilson_intervals():
    cell = Cell(Setting(1.0, None, False), [outcome(7 if i < 85 else 2) for i in range(100)])
    rate, low, high = cell.rate(Outcome.right_track)
    z, n, p = 1.959964, 100, 0.85  # Wilson (1927)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert (rate, low, high) == pytest.approx((0.85, centre - half, centre + half), abs=1e-6)


def degrader() -> Degrader:
    return Degrader(
        NoiseBank(synthetic_noise.noises(3, 0)), RoomBank(synthetic_rooms.rooms(1, 0), ["hall"])
    )


def test_a_query_is_degraded_alone_at_the_exact_snr():
    music = np.random.default_rng(0).normal(size=48_000).astype(np.float32)

    def query(snr_db: float | None, reverb: bool) -> torch.Tensor:
        clip, noise, room = degrader().degrade(music, 16_000, Setting(1.0, snr_db, reverb), (5,))
        assert (noise in ("0", "1", "2")) == (snr_db is not None)
        assert room == ("hall" if reverb else "")
        return torch.from_numpy(clip)

    clean, noisy = query(None, False), query(5.0, False)
    assert torch.equal(clean, torch.from_numpy(music[16_000:32_000]))
    ratio = clean.square().mean() / (noisy - clean).square().mean()
    assert 10 * ratio.log10().item() == pytest.approx(5, abs=0.01)
    assert torch.equal(noisy, query(5.0, False)) and not torch.equal(noisy, query(5.0, True))


def test_degrading_in_several_settings_equals_degrading_in_each():
    music = np.random.default_rng(1).normal(size=64_000).astype(np.float32)
    settings = [
        Setting(length, snr, reverb)
        for length in (1.0, 2.0)
        for reverb in (False, True)
        for snr in (None, 0.0, 20.0)
    ]
    together = list(degrader().degrade_in(settings, music, 16_000, (0, 7)))
    for setting, (clip, *names) in zip(settings, together, strict=True):
        alone, *expected = degrader().degrade(music, 16_000, setting, (0, 7))
        assert np.array_equal(clip, alone) and names == expected


def test_published_queries_are_runs_of_the_whole_recordings_fingerprints(fingerprinter, tmp_path):
    path = write_wav(tmp_path / "recording.wav", excerpt(0, 10, 25.0))
    whole = fingerprinter(audio.load(path))
    settings = [Setting(1.0, None, False), Setting(3.0, None, False), Setting(3.0, 10.0, True)]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        one, three, degraded = degrader().published(
            fingerprinter, path, 20.0, settings, rng, (seed,)
        )
        place = round(one.time_s / fingerprinter.hop_s)
        assert one.time_s == pytest.approx(place * fingerprinter.hop_s)
        count = fingerprinter.count(48_000)
        assert len(one.fingerprints) == 1 and len(three.fingerprints) == count
        expected = whole[place : place + count]
        assert (three.fingerprints * expected).sum(axis=1).min() > 0.998  # bf16, another batch
        assert (one.fingerprints[0] * expected[0]).sum() > 0.998
        assert (degraded.fingerprints * expected).sum(axis=1).max() < 0.998
        assert degraded.room == "hall" and not three.room


def test_the_published_protocol_is_a_setting(fingerprinter, tmp_path):
    with Library.open(of_bundled_tracks(tmp_path, 1)) as library:
        config = EvaluationConfig(
            lengths_s=(2.0,), snrs_db=(None,), reverbs=(False,), queries=3, protocol="published"
        )
        banks = degrader().noises, degrader().rooms
        report = evaluate(library, fingerprinter, *banks, config)
        assert report.to_json()["protocol"] == "published"
        assert all(o.hit(0.05) for o in report.cells[0].outcomes)
    with pytest.raises(ValueError, match="clean or published, not 'x'"):
        EvaluationConfig(protocol="x")


def test_a_library_without_audio_files_is_an_error(tmp_path, fingerprinter):
    with Library.create(tmp_path / "library", fingerprinter) as library:
        banks = NoiseBank(synthetic_noise.noises(3, 0)), RoomBank(synthetic_rooms.rooms(1, 0))
        with pytest.raises(ValueError, match="no track of the library has its audio"):
            evaluate(library, fingerprinter, *banks)


def test_tracks_can_be_chosen_by_folder(tmp_path):
    with Library.open(MUSIC.parent / "library") as library:
        assert evaluation.query_tracks(library, MUSIC) == library.tracks()
        with pytest.raises(DataError, match="no music"):
            evaluation.query_tracks(library, tmp_path)
        manifest = tmp_path / "music.csv"
        paths = sorted(MUSIC.glob("*.opus"))
        rows = [f"{path},{'test' if i < 3 else 'train'}" for i, path in enumerate(paths)]
        manifest.write_text("\n".join(["path,split", *rows]))
        chosen = evaluation.query_tracks(library, manifest)
        assert {library.audio_path(t).name for t in chosen} == {p.name for p in paths[:3]}  # type: ignore[union-attr]


def test_an_interrupted_evaluation_resumes_from_its_journal(tmp_path, fingerprinter):
    with Library.open(of_bundled_tracks(tmp_path, 1)) as library:
        config = EvaluationConfig(lengths_s=(1.0, 2.0), snrs_db=(0.0,), queries=5)
        journal = tmp_path / "new" / "journal.jsonl"
        arguments = (library, fingerprinter, degrader().noises, degrader().rooms, config)

        def interrupt(done: int, total: int) -> None:
            if done == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            evaluate(*arguments, on_progress=interrupt, journal=journal)
        with journal.open("a") as file:
            file.write("[[1, 2.0")  # killed while writing
        seen: list[int] = []
        report = evaluate(*arguments, on_progress=lambda n, _: seen.append(n), journal=journal)
        assert seen == [4, 5]
        whole = evaluate(*arguments)
        assert report.to_json() == whole.to_json()
        other = (*arguments[:4], EvaluationConfig(lengths_s=(1.0,), snrs_db=(0.0,), queries=5))
        with pytest.raises(ValueError, match="another evaluation"):
            evaluate(*other, journal=journal)
