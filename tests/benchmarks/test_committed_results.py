"""What is committed: tables on the pages, results of the bundled network."""

import json

from benchmarks import (
    report,
)
from benchmarks.shared import common
from grafprint.library import Library
from tests.paths import ASSETS


def test_the_tables_on_the_pages_are_those_of_the_committed_results():
    texts = [page.read_text(encoding="utf-8") for page in report.PAGES]
    assert [report.filled(text) for text in texts] == texts
    names = {name for name in report.TABLES if f"<!-- table: {name} -->" in "".join(texts)}
    assert names | {"released hit_1hop"} == set(report.TABLES)


def test_results_are_of_the_bundled_network():
    for path in sorted(common.RESULTS.glob("*-released*.json")):
        with Library.open(ASSETS / "library") as library:
            written = json.loads(path.read_text())
            reports = written.get("sizes", [written])  # a growing library has one for each
            assert {report["model_id"] for report in reports} == {library.model_id}
