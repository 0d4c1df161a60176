"""The demo in a browser: python app.py [--library FOLDER] [--model FILE] [--host H] [--port P]."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# Before Gradio is imported: it reads this once, and would otherwise call home.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

ASSETS = Path(__file__).parent / "assets"


def main() -> None:
    """Parse the options, open the library and serve the page until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Identify music in the browser.")
    parser.add_argument("--library", type=Path, default=ASSETS / "library")
    parser.add_argument("--model", type=Path, default=ASSETS / "grafprint.safetensors")
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
                        help="0.0.0.0 to be reached from other machines")  # fmt: skip
    parser.add_argument("--port", type=int, default=None, help="default: the first free from 7860")
    parser.add_argument("--ssl-key", help="key file: browsers give the microphone of another "
                        "machine's page only over https")  # fmt: skip
    parser.add_argument("--ssl-certificate", help="certificate file for --ssl-key")
    options = parser.parse_args()

    from demo.app import launch
    from demo.identify import Identifier

    try:
        identifier = Identifier.open(options.library, options.model)
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"{len(identifier.library.tracks())} tracks in {options.library}", flush=True)
    launch(
        identifier,
        examples=ASSETS / "examples",
        server_name=options.host,
        server_port=options.port,
        ssl_keyfile=options.ssl_key,
        ssl_certfile=options.ssl_certificate,
        # A certificate one made oneself cannot be verified, and need not be by its own server.
        ssl_verify=False,
    )


if __name__ == "__main__":
    main()
