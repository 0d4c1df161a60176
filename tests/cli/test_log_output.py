"""What long commands print where their output is a file: what they do, every few seconds."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.libraries import excerpt, write_music, write_wav
from tests.paths import ROOT
from tests.training.test_training import TINY

# The command line, with lines that follow each other as fast as the test needs them.
HURRIED = (
    "from grafprint.cli import main, progress; progress.SHORTEST_S = 0.02; "
    "progress.SHARE = 0; main()"
)


def printed(*arguments: object) -> tuple[str, str]:
    """Run a command to its end; what it printed on stdout and stderr."""
    command = [sys.executable, "-c", HURRIED, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_training_says_what_it_does(tmp_path: Path):
    write_music(tmp_path / "music", 20, 4.0)
    out, log = printed(
        *("train", tmp_path / "music", "--out", tmp_path / "run", "--batch", 8, "--steps", 4),
        *("--accelerator", "cpu", "--precision", "32-true", "--options", json.dumps(TINY)),
    )
    assert "trained: " in out
    for words in (
        r"loading PyTorch and Lightning  0:0\d",
        r"decoding  \d+/20  0:00:0\d passed",
        r"preparing noises and rooms  0/4",
        r"training  [123]/4",  # also between the reports, of which there is one every ten steps
        r"step 4/4  loss \d",
    ):
        assert re.search(words, log), words
    assert "lightning.pytorch" not in log and "AMP" not in log


def test_evaluation_says_what_it_does_and_leaves_no_digit_out():
    out, log = printed("evaluate", "--queries", 1, "--lengths", "1,2", "--snr", "0,5,10,15,20")
    for words in (r"loading PyTorch  0:0", r"preparing noises and rooms  0:0", r"queries  0/1"):
        assert re.search(words, log), words
    assert "…" not in out
    assert re.search(r"│ 1 s +│ no +(│ \d+\.\d \(\d+\.\d-\d+\.\d\) +){5}│", out)


def test_watching_says_that_it_listens(tmp_path: Path):
    file = write_wav(tmp_path / "radio.wav", excerpt(0, 20, 6.0))
    _, log = printed("watch", file, "--idle", "0.5")
    assert re.search(r"loading the network  0:0", log)
    assert re.search(r"listening \(Ctrl-C ends it\)  0:0\d", log)
