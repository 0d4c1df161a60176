"""Requirements are what the program imports, pins lie within ranges, and repeated pins agree."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.paths import ASSETS, ROOT

PROGRAM = ("app.py", "assets", "benchmarks", "demo", "docs", "grafprint")
OWN = ("assets", "benchmarks", "demo", "docs", "grafprint", "tests")
# Needed without being imported by name.
INDIRECT = {
    "tensorboard",  # Lightning's logger writes with it
    "psycopg-binary",  # psycopg uses it
}

# Used if it is installed.
OPTIONAL = {
    "triton",  # comes with PyTorch's builds for NVIDIA's GPUs, each with the version it needs
}
# Pinned, but in no range: used if it is installed, so that the tests compare it with what replaces
# it. It does not import beside PyTorch's CPU-only builds.
PINNED_ONLY = {"torchaudio"}

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {
    extra: [Requirement(line) for line in lines]
    for extra, lines in PROJECT["optional-dependencies"].items()
}


def pins(name: str) -> dict[str, str]:
    """Package and pinned version of each line of a requirements file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))


def imported(*parts: str) -> set[str]:
    """Top-level names of the other projects' modules that are imported, also inside functions."""
    names: set[str] = set()
    for start in (ROOT / part for part in parts):
        for file in [start] if start.is_file() else start.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names.add((node.module or "").split(".")[0])
    return names - set(sys.stdlib_module_names) - set(OWN)


@cache
def distributions() -> Mapping[str, list[str]]:
    """The installed packages by top-level module."""
    return packages_distributions()


def distribution(module: str) -> str:
    """The package that a top-level module comes from."""
    return distributions()[module][0].lower().replace("_", "-")


def packages_of(extra: str) -> set[str]:
    """The packages that an extra adds, those of extras within it included."""
    found = set()
    for requirement in EXTRAS[extra]:
        if requirement.name == "grafprint":
            for inner in requirement.extras:
                found |= packages_of(inner)
        else:
            found.add(requirement.name)
    return found


def test_what_is_imported_is_required_and_the_other_way_round():
    used = {distribution(name) for name in imported(*PROGRAM)}
    # Benchmarks and screenshots of the page use what the tests use.
    used -= set(pins("requirements-dev.txt")) | OPTIONAL
    assert used == set(pins("requirements.txt")) - INDIRECT


def test_repeated_versions_agree():
    required = pins("requirements.txt")
    front_matter = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert f"sdk_version: {required['gradio']}" in front_matter


def test_every_pin_is_in_a_range_and_every_range_has_a_pin():
    pinned = pins("requirements.txt")
    ranges = [r for r in [*CORE, *chain.from_iterable(EXTRAS.values())] if r.name != "grafprint"]
    assert {r.name for r in ranges} == set(pinned) - PINNED_ONLY
    for requirement in ranges:
        assert requirement.specifier, f"{requirement.name} has no range"
        assert requirement.specifier.contains(pinned[requirement.name]), requirement
    by_name: dict[str, str] = {}
    for requirement in ranges:
        range_ = str(requirement.specifier)
        assert by_name.setdefault(requirement.name, range_) == range_, requirement.name


def test_the_extra_all_is_all_extras():
    (everything,) = EXTRAS["all"]
    assert everything.extras == set(EXTRAS) - {"all"}


def test_the_app_needs_what_its_extra_has():
    used = {distribution(name) for name in imported("demo")}
    assert used <= packages_of("app") | {r.name for r in CORE}


# Runs commands while packages are hidden, as if they were not installed. After each it says on
# stderr with which status the command would have ended its process.
HIDE = """
import functools
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
from grafprint.cli.console import run
import grafprint.cli
from grafprint.fingerprint import Fingerprinter
Fingerprinter.load = functools.cache(Fingerprinter.load)  # once for all commands
for command in sys.argv[2:]:
    status = 0
    try:
        run(arguments=command.split())
    except SystemExit as end:
        status = end.code or 0
    print("exit status", status, file=sys.stderr, flush=True)
"""
MODULES = {"pillow": "PIL", "scikit-learn": "sklearn", "umap-learn": "umap"}  # named otherwise
ALL = set().union(*(packages_of(extra) for extra in EXTRAS)) | PINNED_ONLY
CAFE = ASSETS / "examples" / "cafe.opus"


