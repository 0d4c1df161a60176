"""The command line, a file for each group of commands: ``grafprint --help`` lists them."""

from __future__ import annotations

from grafprint.cli import (
    distill,
    evaluate,
    evaluate_tagger,
    identify,
    index,
    library,
    listen,
    retag,
    samples,
    scan,
    serve,
    tag,
    train,
    train_reranker,
    train_tagger,
    watch,
)
from grafprint.cli.console import app, run

# In the order of the help.
for group in (
    index,
    library,
    identify,
    samples,
    listen,
    tag,
    retag,
    scan,
    watch,
    serve,
    train,
    distill,
    train_reranker,
    train_tagger,
    evaluate,
    evaluate_tagger,
):
    group.register(app)


def main() -> None:
    """Entry point of the console script: known errors become one line and exit status 2."""
    run()


__all__ = ["app", "main"]
