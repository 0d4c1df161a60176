"""A library on servers against the same one in a folder: time, CPU, memory, recall, answers.

    python -m benchmarks.cluster --library LIBRARY --test TEST --noise NOISE --rooms ROOMS \\
        --queries 100 --sizes 100000,1000000

LIBRARY contains real music, including TEST's tracks; it is grown with synthetic tracks, or tracks
are removed, as by benchmarks.scale. PostgreSQL and Milvus are started on this machine from the
packages of requirements-dev.txt. The library is copied to PostgreSQL (rows per second), then
searched with each kind of index in turn: seconds to fill and to build it, memory of the servers,
and its settings one after the other, with the recall of exact search's 20 neighbours and how often
the row of the query's own music is found where exact search finds it. Then each 5 s query is
identified in the folder and on the servers, one after the other: median wall time, mean CPU time of
the program and of the servers, round trips, and how many answers are the same. At last all queries
in one call.

What has been measured is kept, so that the command can be stopped and run again; ``--again``
measures anew.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from benchmarks import scale
from benchmarks.shared import common, search_queries, servers
from benchmarks.shared.cluster_servers import Server
from benchmarks.shared.search_queries import ExactSearch, Found, SearchQueries
from benchmarks.shared.servers import Cost, Servers
from grafprint import matching
from grafprint.evaluation.intervals import wilson
from grafprint.library import Library
from grafprint.remote.address import Address
from grafprint.remote.engine import EXACT, KINDS, EngineSettings
from grafprint.remote.exact import ExactEngine

if TYPE_CHECKING:
    from grafprint.remote.library import RemoteLibrary

# Settings that are tried: thoroughness of a search by what its kind calls it.
SWEEP: dict[str, list[dict[str, int]]] = {
    "HNSW": [{"ef": ef} for ef in (32, 64, 128, 256, 512)],
    "IVF_SQ8": [{"nprobe": n} for n in (8, 16, 32, 64, 128)],
    "IVF_FLAT": [{"nprobe": n} for n in (8, 16, 32, 64, 128)],
}


@dataclass(frozen=True, eq=False)
class Asked:
    """Queries, and what exact search in the folder finds for them."""

    queries: SearchQueries
    exact: ExactSearch
    by_exact: Found


def at_size(args: argparse.Namespace, size: int, kept: Path) -> Path:
    """The folder with ``size`` fingerprints, made if it is not there."""
    place: Path = args.work / f"cluster-{size}"
    if not place.exists():
        partial = place.with_name("cluster.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(args.library, partial)
        with Library.open(partial, writable=True) as library:
            scale.shrink(library, size, search_queries.load(kept).tracks)
            scale.grow(library, size, args.seed)
        partial.rename(place)
    return place


class Numbers:
    """Numbers of rows and tracks on the servers as those of the folder, by what they hold."""

    def __init__(self, folder: Library, remote: RemoteLibrary) -> None:
        ours = {track.content_hash: track for track in folder.tracks()}
        theirs = [(track, ours[track.content_hash]) for track in remote.tracks()]
        self._tracks = {track.id: own.id for track, own in theirs}
        self._firsts = {track.first: own.first for track, own in theirs}
        self._remote = remote

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Rows ``[...]`` of the folder; -1 for rows of no track."""
        _, firsts, _ = self._remote.spans(rows)
        own = np.array([self._firsts.get(first, -1) for first in firsts.ravel().tolist()])
        return np.where(firsts >= 0, own.reshape(rows.shape) + rows - firsts, -1)

    def answer(self, answer: matching.Answer) -> tuple[int, float]:
        """The folder's track, and the time in it, of the best match."""
        match = answer.best
        return (self._tracks[match.track.id], match.start_s) if match else (-1, 0.0)


# Neighbours -----------------------------------------------------------------------------------


def own_rows(folder: Library, queries: SearchQueries) -> np.ndarray:
    """The row of the query's own music that is nearest in time to each segment, ``[q, m]``."""
    first = np.array([folder.track(track).first for track in queries.tracks.tolist()])
    segments = np.arange(queries.prints.shape[1])
    return first[:, None] + np.rint(queries.times[:, None] / folder.hop_s + segments).astype(int)


