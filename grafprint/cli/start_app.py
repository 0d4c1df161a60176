"""The start of the app: is its port free, what is being loaded, and the server itself."""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grafprint.bundled import app_folder, asset
from grafprint.cli.console import err, escape
from grafprint.cli.network import import_network
from grafprint.errors import CheckpointError, ConfigError, GraFPrintError, LibraryError

if TYPE_CHECKING:
    from grafprint.remote.address import Place


@dataclass(frozen=True)
class Options:
    """The options of the command, checked and complete."""

    library: Place
    libraries: Path
    model: Path
    encoder: str | None
    tagger: Path | None
    samples: Place | None
    reranker: Path | None
    edit: bool
    noise: Path | None
    rooms: Path | None
    host: str
    port: int | None
    root_path: str | None
    ssl_key: Path | None
    ssl_certificate: Path | None
    users: list[tuple[str, str]] | None
    share: bool
    mcp: bool


def launch(options: Options) -> None:
    """Open the library and serve the page until Ctrl-C or SIGTERM, and say what goes on.

    What can be checked at once is checked before anything is loaded. Raises ConfigError for a host
    or port that cannot be had, LibraryError or CheckpointError for a missing library or network.
    """
    check_port(options.host, options.port)
    _check_files(options)
    _limit_arenas()
    # SIGTERM, which service managers send, then ends the app as Ctrl-C does and deletes visitors'
    # clips.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _say("loading PyTorch and Gradio")
    _import_app()
    if options.encoder is not None:
        import_network(options.encoder)

    from demo.app import launch as launch_page
    from demo.studio import Studio

    _say(f"opening the library {options.library} with the network {options.model.name}")
    studio = Studio.load(
        options.library,
        options.model,
        tagger=options.tagger,
        samples=options.samples,
        reranker=options.reranker,
        examples=asset("examples"),
        shelf=options.libraries,
        noise=options.noise,
        rooms=options.rooms,
        editable=options.edit,
    )
    print(f"{len(studio.identifier().library.tracks())} tracks in {options.library}", flush=True)
    _say("building the page")
    try:
        page: Any = launch_page(  # Gradio's types declare its addresses to be None
            studio,
            server_name=options.host,
            server_port=options.port,
            root_path=options.root_path,
            ssl_keyfile=options.ssl_key and str(options.ssl_key),
            ssl_certfile=options.ssl_certificate and str(options.ssl_certificate),
            ssl_verify=False,  # Gradio asks its own server, whose certificate may be self-signed
            auth=options.users,
            share=options.share,
            mcp_server=options.mcp,
            prevent_thread_lock=True,
            quiet=True,  # its greeting advertises a public link
        )
    except OSError as error:
        if "Cannot find empty port" not in str(error):  # taken since it was checked
            raise
        raise ConfigError(_taken(options.port)) from error
    if options.share and not page.share_url:
        raise GraFPrintError("Gradio's servers gave no public address: start without --share")
    print(f"Running on local URL: {page.local_url} (Ctrl-C ends it)", flush=True)
    if options.share:
        print(f"Public address: {page.share_url}", flush=True)
    if options.root_path:
        print(f"Behind the proxy at {options.root_path}", flush=True)
    page.block_thread()


def _check_files(options: Options) -> None:
    from grafprint.remote.opening import is_there

    if not is_there(options.library):
        raise LibraryError(
            f"there is no library in {options.library}: make one with `grafprint index`, or name "
            "another with --library"
        )
    if not options.model.is_file():
        raise CheckpointError(f"{options.model}: there is no such file; name one with --model")
    if options.tagger is not None and not options.tagger.is_file():
        raise CheckpointError(f"{options.tagger}: there is no such file; name one with --tagger")
    if options.samples is not None and not is_there(options.samples):
        raise LibraryError(f"there is no library in {options.samples}: name one with --samples")


def check_port(host: str, port: int | None) -> None:
    """Raise ConfigError if the app cannot listen on ``port`` of ``host``; None: on any port."""
    try:
        places = socket.getaddrinfo(host.strip("[]"), port or 0, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"--host: {host} is no address: {error.strerror}") from error
    # Gradio also wants the port on 127.0.0.1, whatever the host.
    own = socket.getaddrinfo("127.0.0.1", port or 0, type=socket.SOCK_STREAM)
    reasons = [_reason(*place) for place in [*places, *own]]
    if errno.EADDRINUSE in reasons:
        raise ConfigError(_taken(port))
    if {errno.EACCES, errno.EPERM} & set(reasons):
        raise ConfigError(f"--port {port} needs an administrator's rights: take one above 1023")
    if all(reasons[: len(places)]):
        raise ConfigError(f"--host: {host} is no address of this computer")


def _reason(
    family: int, kind: int, protocol: int, name: str, address: tuple[Any, ...]
) -> int | None:
    """The error number with which the system refuses an address, or None."""
    try:
        with socket.socket(family, kind, protocol) as tried:
            if os.name == "posix":  # elsewhere it would take over a port in use
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        return error.errno
    return None


def _taken(port: int | None) -> str:
    if port is None:
        return "no port from 7860 to 7959 is free: choose another one with --port"
    return (
        f"port {port} is in use by another program: choose another one with --port, or leave "
        "--port out to take the first free one"
    )


def _say(text: str) -> None:
    """Say what is being done, at once: loading takes seconds, on a slow disk a minute."""
    err.print(f"{escape(text)} …", highlight=False, soft_wrap=True)


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
