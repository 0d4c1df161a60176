"""The demo in a browser: python app.py [--library FOLDER] [--model FILE] [--host H] [--port P]."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; exits with a message if they make no sense."""
    parser = argparse.ArgumentParser(description="Identify music in the browser.")
    parser.add_argument("--library", type=Path, default=ASSETS / "library")
    parser.add_argument("--model", type=Path, default=ASSETS / "grafprint.safetensors")
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
                        help="0.0.0.0 to be reached from other machines")  # fmt: skip
    parser.add_argument("--port", type=int, default=None, help="default: the first free from 7860")
    parser.add_argument("--ssl-key", help="key file: browsers give the microphone of another "
                        "machine's page only over https")  # fmt: skip
    parser.add_argument("--ssl-certificate", help="certificate file for --ssl-key")
    options = parser.parse_args(arguments)
    if bool(options.ssl_key) != bool(options.ssl_certificate):
        parser.error("--ssl-key and --ssl-certificate are needed together")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Open the library and serve the page until Ctrl-C."""
    options = parse(arguments)

    from demo.app import launch
    from demo.studio import Studio

    try:
        studio = Studio.load(options.library, options.model, examples=ASSETS / "examples")
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
            prevent_thread_lock=True,
            quiet=True,  # its greeting advertises a public link
        )
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"Running on local URL: {page.local_url} (Ctrl-C ends it)", flush=True)
    page.block_thread()


if __name__ == "__main__":
    main()
