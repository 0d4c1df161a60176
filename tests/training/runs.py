"""Training runs: in this process, with their reports, or in two processes under torchrun."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.paths import ROOT


def reports_of(train: Callable[..., Path], *arguments: object, **options: object) -> list[Any]:
    """Train on one CPU; what the run reported of every step."""
    reports: list[Any] = []
    train(
        *arguments,
        accelerator="cpu",
        devices=1,
        report_every=1,
        on_progress=reports.append,
        **options,
    )
    return reports


def run_in_two_processes(script: Path, *arguments: object) -> str:
    """Run a script under torchrun; its output."""
    with socket.socket() as found:  # two runs at once need a port each
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    command += [str(script), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
