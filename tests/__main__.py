"""Runs every check of the project: lint, format, types, then the tests.

Arguments go to pytest: `python -m tests -k audio`. All checks run even when one fails, and the
exit status is 0 only if all passed. pytest runs last, so its summary ends the output.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
STATIC_CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
)


def run(*command: str) -> bool:
    """Run a Python module in the project's root; True if it succeeded."""
    print(f"== {' '.join(command)}", flush=True)
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode == 0


def main(pytest_arguments: list[str]) -> int:
    failed = [" ".join(check) for check in STATIC_CHECKS if not run(*check)]
    if failed:
        print(f"== FAILED: {', '.join(failed)}; the tests run all the same", flush=True)
    tests_passed = run("pytest", *pytest_arguments)
    return 0 if tests_passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
