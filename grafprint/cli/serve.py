"""``grafprint app``: the app in a browser. ``python app.py`` is the same command."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    EncoderOption,
    ModelOption,
    TaggerOption,
    needs,
    run,
)
from grafprint.cli.network import network_of
from grafprint.cli.place import Place, read_place
from grafprint.cli.start_app import Options, launch
from grafprint.errors import ConfigError

AUTH = "GRAFPRINT_AUTH"
HERE = ("127.0.0.1", "localhost", "::1")  # hosts that only this computer reaches


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("app")(needs("app")(serve))


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of app.py: this command alone."""
    alone = typer.Typer(pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)
    register(alone)
    run(alone, arguments)


def serve(
    library: Annotated[
        Place,
        typer.Option(
            "--library",
            "-l",
            parser=read_place,
            metavar="PLACE",
            help="Library that a visit starts with: a folder, or postgresql://HOST/NAME. The app "
            "never changes it.",
            show_default="bundled",
        ),
    ] = BUNDLED_LIBRARY,
    libraries: Annotated[
        Path, typer.Option(help="Folder of more libraries; new ones are made in it.")
    ] = Path("libraries"),
    model: ModelOption = BUNDLED_MODEL,
    encoder: EncoderOption = None,
    tagger: TaggerOption = None,
    samples: Annotated[
        Place | None,
        typer.Option(
            "--samples",
            parser=read_place,
            metavar="PLACE",
            help="Library made with a network of the encoder 'samples', for the tab Samples.",
            show_default=False,
        ),
    ] = None,
    reranker: Annotated[
        Path | None,
        typer.Option(help="Network of train-reranker, with --samples.", show_default=False),
    ] = None,
    edit: Annotated[
        bool | None,
        typer.Option(
            "--edit/--no-edit",
            help="Let visitors make libraries, add music (also from folders of this computer) and "
            "remove it. Default: only if no other computer can reach the app (with neither --share "
            "nor --root-path).",
            show_default=False,
        ),
    ] = None,
    noise: Annotated[
        Path | None,
        typer.Option(help="Folder of recorded noises. Default: synthetic.", show_default=False),
    ] = None,
    rooms: Annotated[
        Path | None,
        typer.Option(
            help="Folder of room impulse responses. Default: simulated.", show_default=False
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            envvar="GRADIO_SERVER_NAME",
            help="Address to serve on; 0.0.0.0 lets other computers reach it.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Default: the first free one from 7860.", show_default=False
        ),
    ] = None,
    root_path: Annotated[
        str | None,
        typer.Option(
            envvar="GRADIO_ROOT_PATH",
            metavar="/PATH",
            help="Path at which a reverse proxy offers the app, or the whole address, such as "
            "https://example.org/music.",
            show_default=False,
        ),
    ] = None,
    ssl_key: Annotated[
        Path | None,
        typer.Option(
            help="Key file for https, without which browsers give other computers' visitors no "
            "microphone.",
            show_default=False,
        ),
    ] = None,
    ssl_certificate: Annotated[
        Path | None, typer.Option(help="Certificate file for --ssl-key.", show_default=False)
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="USER:PASSWORD",
            envvar=AUTH,
            help="Ask visitors for this name and password; or a file with one such line per user. "
            "Prefer the environment variable: other users of this computer can read command lines.",
            show_default=False,
        ),
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="A public address for a week, by Gradio's servers.")
    ] = False,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Also serve as tools for language models (MCP).")
    ] = False,
) -> None:
    """Serve the app: identify, degrade, scan and explore in a browser."""
    if reranker is not None and samples is None:
        raise ConfigError("--reranker needs --samples, the library that it judges the tracks of")
    if bool(ssl_key) != bool(ssl_certificate):
        raise ConfigError("--ssl-key and --ssl-certificate are needed together")
    for name, file in (("--ssl-key", ssl_key), ("--ssl-certificate", ssl_certificate)):
        if file is not None and not file.is_file():
            raise ConfigError(f"{name}: there is no file {file}")
    for name, folder in (("--noise", noise), ("--rooms", rooms)):
        if folder is not None and not folder.exists():
            raise ConfigError(f"{name}: there is no folder {folder}")
    if libraries.exists() and not libraries.is_dir():
        raise ConfigError(f"--libraries: {libraries} is a file; name a folder")
    if mcp and importlib.util.find_spec("mcp") is None:
        raise ConfigError('--mcp needs the package mcp: pip install "gradio[mcp]"')
    below = None if root_path is None else read_root_path(root_path)
    launch(
        Options(
            library=library,
            libraries=libraries,
            model=network_of(library, model),
            encoder=encoder,
            tagger=tagger,
            samples=samples,
            reranker=reranker,
            edit=host in HERE and not (share or below) if edit is None else edit,
            noise=noise,
            rooms=rooms,
            host=host,
            port=port,
            root_path=below,
            ssl_key=ssl_key,
            ssl_certificate=ssl_certificate,
            users=None if auth is None else read_users(auth),
            share=share,
            mcp=mcp,
        )
    )


def read_root_path(text: str) -> str | None:
    """The path of ``--root-path`` without a slash at its end; None for the root itself.

    Raises ConfigError if it is neither a path nor an http(s) address.
    """
    path = text.strip().rstrip("/")
    if not path:
        return None
    if not re.fullmatch(r"(https?://[^/?#\s]+)?(/[^/?#\s]+)*", path):
        raise ConfigError(f"--root-path is like /music or https://example.org/music, not {text}")
    return path


def read_users(text: str) -> list[tuple[str, str]]:
    """Parse names and passwords from ``USER:PASSWORD``, or from a file of such lines.

    Empty lines and lines that start with # are ignored. Raises ConfigError, whose message does not
    repeat the text, or OSError.
    """
    lines = [text]
    try:
        if Path(text).is_file():
            lines = Path(text).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"--auth: the file is not text ({error.reason})") from None
    pairs = [
        line.strip().partition(":") for line in lines if line.strip() and not line.startswith("#")
    ]
    if not pairs or not all(name and password for name, _, password in pairs):
        raise ConfigError("--auth: give USER:PASSWORD, or a file with such a line for each user")
    return [(name, password) for name, _, password in pairs]
