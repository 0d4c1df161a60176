"""The demo in a browser: python app.py [--library FOLDER] [--model FILE] [--host H] [--port P]."""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parent / "assets"
AUTH = "GRAFPRINT_AUTH"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; exits with a message if they make no sense."""
    parser = argparse.ArgumentParser(description="Identify music in the browser.")

    def add(name: str, text: str, **more: Any) -> None:
        parser.add_argument(name, help=text, **more)

    def add_folder(name: str, text: str, default: Path | None = None) -> None:
        add(name, text, default=default, type=Path, metavar="FOLDER")

    add_folder("--library", "what a visit begins with; never changed", ASSETS / "library")
    add_folder(
        "--libraries",
        "further libraries, each a folder in this one, and the place of new ones; default: "
        "libraries in the current folder",
        Path("libraries"),
    )
    add("--model", "the network", type=Path, default=ASSETS / "grafprint.safetensors")
    add(
        "--edit",
        "whether visitors may make libraries and add and remove music, also from folders of this "
        "computer; default: only if --host is this computer alone",
        action=argparse.BooleanOptionalAction,
    )
    add_folder("--noise", "recorded noises; default: made by the program")
    add_folder("--rooms", "recorded room responses; default: made by the program")
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    add("--host", "0.0.0.0 to be reached from other machines", default=host)
    add("--port", "default: the first free from 7860", type=int)
    add(
        "--ssl-key",
        "key file: browsers give the microphone of another machine's page only over https",
    )
    add("--ssl-certificate", "certificate file for --ssl-key")
    add(
        "--auth",
        "ask visitors for this name and password; or a file of such lines. Better in the "
        f"environment variable {AUTH}: other users of this computer can read command lines",
        metavar="USER:PASSWORD",
        default=os.environ.get(AUTH) or None,
    )
    add("--share", "a public address, for a week, through Gradio's servers", action="store_true")
    add("--mcp", "serve the abilities as tools for language models too", action="store_true")
    options = parser.parse_args(arguments)
    if bool(options.ssl_key) != bool(options.ssl_certificate):
        parser.error("--ssl-key and --ssl-certificate are needed together")
    for name in ("noise", "rooms"):
        if (place := getattr(options, name)) is not None and not place.exists():
            parser.error(f"--{name}: there is no folder {place}")
    if options.libraries.exists() and not options.libraries.is_dir():
        parser.error(f"--libraries: {options.libraries} is a file; name a folder")
    if options.mcp and importlib.util.find_spec("mcp") is None:
        parser.error('--mcp needs the package mcp: pip install "gradio[mcp]"')
    if options.edit is None:
        options.edit = options.host in ("127.0.0.1", "localhost", "::1") and not options.share
    try:
        options.auth = None if options.auth is None else users(options.auth)
    except (ValueError, OSError) as error:
        parser.error(f"--auth: {error}")
    return options


def users(text: str) -> list[tuple[str, str]]:
    """Names and passwords from ``USER:PASSWORD`` or a file of such lines.

    Empty lines and those that begin with # are passed over. Raises ValueError, which does not
    repeat what it was given, or OSError.
    """
    lines = [text]
    if Path(text).is_file():
        lines = Path(text).read_text(encoding="utf-8").splitlines()
    pairs = [
        line.strip().partition(":")
        for line in lines
        if line.strip() and not line.startswith("#")
    ]  # fmt: skip
    if not pairs or not all(name and password for name, _, password in pairs):
        raise ValueError("give USER:PASSWORD, or a file with such a line for each user")
    return [(name, password) for name, _, password in pairs]


def share_memory() -> None:
    """Let all threads allocate from the same few places, where the C library can be told so.

    Glibc gives each of the server's many threads one of its own, which is never given back: with 50
    visitors at once that was hundreds of megabytes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(-8, 2)  # M_ARENA_MAX


def main(arguments: Sequence[str] | None = None) -> None:
    """Open the library and serve the page until Ctrl-C."""
    options = parse(arguments)
    share_memory()
    # A service manager's way to end it: as Ctrl-C does, so that nobody's clips are left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    from demo.app import launch
    from demo.studio import Studio

    try:
        studio = Studio.load(
            options.library,
            options.model,
            examples=ASSETS / "examples",
            shelf=options.libraries,
            noise=options.noise,
            rooms=options.rooms,
            editable=options.edit,
        )
        print(
            f"{len(studio.identifier().library.tracks())} tracks in {options.library}", flush=True
        )
        page = launch(
            studio,
            server_name=options.host,
            server_port=options.port,
            ssl_keyfile=options.ssl_key,
            ssl_certfile=options.ssl_certificate,
            # A certificate one made oneself cannot be verified, and need not be by its own server.
            ssl_verify=False,
            auth=options.auth,
            share=options.share,
            mcp_server=options.mcp,
            prevent_thread_lock=True,
            quiet=True,  # its greeting advertises a public link
        )
        if options.share and not page.share_url:
            sys.exit("error: Gradio's servers gave no public address: start without --share")
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"Running on local URL: {page.local_url} (Ctrl-C ends it)", flush=True)
    if options.share:
        print(f"and for everybody: {page.share_url}", flush=True)
    page.block_thread()


if __name__ == "__main__":
    main()
