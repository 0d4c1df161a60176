"""What billions of fingerprints would cost, from what was measured."""

import pytest

from benchmarks.shared import cluster_costs


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
    assert cost.core_s == pytest.approx(2.0)
