"""The pages are right: every example runs on the bundled music, and every link leads somewhere.

Fenced ``sh`` and ``python`` blocks of a page run in order, in a folder that holds the project's
``assets``, ``my-music`` (excerpts of two demo tracks), ``show.wav`` (one after the other),
``clip.wav`` (five noisy seconds of one of them) and ``unknown.wav`` (of a third track). A comment
on the line before a block changes this:

- ``<!-- options checked only: REASON -->``: commands are parsed, not run;
- ``<!-- ends with status 1: REASON -->``: the last command finds nothing;
- ``<!-- saved as FILE -->``: the block is that file, for the blocks after it;
- ``<!-- shown only: REASON -->``: the block is not a command of this program.
"""

import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import typer
from PIL import Image
from scipy.io import wavfile
from typer.core import TyperGroup
from typer.main import get_command

from docs import make_architecture
from grafprint import audio
from grafprint.cli import app
from tests.cli.commands import grafprint
from tests.paths import ASSETS, ROOT
from tests.project.test_layers import HEIGHT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_PAGES = [ROOT / "CHANGELOG.md", *ASSETS.rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
EVERY_PAGE = [*PAGES, *sorted(OTHER_PAGES)]
FINDS_NOTHING = "ends with status 1: "
SAVED = "saved as "
MARKERS = (
    "options checked only: ", "shown only: ", FINDS_NOTHING, SAVED, "run command", "test command",
)  # fmt: skip


@dataclass(frozen=True)
class Block:
    """One fenced block of a page; ``marker`` is the comment on the line before it, or ''."""

    page: str
    line: int
    marker: str
    language: str
    code: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page in order."""
    found = []
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        before = text[: match.start()].splitlines()
        comment = re.fullmatch(r"<!-- (.*) -->", before[-1] if before else "")
        marker = comment[1] if comment else ""
        found.append(Block(page.name, len(before) + 1, marker, match[1], match[2]))
    return found


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run(block: Block, folder: Path) -> str:
    """Run a block in ``folder`` as a reader would in the project's folder; returns its output."""
    status = 1 if block.marker.startswith(FINDS_NOTHING) else 0
    parts = [("python", block.code)] if block.language == "python" else commands(block.code)
    with contextlib.chdir(folder):
        return "".join(
            run_part(block, kind, code, status if number == len(parts) else 0)
            for number, (kind, code) in enumerate(parts, 1)
        )


def commands(code: str) -> list[tuple[str, str]]:
    """The commands of this project that need no shell, and what stands between them for a shell."""
    parts: list[tuple[str, str]] = []
    for line in code.replace("\\\n", " ").splitlines(keepends=True):
        if re.match(r"python -m (grafprint|docs)\b", line) and not re.search(r"[|<>;&$`*~]", line):
            parts.append(("command", line))
        elif parts and parts[-1][0] == "shell":
            parts[-1] = ("shell", parts[-1][1] + line)
        else:
            parts.append(("shell", line))
    return parts


def run_part(block: Block, kind: str, code: str, status: int) -> str:
    """Run a part of a block in the current folder; returns its output.

    Python runs in this process: to start PyTorch for each part takes longer than most of them.
    """
    if kind == "shell":
        done = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input=code,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, f"{block.page} line {block.line}:\n{code}\n{done.stdout}"
        return done.stdout
    words = shlex.split(code, comments=True) if kind == "command" else []
    if words[2:3] == ["grafprint"]:
        return grafprint(*words[3:], status=status)
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.syspath_prepend(Path.cwd())
        patch.setattr(sys, "argv", words[2:] or [block.page])
        if words:
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
        else:
            exec(compile(code, f"{block.page} line {block.line}", "exec"), {"__name__": "__main__"})
    return output.getvalue()


def check_options(block: Block) -> int:
    """Parse every ``python -m grafprint`` command of a block; returns their number."""
    lines = block.code.replace("\\\n", " ").splitlines()
    commands = [line.split(" -m grafprint ", 1)[1] for line in lines if " -m grafprint " in line]
    for command in commands:
        where = f"{block.page} line {block.line}: {command}"
        words, program = shlex.split(command, comments=True), get_command(app)
        while isinstance(program, TyperGroup):
            assert words and words[0] in program.commands, where
            program = program.commands[words.pop(0)]
        # Checks option names and the number of arguments; files need not exist.
        _, left_over, _ = program.make_parser(typer.Context(program)).parse_args(words)
        assert not left_over, where
    return len(commands)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the pages mention."""
    (tmp_path / "assets").symlink_to(ASSETS)
    (tmp_path / "my-music").mkdir()
    tracks = {"Founders": "freecol-founders", "Ambiphonic": "naev-ambiphonic"}
    excerpts = {title: excerpt(name, 20.0, 12.0) for title, name in tracks.items()}
    for title, samples in excerpts.items():
        write(tmp_path / "my-music" / f"{title}.wav", samples)
    write(tmp_path / "show.wav", np.concatenate(list(excerpts.values())))
    noise = np.random.default_rng(0).standard_normal(5 * audio.SAMPLE_RATE)
    for title, name in (("clip", "naev-ambiphonic"), ("unknown", "0ad-along-the-nile")):
        clip = excerpt(name, 23.4, 5.0)
        write(tmp_path / f"{title}.wav", clip + noise * np.sqrt(np.square(clip).mean() / 10))
    return tmp_path


def excerpt(name: str, start_s: float, duration_s: float) -> np.ndarray:
    """A part of a demo track."""
    path = ASSETS / "music" / f"{name}.opus"
    return audio.load(path, start_s=start_s, duration_s=duration_s)


def write(path: Path, samples: np.ndarray) -> None:
    """Write a WAV file of float samples."""
    wavfile.write(path, audio.SAMPLE_RATE, samples.astype(np.float32))


@pytest.mark.parametrize("document", PAGES, ids=name_of)
def test_examples_run(document: Path, folder: Path):
    output = ""
    for block in blocks(document):
        assert not block.marker or block.marker.startswith(MARKERS), (block.page, block.line)
        if block.marker.startswith("options checked only"):
            assert check_options(block)
        elif block.marker.startswith(SAVED):
            (folder / block.marker.removeprefix(SAVED)).write_text(block.code, encoding="utf-8")
        elif block.language in ("sh", "python") and (
            not block.marker or block.marker.startswith(FINDS_NOTHING)
        ):
            output += run(block, folder)
    if document.name == "README.md":
        assert "clip.wav is Ambiphonic" in output
        assert "unknown.wav is not in this library" in output
        assert "Ambiphonic from 3.4 s on" in output  # the Python example
    if document.name == "scan.md":
        assert "s: Founders from 20.0 s on" in output and "s: Ambiphonic from 2" in output


def test_the_marked_commands_are_complete():
    marked = {b.marker: b.code for b in blocks(ROOT / "README.md")}
    for marker, file in (("run command", "requirements.txt"), ("test command", "requirements-dev")):
        assert marked[marker].startswith("python3 -m venv .venv && . .venv/bin/activate && ")
        assert f"pip install -r {file}" in marked[marker]
        assert marked[marker].count("\n") == 1


@pytest.mark.parametrize("document", EVERY_PAGE, ids=name_of)
def test_links_lead_somewhere(document: Path):
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(
        r"""(?:src|href)="([^"]+)\"""", text
    )
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = document.parent / path if path else document
        assert file.exists(), f"{name_of(document)}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{name_of(document)}: {target}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_the_architecture_page_shows_the_wings_that_there_are():
    with Image.open(make_architecture.FIGURE) as picture:
        assert picture.info["Description"] == make_architecture.facts(), (
            "run python -m docs.make_architecture, and look at the picture"
        )
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| \[`(\w+)(?:/|\.py)`\]", page, re.MULTILINE))
    assert rows == set(HEIGHT) - {"__main__"}
