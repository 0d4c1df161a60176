"""``grafprint app``: the app in a browser. ``python app.py`` is the same command."""

from __future__ import annotations

import ctypes
import importlib.util
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from grafprint.bundled import app_folder, asset
from grafprint.cli.console import BUNDLED_LIBRARY, BUNDLED_MODEL, ModelOption, needs, run
from grafprint.cli.network import network_of
from grafprint.errors import ConfigError, GraFPrintError

AUTH = "GRAFPRINT_AUTH"
HERE = ("127.0.0.1", "localhost", "::1")  # hosts that only this computer reaches


@dataclass(frozen=True)
class Options:
    """The options of the command, checked and complete."""

    library: Path
    libraries: Path
    model: Path
    edit: bool
    noise: Path | None
    rooms: Path | None
    host: str
    port: int | None
    ssl_key: Path | None
    ssl_certificate: Path | None
    users: list[tuple[str, str]] | None
    share: bool
    mcp: bool


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
        Path,
        typer.Option(
            "--library",
            "-l",
            help="Library that a visit starts with. The app never changes it.",
            show_default="bundled",
        ),
    ] = BUNDLED_LIBRARY,
    libraries: Annotated[
        Path, typer.Option(help="Folder of more libraries; new ones are made in it.")
    ] = Path("libraries"),
    model: ModelOption = BUNDLED_MODEL,
    edit: Annotated[
        bool | None,
        typer.Option(
            "--edit/--no-edit",
            help="Let visitors make libraries, add music (also from folders of this computer) and "
            "remove it. Default: only if no other computer can reach the app.",
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
    launch(
        Options(
            library=library,
            libraries=libraries,
            model=network_of(library, model),
            edit=host in HERE and not share if edit is None else edit,
            noise=noise,
            rooms=rooms,
            host=host,
            port=port,
            ssl_key=ssl_key,
            ssl_certificate=ssl_certificate,
            users=None if auth is None else read_users(auth),
            share=share,
            mcp=mcp,
        )
    )


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


def launch(options: Options) -> None:
    """Open the library and serve the page until Ctrl-C or SIGTERM."""
    _limit_arenas()
    # SIGTERM, which service managers send, then ends the app as Ctrl-C does and deletes visitors'
    # clips.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _import_app()

    from demo.app import launch as launch_page
    from demo.studio import Studio

    studio = Studio.load(
        options.library,
        options.model,
        examples=asset("examples"),
        shelf=options.libraries,
        noise=options.noise,
        rooms=options.rooms,
        editable=options.edit,
    )
    print(f"{len(studio.identifier().library.tracks())} tracks in {options.library}", flush=True)
    page: Any = launch_page(  # Gradio's types declare its addresses to be None
        studio,
        server_name=options.host,
        server_port=options.port,
        ssl_keyfile=options.ssl_key and str(options.ssl_key),
        ssl_certfile=options.ssl_certificate and str(options.ssl_certificate),
        ssl_verify=False,  # Gradio asks its own server, whose certificate may be self-signed
        auth=options.users,
        share=options.share,
        mcp_server=options.mcp,
        prevent_thread_lock=True,
        quiet=True,  # its greeting advertises a public link
    )
    if options.share and not page.share_url:
        raise GraFPrintError("Gradio's servers gave no public address: start without --share")
    print(f"Running on local URL: {page.local_url} (Ctrl-C ends it)", flush=True)
    if options.share:
        print(f"Public address: {page.share_url}", flush=True)
    page.block_thread()


def _limit_arenas() -> None:
    """Let glibc's malloc use two arenas for all threads.

    By default it gives each of the server's many threads one that is never given back: hundreds of
    megabytes with 50 visitors at once.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(-8, 2)  # M_ARENA_MAX


def _import_app() -> None:
    """Import the package ``demo`` from the app's folder, wherever that is.

    An ordinary import finds it only in a checkout: installed, it lies inside ``grafprint``, as the
    name is too common for site-packages, where another ``demo`` may be.
    """
    if "demo" in sys.modules:
        return
    folder = app_folder()
    spec = importlib.util.spec_from_file_location(
        "demo", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec and spec.loader
    package = importlib.util.module_from_spec(spec)
    sys.modules["demo"] = package
    spec.loader.exec_module(package)
