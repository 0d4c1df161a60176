"""Fill the tables of the pages and draw their figures from the results; run it after benchmarks.

    python -m benchmarks.report

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; the text around it belongs to
the page. If there is no result yet, the table says so.
"""

from __future__ import annotations

import argparse
import re

from benchmarks.pages import (
    accuracy_tables,
    cluster_tables,
    figures,
    sample_tables,
    speed_tables,
    tagging_tables,
)
from benchmarks.shared import common

PAGES = tuple(
    common.ROOT / page
    for page in (
        "README.md",
        "assets/MODEL_CARD.md",
        "docs/results.md",
        "docs/reliability.md",
        "docs/performance.md",
        "docs/app.md",
        "docs/scan.md",
        "docs/samples.md",
        "docs/cluster.md",
        "docs/tagging.md",
    )
)
TABLES = (
    accuracy_tables.TABLES
    | speed_tables.TABLES
    | sample_tables.TABLES
    | tagging_tables.TABLES
    | cluster_tables.TABLES
)


def filled(text: str) -> str:
    """The page with every table filled again. Raises KeyError for a table of unknown name."""

    def table(match: re.Match[str]) -> str:
        try:
            body = TABLES[match[1]]()
        except FileNotFoundError:
            body = "*Not measured yet.*"
        return f"<!-- table: {match[1]} -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- table: ([\w ]+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def main() -> None:
    """Fill the pages in place, and draw the figures."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"written: {page.relative_to(common.ROOT)}")
    print(f"figures: {', '.join(figures.draw())}")


if __name__ == "__main__":
    main()