def neighbours(
    remote: RemoteLibrary,
    numbers: Numbers,
    own: np.ndarray,
    asked: Asked,
    settings: EngineSettings,
    milvus: Server,
) -> dict[str, Any]:
    """Recall and cost of the search of every query with ``settings``, without scoring."""
    from grafprint.remote.state import connect

    engine = connect(settings, remote.dim)
    assert not isinstance(engine, ExactEngine)
    engine.age_s = math.inf  # nothing was written just now
    engine.search(asked.queries.prints[0], None)
    cost, times, recalls, found_own = Cost(), [], [], []
    with remote.locked():
        for prints, wanted in zip(asked.queries.prints, own, strict=True):
            began = time.perf_counter()
            with cost.adding(milvus):
                _, rows = engine.search(prints, None)
            times.append(time.perf_counter() - began)
            expected = asked.exact(prints, None)[1]
            found = numbers.rows(rows)
            recalls.append([np.isin(e, f).mean() for e, f in zip(expected, found, strict=True)])
            known = (expected == wanted[:, None]).any(axis=1)
            found_own.append((found == wanted[:, None]).any(axis=1)[known])
    engine.close()
    count = len(times)
    return {
        **settings.search,
        "search_s": statistics.median(times),
        "client_cpu_s": cost.client_cpu_s / count,
        "server_cpu_s": cost.server_cpu_s / count,
        "recall": float(np.mean(recalls)),
        "own_row": float(np.concatenate(found_own).mean()),
    }


# Answers --------------------------------------------------------------------------------------


def answers(
    folder: Library, remote: RemoteLibrary, numbers: Numbers, asked: Asked, on: Servers
) -> dict[str, Any]:
    """Identify each query in the folder and on the servers, in turn."""
    began = time.perf_counter()
    matching.identify(remote, asked.queries.prints[0])
    first_s = time.perf_counter() - began
    matching.identify(folder, asked.queries.prints[0])
    ways: dict[str, tuple[Any, Cost, list[float], Found]] = {
        name: (library, Cost(), [], [])
        for name, library in (("folder", folder), ("remote", remote))
    }
    trips: dict[str, list[int]] = {"sql": [], "milvus": []}
    for prints in asked.queries.prints:
        for name, (library, cost, times, found) in ways.items():
            counted = (on.postgres, on.milvus) if name == "remote" else ()
            began = time.perf_counter()
            with cost.adding(*counted), servers.round_trips() as count:
                answer = matching.identify(library, prints, top_k=1)
            times.append(time.perf_counter() - began)
            if name == "remote":
                found.append(numbers.answer(answer))
                for kind, number in count.items():
                    trips[kind].append(number)
            else:
                best = answer.best
                found.append((best.track.id, best.start_s) if best else (-1, 0.0))
    _, own_cost, own_times, own_found = ways["folder"]
    _, cost, times, found = ways["remote"]
    count_all = len(times)
    same_as_exact = search_queries.same(found, asked.by_exact)
    right = asked.queries.right(found)
    batch = {}
    for name, library in (("folder", folder), ("remote", remote)):
        began = time.perf_counter()
        matching.identify_many(library, list(asked.queries.prints), top_k=1)
        batch[f"{name}_batch_s"] = (time.perf_counter() - began) / count_all
    return {
        "first_query_s": first_s,
        "query_s": statistics.median(times),
        "client_cpu_s": cost.client_cpu_s / count_all,
        "server_cpu_s": cost.server_cpu_s / count_all,
        "folder_query_s": statistics.median(own_times),
        "folder_cpu_s": own_cost.client_cpu_s / count_all,
        **batch,
        "round_trips": {kind: statistics.median(numbers) for kind, numbers in trips.items()},
        "hit_50ms": wilson(int(right.sum()), len(right)),
        "folder_hit_50ms": wilson(int(asked.queries.right(own_found).sum()), len(right)),
        "same_as_folder": int(search_queries.same(found, own_found).sum()),
        "same_as_exact": int(same_as_exact.sum()),
    }


# Kinds of index -------------------------------------------------------------------------------


def indexed(remote: RemoteLibrary, settings: EngineSettings, on: Servers) -> dict[str, Any]:
    """Make the index ``settings``; what filling and building it takes."""
    from grafprint.remote import reindexing
    from grafprint.remote.milvus import MilvusEngine

    filling, building = Cost(), Cost()
    settle = MilvusEngine.settle

    def settled(engine: MilvusEngine) -> None:
        with building.adding(on.milvus):
            settle(engine)

    with (
        mock.patch.object(reindexing, "GRACE_S", 0.0),  # nobody else searches
        mock.patch.object(reindexing, "SETTLED_FROM", 0),
        mock.patch.object(MilvusEngine, "settle", settled),
        filling.adding(on.postgres, on.milvus),
    ):
        reindexing.reindex(remote, settings)
    filled_s = filling.wall_s - building.wall_s
    return {
        "fill_rows_per_s": len(remote) / filled_s,
        "fill_cpu_s": filling.client_cpu_s + filling.server_cpu_s - building.server_cpu_s,
        "build_s": building.wall_s,
        "build_cpu_s": building.server_cpu_s,
    }


