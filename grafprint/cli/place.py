"""The options that name a library: a folder, or an address on a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from grafprint.errors import ConfigError

if TYPE_CHECKING:
    from grafprint.remote.address import Address

    Place: TypeAlias = Path | Address
else:
    Place = object  # Typer knows no unions, and need not: the options have a parser


def read_place(text: Any) -> Place:
    """Option parser: the folder or the address that a text names; explains one that is wrong."""
    from grafprint.remote.address import place_of

    try:
        return place_of(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error


_PLACE: dict[str, Any] = {
    "parser": read_place,
    "metavar": "PLACE",
    "help": "The library: a folder, or postgresql://HOST/NAME.",
}
LibraryOption = Annotated[Place, typer.Option("--library", "-l", show_default="bundled", **_PLACE)]
OwnLibraryOption = Annotated[Place, typer.Option("--library", "-l", show_default=False, **_PLACE)]
