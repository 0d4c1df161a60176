"""The tab Benchmark in a real Chromium: it fills, stops, and gives its results away."""

import base64
import csv
import io
import json

import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from demo.benchmark import cards as benchmark_cards
from demo.benchmark import tab as benchmark
from grafprint.evaluation import MEASURES, Cell, EvaluationConfig, Outcome, Report, to_csv
from grafprint.evaluation.queries import Setting
from tests.conftest import PATIENCE

SETTINGS = [Setting(1.0, 0.0, False), Setting(1.0, None, False)]


def outcome(found: int) -> Outcome:
    """Of a query of track 1 from 5 s on."""
    return Outcome(1, 5.0, found, 5.0, 0.9, 0.8, 0.1, 0.0)


def report(hits: int = 3) -> Report:
    """One length, two SNRs, four queries each: ``hits`` and four of them right."""
    config = EvaluationConfig((1.0,), (0.0, None), (False,), queries=8)
    cells = [
        Cell(setting, [outcome(1 if i < right else 2) for i in range(4)])
        for setting, right in zip(SETTINGS, (hits, 4), strict=True)
    ]
    return Report(config, "network", 10, 1000, 8, 0.096, cells)


def test_a_csv_has_a_row_a_cell_with_intervals():
    rows = list(csv.DictReader(io.StringIO(to_csv(report()))))
    assert [row["snr_db"] for row in rows] == ["0.0", "none"]
    assert rows[0]["hit_50ms"] == "0.7500" and rows[1]["right_track"] == "1.0000"
    assert 0 < float(rows[0]["hit_50ms_low"]) < 0.75 < float(rows[0]["hit_50ms_high"]) < 1
    assert all(name in rows[0] for name in MEASURES)


def test_table_curves_and_words_agree():
    table, curves = benchmark_cards.drawn(report(), "hit_50ms")
    assert "75.0" in table and "100.0" in table and "no noise" in table
    assert "in percent at 0 dB, no noise. 1 s: 75, 100." in curves
    assert "about 0:10 min to go" in benchmark_cards.at_work(report(), 10.0)
    assert "8 of 16 queries, cut from 8 tracks; 2 more are too short" in benchmark_cards.done(
        report()
    )


def test_the_downloads_are_the_report():
    html = benchmark_cards.downloads(report(), "right_track")
    files = [part.split('"')[0] for part in html.split(";base64,")[1:]]
    table, written, picture = map(base64.b64decode, files)
    assert table.decode() == to_csv(report())
    assert json.loads(written) == json.loads(json.dumps(report().to_json()))
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "asked, words",
    [
        (([], ["0"], "both", 20, 0), "at least one length"),
        ((["1"], [], "both", 20, 0), "at least one length"),
        ((["x"], ["0"], "both", 20, 0), "a length is a number"),
        ((["99"], ["0"], "both", 20, 0), "a length is 1 to 30"),
        ((["nan"], ["0"], "both", 20, 0), "a length is 1 to 30"),
        ((["1"], ["0"], "some", 20, 0), "without, with or both"),
        ((["1"], ["0"], "both", 1000, 0), "5 to 200 queries"),
        (([str(n) for n in range(1, 31)], ["0", "none"], "both", 5, 0), "at most 100 cells"),
    ],
)
def test_what_cannot_be_measured_is_said_in_words(asked, words):
    with pytest.raises(ValueError, match=words):
        benchmark.configuration(*asked)


def choose(page: Page, lengths: set[str], snrs: set[str]) -> None:
    """Open the tab and leave only these boxes ticked."""
    page.get_by_role("tab", name="Benchmark").click()
    expect(page.locator("#benchmark-plan")).to_contain_text("cells of", timeout=PATIENCE)
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


def test_a_small_evaluation_fills_table_curves_and_downloads(page: Page):
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
    page.get_by_label("false positive (track not in the library)").check()
    table = page.locator("#benchmark-table")
    expect(table).to_contain_text("False positive (track not in the library)", timeout=PATIENCE)


def test_an_evaluation_can_be_stopped_and_keeps_what_it_has(page: Page):
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


def test_programs_get_an_evaluation_as_json(address: str):
    client = Client(address, verbose=False)
    found = client.predict("1", "none", "without", 5, 0, "", api_name="/evaluate")
    assert found["done"] == 5 and len(found["cells"]) == 1
    assert found["cells"][0]["queries"] == 5 and found["query_tracks"] == 32
    with pytest.raises(Exception, match="a length is a number"):
        client.predict("long", "none", "without", 5, 0, "", api_name="/evaluate")