def run_without(packages: set[str], folder: Path, *commands: str) -> subprocess.CompletedProcess:
    """Run commands of ``grafprint`` in ``folder`` while ``packages`` cannot be imported."""
    hidden = ",".join(MODULES.get(name, name) for name in sorted(packages))
    return subprocess.run(
        [sys.executable, "-c", HIDE, hidden, *commands],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def statuses(done: subprocess.CompletedProcess) -> list[int]:
    """The exit statuses of the commands."""
    assert done.returncode == 0, done.stderr
    return [int(status) for status in re.findall(r"^exit status (\d+)$", done.stderr, re.MULTILINE)]


def test_most_commands_need_no_extra(tmp_path: Path):
    done = run_without(
        ALL,
        tmp_path,
        f"identify {CAFE}",
        f"scan {CAFE} --format csv",
        f"index {CAFE} --library own",
        "library list --library own",
        f"watch {CAFE} --idle 0.1",
    )
    assert statuses(done) == [0] * 5, done.stderr
    assert done.stdout.count("Musicbox") >= 3


def test_evaluate_needs_its_extra_alone(tmp_path: Path):
    command = "evaluate --queries 1 --lengths 2 --snr 0 --reverb with --out results"
    brought = {"pillow"}  # by Matplotlib
    done = run_without(ALL - packages_of("evaluate") - brought, tmp_path, command)
    assert statuses(done) == [0], done.stderr


def test_train_needs_its_extra_alone(tmp_path: Path):
    options = '{"widths":[16,32,48,64],"depths":[1,1,1,1],"pooled_width":64,"hidden_width":96}'
    (tmp_path / "music").mkdir()
    for track in ("freecol-musicbox", "zaz-contemplation"):
        shutil.copy(ASSETS / "music" / f"{track}.opus", tmp_path / "music")
    probed = {"matplotlib", "pillow"}  # by TorchMetrics: it imports them if they are installed
    done = run_without(
        ALL - packages_of("train") - probed,
        tmp_path,
        f"train music --out run --steps 1 --batch 2 --accelerator cpu --options {options}",
    )
    assert statuses(done) == [0], done.stderr


MISSING = {  # extra: a package of it, and a command that needs it
    "app": ("gradio", "app"),
    "evaluate": ("pyroomacoustics", "evaluate"),
    "train": ("lightning", f"train {CAFE} --out run"),
    "microphone": ("sounddevice", "listen"),
    "cluster": ("psycopg", "library list --library postgresql://localhost/music"),
    "ray": ("ray", f"index {CAFE} --library own --ray auto"),
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What these commands say without their packages; in one process, which imports PyTorch once.

    It ends with the exit status of the command.
    """
    packages, commands = zip(*MISSING.values(), strict=True)
    done = run_without(set(packages), tmp_path_factory.mktemp("missing"), *commands, "--version")
    assert done.returncode == 0 and done.stdout.startswith("grafprint "), done.stderr
    *said, nothing = re.findall(r"(.*?exit status \d+)\n", done.stderr, re.DOTALL)
    assert nothing.strip() == "exit status 0"
    return dict(zip(MISSING, said, strict=True))


@pytest.mark.parametrize("extra", MISSING)
def test_a_missing_extra_is_named(extra: str, refused: dict[str, str]):
    assert refused[extra].endswith("exit status 2")
    assert f'pip install "grafprint[{extra}]"' in refused[extra]
    # One of its packages is named; with all of these hidden, the first that is imported.
    named = {package for package, _ in MISSING.values() if f" {package} " in refused[extra]}
    assert len(named) == 1 and named <= packages_of(extra)
    assert "Traceback" not in refused[extra]
