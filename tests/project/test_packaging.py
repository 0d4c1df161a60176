"""The requirements are what the program imports, and every place that repeats a pin agrees."""

import ast
import re
import sys
from importlib.metadata import packages_distributions

from tests.paths import ROOT

PROGRAM = ("app.py", "assets", "benchmarks", "demo", "docs", "grafprint")
OWN = ("benchmarks", "demo", "docs", "grafprint", "tests")
# Needed without being imported by name.
INDIRECT = {
    "tensorboard",  # Lightning's logger writes with it
}

# Imported where it is there.
OPTIONAL = {
    "triton",  # comes with PyTorch's builds for NVIDIA's GPUs, each with the version it needs
}


def pins(name: str) -> dict[str, str]:
    """Package and pinned version of each line of a requirements file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))


def imported() -> set[str]:
    """Top-level names of all modules that the program imports, also inside functions."""
    names: set[str] = set()
    for start in (ROOT / part for part in PROGRAM):
        for file in [start] if start.is_file() else start.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names.add((node.module or "").split(".")[0])
    return names - set(sys.stdlib_module_names) - set(OWN)


def test_what_is_imported_is_required_and_the_other_way_round():
    distributions = packages_distributions()
    used = {distributions[name][0].lower().replace("_", "-") for name in imported()}
    # Benchmarks and screenshots of the page use what the tests use.
    used -= set(pins("requirements-dev.txt")) | OPTIONAL
    assert used == set(pins("requirements.txt")) - INDIRECT


def test_repeated_versions_agree():
    required = pins("requirements.txt")
    front_matter = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert f"sdk_version: {required['gradio']}" in front_matter
