"""``grafprint retag``: write what identification found into files without tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from grafprint.cli.answers import percent
from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    FAILED,
    ConfidenceOption,
    DeviceOption,
    EncoderOption,
    ModelOption,
    err,
    escape,
    out,
)
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.place import LibraryOption
from grafprint.errors import AudioError, GraFPrintError

if TYPE_CHECKING:
    from grafprint.audio.metadata import Tags
    from grafprint.library import Track


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(retag)


def retag(
    clip: Annotated[list[Path], typer.Argument(help="Audio files that have no title or artist.")],
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    encoder: EncoderOption = None,
    device: DeviceOption = "cpu",
    confidence: ConfidenceOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Write the tags. Default: only show them.")
    ] = False,
) -> None:
    """Write title, artist, album and ids of the track found into files that lack them.

    Shows what would be written; writes only with --yes. Texts that a file has are kept.
    """
    from grafprint.audio import metadata, tag_writing
    from grafprint.matching import identify_file
    from grafprint.remote.opening import open_library

    fingerprinter = load_fingerprinter(model, device, library, encoder)
    view = Table("file", "title", "artist", "album", "confidence")
    found: list[tuple[Path, dict[str, str]]] = []
    failed = False
    with open_library(library, model_id=fingerprinter.model_id) as opened:
        for path in clip:
            try:
                tags = metadata.read(path)
                if not tags.title_from_name and tags.artist:
                    out.print(
                        escape(f"{path}: has title and artist"), highlight=False, soft_wrap=True
                    )
                    continue
                answer = identify_file(opened, fingerprinter, path, confidence=confidence)
            except GraFPrintError as failure:
                err.print(escape(str(failure)), highlight=False, soft_wrap=True)
                failed = True
                continue
            if answer.best is None or not answer.identified:
                out.print(escape(f"{path}: not in this library"), highlight=False, soft_wrap=True)
                continue
            texts = _missing(tags, answer.best.track)
            if texts:
                found.append((path, texts))
                shown = (texts.get(name, "") for name in ("title", "artist", "album"))
                view.add_row(escape(str(path)), *map(escape, shown), percent(answer.best))
    if found:
        out.print(view)
    if found and not yes:
        out.print("Nothing is written. Run it again with --yes to write this.", highlight=False)
    for path, texts in found if yes else []:
        try:
            tag_writing.write(path, texts)
        except AudioError as failure:
            err.print(escape(str(failure)), highlight=False, soft_wrap=True)
            failed = True
        else:
            out.print(escape(f"written: {path}"), highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(FAILED)


def _missing(tags: Tags, track: Track) -> dict[str, str]:
    """What the track has and the tags lack; a title that is a file's name is none."""
    texts = {}
    for name in ("title", "artist", "album", *track.identifiers()):
        has, text = getattr(tags, name), getattr(track, name)
        if name == "title":
            has = "" if tags.title_from_name else has
            text = "" if track.title_from_name else text
        if text and not has:
            texts[name] = text
    return texts
