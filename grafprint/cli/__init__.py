"""The command line: ``grafprint train | distill | index | identify | listen | scan | watch |
evaluate | library``."""

from __future__ import annotations

from grafprint.cli import distill, evaluate, identify, library, scan, train, watch
from grafprint.cli.console import app, run

library.register(app)
identify.register(app)
scan.register(app)
watch.register(app)
train.register(app)
distill.register(app)
evaluate.register(app)


def main() -> None:
    """Entry point of the console script: errors become one clear line and exit status 1."""
    run()


__all__ = ["app", "main"]
