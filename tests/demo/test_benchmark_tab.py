"""The tab Benchmark in Chromium: an evaluation runs, stops, and its results are downloaded."""

import base64
import csv
import io
import json
import re
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from demo.benchmark import cards as benchmark_cards
from demo.benchmark import stored
from demo.benchmark import tab as benchmark
from grafprint.evaluation import MEASURES, Cell, EvaluationConfig, Outcome, Report, to_csv
from grafprint.evaluation.queries import Setting
from tests.demo.conftest import PATIENCE
from tests.paths import ROOT

SETTINGS = [Setting(1.0, 0.0, False), Setting(1.0, None, False)]


def outcome(best: int) -> Outcome:
    """The outcome of a query cut from track 1 at 5 s, for which track ``best`` was returned."""
    return Outcome(1, 5.0, best, 5.0, 0.9, 0.8, 0.1, 0.0)


def report(hits: int = 3) -> Report:
    """One length, two SNRs, four queries each, of which ``hits`` and four are right."""
    config = EvaluationConfig((1.0,), (0.0, None), (False,), queries=8)
    cells = [
        Cell(setting, [outcome(1 if i < right else 2) for i in range(4)])
        for setting, right in zip(SETTINGS, (hits, 4), strict=True)
    ]
    return Report(config, "network", 10, 1000, 8, 0.096, cells)


def test_a_csv_has_a_row_per_cell_with_intervals():
    rows = list(csv.DictReader(io.StringIO(to_csv(report()))))
    assert [row["snr_db"] for row in rows] == ["0.0", "none"]
    assert rows[0]["hit_50ms"] == "0.7500" and rows[1]["right_track"] == "1.0000"
    assert 0 < float(rows[0]["hit_50ms_low"]) < 0.75 < float(rows[0]["hit_50ms_high"]) < 1
    assert all(name in rows[0] for name in MEASURES)


def test_table_curves_and_texts_agree():
    table, curves = benchmark_cards.results(report(), "hit_50ms")
    assert "75.0" in table and "100.0" in table and "no noise" in table
    assert "in percent at 0 dB, no noise. 1 s: 75, 100." in curves
    assert "about 0:10 min left" in benchmark_cards.progress(report(), 10.0)
    assert "8 of 16 queries, cut from 8 tracks; 2 more are too short" in benchmark_cards.summary(
        report()
    )


def test_the_downloads_contain_the_report():
    html = benchmark_cards.downloads(report(), "right_track")
    files = [part.split('"')[0] for part in html.split(";base64,")[1:]]
    table, written, picture = map(base64.b64decode, files)
    assert table.decode() == to_csv(report())
    assert json.loads(written) == json.loads(json.dumps(report().to_json()))
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "choices, words",
    [
        (([], ["0"], "both", 20, 0), "at least one length"),
        ((["1"], [], "both", 20, 0), "at least one length"),
        ((["x"], ["0"], "both", 20, 0), "length must be a number"),
        ((["99"], ["0"], "both", 20, 0), "length must be 1 to 30"),
        ((["nan"], ["0"], "both", 20, 0), "length must be 1 to 30"),
        ((["1"], ["0"], "some", 20, 0), "without, with or both"),
        ((["1"], ["0"], "both", 1000, 0), "5 to 200 queries"),
        (([str(n) for n in range(1, 31)], ["0", "none"], "both", 5, 0), "at most 100 cells"),
    ],
)
def test_an_impossible_evaluation_is_refused_with_a_reason(choices, words):
    with pytest.raises(ValueError, match=words):
        benchmark.configuration(*choices)


def dashes(curves: str) -> set[str]:
    """The colours of the dashed lines in a picture."""
    styles = re.findall(r'style="([^"]*stroke-dasharray: \d[^"]*)"', curves)
    return {found for style in styles for found in re.findall(r"stroke: (#\w+)", style)}


def test_dashed_lines_have_the_colours_of_their_lengths():
    config = EvaluationConfig((1.0, 3.0), (0.0, None), (False,), queries=1)
    cells = [
        Cell(Setting(length, snr, False), [outcome(1)])
        for length in config.lengths_s
        for snr in config.snrs_db
    ]
    run = Report(config, "network", 10, 1000, 8, 0.096, cells)
    curves = benchmark_cards.curves(run, "hit_50ms", stored.of_report(run, "again"))
    assert len(dashes(curves)) == 2


def test_a_stored_result_stands_beside_each_rate_that_it_has():
    other = stored.of_report(report(hits=1), "An <old> run")
    table, curves = benchmark_cards.results(report(), "hit_50ms", other)
    assert re.findall(r'class="beside">([\d.]+)<', table) == ["25.0", "100.0"]
    assert "below: An &lt;old&gt; run (dashed)" in table
    assert len(dashes(curves)) == 1 and not dashes(benchmark_cards.curves(report(), "hit_50ms"))
    elsewhere = stored.Stored("Elsewhere", {(9.0, True, 3.0): {"hit_50ms": (0.5, 0.4, 0.6)}})
    table, _ = benchmark_cards.results(report(), "hit_50ms", elsewhere)
    assert "Elsewhere has none of these cells" in table and "beside" not in table


def test_the_projects_results_can_be_compared_with():
    ours = stored.of_the_project()
    released = ours["The bundled network, 1,384 tracks"]
    file = ROOT / "benchmarks" / "results" / "table2-released.json"
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["references"] == 1384
    for cell in written["cells"]:
        place = (cell["length_s"], cell["reverb"], cell["snr_db"])
        for measure in MEASURES:
            assert released.rate(measure, place) == tuple(cell[measure])


