"""Run commands: in this process, or as a program whose output goes to files."""

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from grafprint.cli import app
from tests.paths import ROOT


def grafprint(*arguments: object, status: int = 0) -> str:
    """Run a command in this process; its standard output."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.stdout


def run(
    *arguments: object, place: Path = ROOT, stdin: bytes | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "grafprint", *map(str, arguments)],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        input=stdin,
        check=False,
    )
