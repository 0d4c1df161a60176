"""``grafprint library copy`` and ``reindex``: libraries on servers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from grafprint.cli.console import (
    JsonOption,
    out,
    print_json,
    printable,
)
from grafprint.cli.place import OwnLibraryOption, Place, read_place
from grafprint.cli.progress import progress
from grafprint.errors import ConfigError

_COLUMNS = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn())  # fmt: skip


def copy(
    source: Annotated[Place, typer.Argument(parser=read_place, help="Library to copy.")],
    target: Annotated[Place, typer.Argument(parser=read_place, help="Where to: is made if new.")],
    as_json: JsonOption = False,
) -> None:
    """Copy a library from a folder to a server or back: all tracks that the target lacks.

    Fingerprints are checked on both sides. Interrupt it at any time, and run it again to continue.
    """
    from grafprint.remote.copying import copy_library

    with progress(*_COLUMNS) as bar:
        task = bar.add_task("copying", total=None)

        def on_progress(title: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=printable(title[:40]))

        report = copy_library(source, target, on_progress)
    if as_json:
        print_json(report.to_json())
        return
    for path in report.kept:
        out.print(
            f"kept: {printable(path)}, under which the target has another recording",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    out.print(
        f"{len(report.copied)} tracks copied and checked, {report.already} were there already",
        highlight=False,
    )


def reindex(
    library: OwnLibraryOption,
    milvus: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Search with this Milvus server from now on: https://HOST:19530. Default: the "
            "present one.",
            show_default=False,
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Search without a server from now on: each program compares with every "
            "fingerprint, in its own memory. For up to a million.",
        ),
    ] = False,
    index: Annotated[
        str | None,
        typer.Option(
            help="Kind of index: HNSW, IVF_SQ8, IVF_FLAT or FLAT (exact). Default: the present "
            "one, or HNSW.",
            show_default=False,
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="A setting of the index, such as ef=200 or nprobe=64. May be given several times.",
            show_default=False,
        ),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Allow a server on another host without encryption."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the search index of a library on a server anew, or with another engine.

    The library can be used meanwhile. If this is interrupted, the old index stays in use.
    """
    from grafprint.remote.engine import EXACT, MILVUS, EngineSettings
    from grafprint.remote.opening import open_library

    if isinstance(library, Path):
        raise ConfigError(
            f"{library} is a folder: delete its index.faiss, and the next search makes it anew"
        )
    if exact and (milvus or index or setting):
        raise ConfigError("--exact needs no server, index and settings: give it alone")
    with open_library(library, writable=True) as opened:
        from grafprint.remote.library import RemoteLibrary
        from grafprint.remote.reindexing import new_collection
        from grafprint.remote.reindexing import reindex as make_anew

        assert isinstance(opened, RemoteLibrary)
        present = opened.engine
        if (index or setting) and milvus is None and present.kind == EXACT:
            raise ConfigError(
                f"{library} is searched without a server, which has no index and settings: name a "
                "server, too, with --milvus"
            )
        if exact or (milvus is None and present.kind == EXACT):
            wanted = EngineSettings()
        else:
            from grafprint.remote.milvus import settings_for

            kind = index or present.index or "HNSW"
            given = _numbers(setting or [])
            if kind == present.index and present.kind == MILVUS:  # what is not given stays
                given = {**present.build, **present.search, **given}
            wanted = settings_for(
                milvus or present.uri,
                new_collection(opened),
                kind,
                given,
                plain=plain or (milvus is None and present.plain),
            )
        with progress(*_COLUMNS) as bar:
            task = bar.add_task("fingerprints", total=None)
            make_anew(
                opened, wanted, lambda done, total: bar.update(task, completed=done, total=total)
            )
        fingerprints = len(opened)
    if as_json:
        print_json({"fingerprints": fingerprints, "kind": wanted.kind, "uri": wanted.uri,
                    "index": wanted.index, **wanted.build, **wanted.search})  # fmt: skip
        return
    how = f"{wanted.index} at {wanted.uri}" if wanted.kind == MILVUS else "exact, without a server"
    out.print(f"{fingerprints} fingerprints are searched: {how}", highlight=False, soft_wrap=True)


def _numbers(settings: list[str]) -> dict[str, int]:
    found = {}
    for setting in settings:
        name, _, number = setting.partition("=")
        if not number.isascii() or not number.isdigit():
            raise ConfigError(f"--setting {setting} is not NAME=NUMBER, such as ef=200")
        found[name.strip()] = int(number)
    return found
