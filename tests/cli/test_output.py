"""What commands print: names as they are, in any encoding, errors as JSON, progress in logs."""

import json
import time
from pathlib import Path

import pytest

from grafprint.cli import console, progress
from grafprint.library import Library
from tests.cli.commands import grafprint, run
from tests.libraries import excerpt, write_wav

TITLE = "Björk 東京 :heart: [b]"


@pytest.fixture
def named(library: Library, fingerprinter, tmp_path: Path) -> Path:
    """A library with one track whose title is not ASCII and looks like markup and a sign."""
    library.add(write_wav(tmp_path / "music" / f"{TITLE}.wav", excerpt(0, 20, 2.0)), fingerprinter)
    return library.path


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "utf-8"])
def test_names_are_printed_in_every_encoding(named: Path, encoding: str):
    done = run("library", "list", "-l", named, "--json", PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert json.loads(done.stdout.decode())[0]["title"] == TITLE
    table = run("library", "list", "-l", named, PYTHONIOENCODING=encoding, COLUMNS="200")
    assert table.returncode == 0
    shown = TITLE.encode(encoding, "replace").decode(encoding)
    assert shown in table.stdout.decode(encoding)


def test_names_with_colons_and_brackets_stay_as_they_are(named: Path, monkeypatch):
    monkeypatch.setattr(console.out, "width", 200)
    assert TITLE in grafprint("library", "list", "-l", named)


def test_errors_and_warnings_show_names_as_they_are(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        console.run(arguments=["library", "list", "-l", "my :boom: library"])
    assert "my :boom: library" in capsys.readouterr().err


def test_errors_are_json_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        console.run(arguments=["library", "list", "-l", "nowhere", "--json"])
    output = capsys.readouterr()
    error = json.loads(output.out)
    assert end.value.code == 2 and "there is no library in nowhere" in error["error"]
    assert error["kind"] == "LibraryError" and error["error"] in output.err
    with pytest.raises(SystemExit):
        console.run(arguments=["library", "list", "-l", "nowhere"])
    assert capsys.readouterr().out == ""


def test_a_log_gets_a_line_every_few_seconds(monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(progress, "SHORTEST_S", 0.05)
    with progress.progress() as bar:
        first = bar.add_task("decoding :boom:", total=20)
        second = bar.add_task("training", total=None, visible=False)
        bar.update(first, completed=3)
        wait_for(capsys, "decoding :boom:  3/20")
        bar.update(first, completed=20)
        wait_for(capsys, "decoding :boom:  20/20")
        bar.update(second, visible=True, total=5, description="loss 0.5")
        # Time passes without a step, and the log goes on; what is finished is not repeated.
        assert "decoding" not in wait_for(capsys, "loss 0.5  0/5", times=3)


def test_a_log_says_what_goes_on(monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(progress, "SHORTEST_S", 0.05)
    with progress.status("listening") as change:
        wait_for(capsys, "listening  0:0", times=2)
        change("hearing")
        wait_for(capsys, "hearing  0:0")


def test_lines_of_a_log_get_rarer():
    pauses = [progress.pause(elapsed_s) for elapsed_s in (0.0, 60.0, 600.0, 1e5)]
    assert pauses == sorted(pauses) and pauses[0] < 5 and pauses[-1] == 60


def wait_for(capsys: pytest.CaptureFixture[str], text: str, times: int = 1) -> str:
    """Collect stderr until ``text`` has come so many times; what has come."""
    seen, began = "", time.monotonic()
    while seen.count(text) < times:
        assert time.monotonic() - began < 60, seen
        time.sleep(0.02)
        seen += capsys.readouterr().err
    return seen


def test_watch_refuses_a_log_that_cannot_be_written_before_it_listens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as end:
        console.run(arguments=["watch", "nowhere.wav", "--log", str(tmp_path / "nodir/x")])
    assert end.value.code == 2 and str(tmp_path / "nodir/x") in capsys.readouterr().err
