"""The wheel works without the checkout: built, installed in a new environment, used from there."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
import zipfile
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import grafprint
from tests.paths import ROOT

# What a clone has that the build may look at; the last three must not get into the wheel.
SOURCES = ("LICENSE", "README.md", "pyproject.toml", "setup.py", "assets", "demo", "grafprint")
OTHERS = ("app.py", "benchmarks", "tests")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
CAFE = Path("grafprint", "assets", "examples", "cafe.opus")
PATIENCE_S = 120


def isolation() -> list[str]:
    """Build with the setuptools that is installed if it is new enough; else pip downloads one."""
    try:
        new_enough = int(version("setuptools").split(".")[0]) >= 77
    except PackageNotFoundError:
        new_enough = False
    return ["--no-build-isolation"] if new_enough else []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES + OTHERS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name)
        else:
            shutil.copy(ROOT / name, source / name)
    (source / "grafprint" / "__pycache__").mkdir(exist_ok=True)
    (source / "grafprint" / "__pycache__" / "left-over.pyc").touch()
    (source / "assets" / "library" / "lock").touch()
    command = [*PIP, "wheel", "--no-deps", *isolation(), "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with the wheel, which sees what else is installed here."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = str(scripts / "python")
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", str(wheel)], check=True)
    (packages,) = folder.glob("**/site-packages")
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(here) + "\n")
    return scripts


@pytest.fixture
def anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run programs in, with nothing in the environment that leads here."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(program: Path, *arguments: str) -> str:
    """What a program prints; it must succeed."""
    done = subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_what_the_program_needs_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {
        path.relative_to(ROOT).as_posix()
        for part in ("assets", "demo", "grafprint")
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "lock"
        # How clips for training are made is for the repository.
        if not any(path.is_relative_to(ROOT / "assets" / name) for name in ("stems", "tagger"))
    }
    expected = {name if name.startswith("grafprint/") else f"grafprint/{name}" for name in expected}
    assert {name for name in names if ".dist-info/" not in name} == expected
    licences = {Path(name).name for name in names if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "LICENCES.md"}


def test_it_is_imported_from_where_it_was_installed(installed: Path, anywhere: Path):
    file = run(installed / "python", "-c", "import grafprint; print(grafprint.__file__)")
    assert Path(file.strip()).is_relative_to(installed.parent)
    assert run(installed / "grafprint", "--version") == f"grafprint {grafprint.__version__}\n"


def test_it_identifies_a_clip_and_lists_its_library(installed: Path, anywhere: Path):
    (packages,) = installed.parent.glob("**/site-packages")
    answer = json.loads(run(installed / "grafprint", "identify", str(packages / CAFE), "--json"))
    assert answer["identified"] and answer["matches"][0]["title"] == "Musicbox"
    assert "Musicbox" in run(installed / "grafprint", "library", "list")
    assert list(anywhere.iterdir()) == []


def test_the_app_answers(installed: Path, anywhere: Path):
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([str(installed / "grafprint"), "app", "--port", str(port)])
    try:
        page = fetched(f"http://127.0.0.1:{port}/", process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    assert '"title":"GraFPrint"' in page
    for tab in ("Identify", "Degrade", "How it works"):
        assert f'"label":"{tab}"' in page, tab
    assert list(anywhere.iterdir()) == []


def fetched(address: str, process: subprocess.Popen) -> str:
    """The page at an address, as soon as the process serves it."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        assert process.poll() is None, "the app has ended"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the app did not answer in time")