def measure(
    kind: str, folder: Library, address: Address, asked: Asked, on: Servers
) -> dict[str, Any]:
    """One kind of index."""
    from grafprint.remote.library import RemoteLibrary
    from grafprint.remote.milvus import settings_for
    from grafprint.remote.reindexing import new_collection

    result: dict[str, Any] = {"fingerprints": len(folder), "kind": kind}
    with RemoteLibrary(address, writable=True) as library:
        settings = EngineSettings()
        if kind != EXACT:
            settings = settings_for(on.milvus.uri, new_collection(library), kind, {}, plain=False)
            result |= {"build": settings.build, "search": settings.search}
            result |= indexed(library, settings, on)
        else:
            from grafprint.remote import reindexing

            with mock.patch.object(reindexing, "GRACE_S", 0.0):
                reindexing.reindex(library, settings)
    with RemoteLibrary(address, writable=False) as library:
        numbers = Numbers(folder, library)
        if kind != EXACT:
            own = own_rows(folder, asked.queries)
            servers.wait_until_idle(on.milvus)
            result["sweep"] = [
                neighbours(
                    library, numbers, own, asked,
                    replace(settings, search=settings.search | search), on.milvus,
                )
                for search in SWEEP.get(kind, [{}])
            ]  # fmt: skip
        before = common.anonymous_mb()
        result |= answers(folder, library, numbers, asked, on)
        result["client_mb"] = common.anonymous_mb() - before
    result["postgresql_mb"] = servers.memory_mb(on.postgres)
    result["milvus_mb"] = servers.memory_mb(on.milvus)
    return result


def copied(folder: Library, address: Address, on: Servers) -> dict[str, Any]:
    """Copy the folder to PostgreSQL."""
    from grafprint.remote.copying import copy_library
    from grafprint.remote.opening import open_library

    cost = Cost()
    with cost.adding(on.postgres):
        copy_library(folder.path, address)
    with open_library(address) as library:
        disk = library.size_bytes()
    return {
        "fingerprints": len(folder),
        "tracks": len(folder.tracks()),
        "rows_per_s": len(folder) / cost.wall_s,
        "client_cpu_s": cost.client_cpu_s,
        "server_cpu_s": cost.server_cpu_s,
        "bytes": disk,
    }


# ----------------------------------------------------------------------------------------------


def kept(args: argparse.Namespace) -> dict[str, Any]:
    """The results so far, as far as they hold for the same queries."""
    try:
        found = common.read("cluster", args.out)
    except FileNotFoundError:
        found = {}
    if found.get("queries") != args.queries:
        found = {}
    return {name: found.get(name, []) for name in ("copies", "rows")}


def kinds(args: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """The sizes and kinds to measure."""
    for size in map(int, args.sizes.split(",")):
        for kind in args.kinds.split(","):
            yield size, kind


def main() -> None:
    """Measure what has not been."""
    parser = search_queries.options(__doc__)
    parser.add_argument("--sizes", default="100000", help="numbers of fingerprints")
    parser.add_argument(
        "--kinds", default=",".join([EXACT, *KINDS]), help="of index; default: all that there are"
    )
    parser.add_argument("--again", action="store_true", help="measure anew what is known")
    parser.add_argument("--out", type=Path, help="for the JSON; default: benchmarks/results")
    args = parser.parse_args()
    with Library.open(args.library) as library:
        queries = search_queries.make(library, scale.SETTING, args)
    found = kept(args)
    wanted = list(kinds(args))
    done = set() if args.again else {(row["size"], row["kind"]) for row in found["rows"]}
    left = [pair for pair in wanted if pair not in done]
    filled = False
    with servers.running() as on:
        for size in dict.fromkeys(size for size, _ in left):
            place = at_size(args, size, queries)
            with Library.open(place, writable=True) as folder:
                folder.finish()
            with Library.open(place) as folder:
                loaded = search_queries.load(queries)
                exact = ExactSearch(folder, loaded.prints)
                asked = Asked(loaded, exact, loaded.answers(folder, exact))
                address = Address(on.postgres.new_database(f"size{size}"))
                put(found["copies"], {"size": size, **copied(folder, address, on)})
                for kind in [kind for other, kind in left if other == size]:
                    if filled:  # what another index took is not given back at once
                        on.milvus.replace()
                    filled = kind != EXACT
                    row = {"size": size, **measure(kind, folder, address, asked, on)}
                    put(found["rows"], row)
                    print(row, flush=True)
                    common.write("cluster", {"queries": args.queries, **found}, args.out)


def put(rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
    """Put a row among others, in the place of a former one of its size and kind, if any."""
    key = (row["size"], row.get("kind"))
    rows[:] = [other for other in rows if (other["size"], other.get("kind")) != key] + [row]
    order = [EXACT, *KINDS]
    rows.sort(key=lambda r: (r["size"], order.index(r["kind"]) if "kind" in r else 0))


if __name__ == "__main__":
    main()