@pytest.mark.parametrize(
    "text", ["words", "{}", "[]", '{"cells": []}', '{"cells": [{"snr_db": 0}]}']
)
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str):
    file = tmp_path / "mine.json"
    file.write_text(text)
    with pytest.raises(stored.StoredError, match=r"“mine\.json” is not"):
        stored.from_file(file)


def choose(page: Page, lengths: set[str], snrs: set[str]) -> None:
    """Open the tab and tick only these boxes."""
    page.get_by_role("tab", name="Benchmark").click()
    plan = page.locator("#benchmark-plan")
    expect(plan).to_contain_text(re.compile("cells? of"), timeout=PATIENCE)
    for place, wanted, count in (
        ("#benchmark-lengths", lengths, len(benchmark.LENGTHS_S)),
        ("#benchmark-snrs", snrs, len(benchmark.SNRS_DB) + 1),
    ):
        boxes = page.locator(f"{place} label:has(input[type=checkbox])")
        # The parts of a tab appear one by one when it is first opened.
        expect(boxes).to_have_count(count, timeout=PATIENCE)
        for i in range(count):
            box = boxes.nth(i)
            box.locator("input").set_checked(box.inner_text().strip() in wanted)
    page.get_by_label("without", exact=True).check()
    page.get_by_label(MEASURES["hit_50ms"], exact=True).check()


def test_a_small_evaluation_fills_table_curves_and_downloads(shared_page: Page):
    page = shared_page
    choose(page, {"1 s"}, {"no noise"})
    page.locator("#benchmark-queries input[type=number]").fill("5")
    page.locator("#benchmark-queries input[type=number]").blur()
    plan = page.locator("#benchmark-plan")
    expect(plan).to_contain_text("1 cell of 5 queries: 5 queries", timeout=PATIENCE)
    page.locator("#benchmark-start").click()
    progress = page.locator("#benchmark-progress")
    expect(progress).to_contain_text("5 of 5 queries, cut from 32 tracks. Done", timeout=PATIENCE)
    cells = page.locator("#benchmark-table tbody td.n")
    expect(cells).to_have_count(1)
    expect(page.locator("#benchmark-curves svg[role=img]")).to_be_visible()
    link = page.locator("#benchmark-files a[download='evaluation.csv']")
    expect(link).to_be_visible(timeout=PATIENCE)
    with page.expect_download() as download:
        link.click()
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert len(rows) == 1 and rows[0]["queries"] == "5" and rows[0]["snr_db"] == "none"
    assert f"{100 * float(rows[0]['hit_50ms']):.1f}" in cells.inner_text()
    absent = MEASURES["named_when_absent"]
    page.get_by_label(absent).check()
    table = page.locator("#benchmark-table")
    expect(table).to_contain_text(absent[:1].upper() + absent[1:], timeout=PATIENCE)


def test_a_run_is_compared_with_an_earlier_one_and_a_saved_file(shared_page: Page, tmp_path: Path):
    page = shared_page
    choose(page, {"1 s"}, {"no noise"})
    page.locator("#benchmark-queries input[type=number]").fill("5")
    page.locator("#benchmark-queries input[type=number]").blur()
    expect(page.locator("#benchmark-plan")).to_contain_text("1 cell of 5", timeout=PATIENCE)
    page.locator("#benchmark-start").click()
    progress = page.locator("#benchmark-progress")
    expect(progress).to_contain_text("5 of 5 queries", timeout=PATIENCE)
    expect(page.locator("#benchmark-start")).to_be_enabled(timeout=PATIENCE)
    page.get_by_label("Compare with").click()
    page.get_by_role("option", name="Run 1 of this visit").click()
    table = page.locator("#benchmark-table")
    expect(table).to_contain_text("below: Run 1 of this visit", timeout=PATIENCE)
    own = table.locator("td.n").first.inner_text().split("\n")[0]
    expect(table.locator(".beside")).to_have_text([own])
    file = tmp_path / "earlier.json"
    file.write_text(json.dumps(report(hits=1).to_json()))
    page.locator("#benchmark-open").locator("xpath=..").locator("input[type=file]").set_input_files(
        file
    )
    expect(table).to_contain_text("below: earlier.json", timeout=PATIENCE)
    expect(table.locator(".beside")).to_have_text(["100.0"])


def test_a_stopped_evaluation_keeps_its_results(shared_page: Page):
    page = shared_page
    choose(page, {"1 s", "2 s"}, {"0 dB", "no noise"})
    page.locator("#benchmark-queries input[type=number]").fill("200")
    page.locator("#benchmark-queries input[type=number]").blur()
    expect(page.locator("#benchmark-plan")).to_contain_text("800 queries", timeout=PATIENCE)
    page.locator("#benchmark-start").click()
    expect(page.locator("#benchmark-table td.n")).to_have_count(4, timeout=PATIENCE)
    page.locator("#benchmark-stop").click()
    progress = page.locator("#benchmark-progress")
    expect(progress).to_contain_text("Stopped", timeout=PATIENCE)
    expect(page.locator("#benchmark-files")).to_contain_text("Download CSV", timeout=PATIENCE)
    expect(page.locator("#benchmark-start")).to_be_enabled(timeout=PATIENCE)


def test_the_api_returns_an_evaluation_as_json(address: str):
    client = Client(address, verbose=False)
    result = client.predict("1", "none", "without", 5, 0, "", api_name="/evaluate")
    assert result["done"] == 5 and len(result["cells"]) == 1
    assert result["cells"][0]["queries"] == 5 and result["query_tracks"] == 32
    with pytest.raises(Exception, match="length must be a number"):
        client.predict("long", "none", "without", 5, 0, "", api_name="/evaluate")
