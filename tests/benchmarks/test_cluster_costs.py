"""What billions of fingerprints would cost, from what was measured."""

import re

import pytest

from benchmarks.shared import cluster_costs
from tests.paths import ROOT


def row(kind, fingerprints, cpu_s, search):
    tried = {**search, "server_cpu_s": cpu_s}
    other = {**dict.fromkeys(search, 1), "server_cpu_s": 9.0}
    sweep = [other, tried] if search else [tried]
    return {"kind": kind, "build": {"M": 16}, "search": search, "sweep": sweep,
            "fingerprints": fingerprints}  # fmt: skip


def test_what_grows_with_the_rows_is_what_lies_between_two_sizes():
    small, large = (row("FLAT", n, c, {}) for n, c in ((100_000, 0.03), (1_000_000, 0.21)))
    both = cluster_costs.of_milvus([small, large], 10**9)
    assert both.core_s == pytest.approx(0.18 / 900_000 * 1e9)
    assert cluster_costs.of_milvus([small], 10**9).core_s == pytest.approx(300)
    assert both.memory_gb == pytest.approx(512 + 18) and both.machines == 3
    assert both.latency_s == pytest.approx(200 / 96)
    assert both.queries_per_s == pytest.approx(96 / 200)
    noise = [row("IVF_SQ8", n, 0.02, {"nprobe": 32}) for n in (100_000, 1_000_000)]
    assert cluster_costs.of_milvus(noise, 10**9).core_s == pytest.approx(20)


def test_hnsw_costs_as_much_more_as_it_has_segments():
    cost = cluster_costs.of_milvus([row("HNSW", 2**20, 0.02, {"ef": 128})], 2**35)
    assert cost.core_s == pytest.approx(0.02 * 2**10 * 25 / 20)
    assert cost.memory_gb == pytest.approx(2**35 * (512 + 136 + 18) / 1e9)


def test_a_small_library_needs_one_machine():
    cost = cluster_costs.of_folder({"query_s": 0.01, "fingerprints": 10**7}, 25.0, 10**9)
    assert (cost.machines, cost.memory_gb) == (1, 25.0)
    assert cost.core_s == pytest.approx(2.0) and cost.fits


def test_a_folder_has_one_machine_whatever_its_size():
    cost = cluster_costs.of_folder({"query_s": 0.01, "fingerprints": 10**7}, 25.0, 10**10)
    assert (cost.machines, cost.memory_gb, cost.fits) == (1, 250.0, False)
    assert cost.latency_s == pytest.approx(20 / 32)


def test_the_sums_of_money_on_the_page_are_right():
    """Also the machines and bytes in them are those of its tables."""
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    sums = re.findall(
        r"\((\d+) \+ 1\) x 2 x 730 \+ (\d+) x 2 x 0\.1 = ([\d,]+)", page.replace("\n ", "")
    )
    kinds = ("HNSW", "IVF_SQ8")
    machines = [m for k in kinds for m in re.findall(rf"\| 1 \| `{k}` \| [\d,]+ \| (\d+) ", page)]
    assert [found[0] for found in sums] == machines
    for count, size, total in sums:
        assert f"| {size} |" in page
        money = (int(count) + 1) * 2 * 730 + int(size) * 2 * 0.1
        assert round(money) == int(total.replace(",", ""))
