"""Run all checks of the project: lint, format, types, then the tests.

Arguments go to pytest: `python -m tests -k audio`. All checks run even if one fails, and the exit
status is 0 only if all pass. pytest runs last, so that its summary ends the output. Two processes
share the tests, one module each at a time (`-n 0` runs all in one process, for a debugger).
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
STATIC_CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
)
# Much of what is tested runs in one thread, or waits for something.
SHARED = ("-n", "2", "--dist", "loadfile")


def run(*command: str) -> bool:
    """Run a Python module in the project's root; True if it succeeds."""
    print(f"== {' '.join(command)}", flush=True)
    # Idle threads must not spin: the other process needs the CPU.
    environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=environment, check=False)
    return done.returncode == 0


def main(pytest_arguments: list[str]) -> int:
    failed = [" ".join(check) for check in STATIC_CHECKS if not run(*check)]
    if failed:
        print(f"== FAILED: {', '.join(failed)}; running the tests anyway", flush=True)
    tests_passed = run("pytest", *SHARED, *pytest_arguments)
    return 0 if tests_passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
