"""Real nodes of a Ray cluster fingerprint for the command; one of them is killed in the middle."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.shared.cluster_servers import missing
from grafprint.errors import ConfigError
from grafprint.fingerprint import FAST_MODEL, Fingerprinter
from grafprint.library import Library
from grafprint.library.add_file import FileFingerprints
from grafprint.library.ray_task import Contents, shortened, work
from grafprint.remote.opening import is_there, open_library
from tests.cli.commands import grafprint
from tests.libraries import excerpt, write_music, write_wav
from tests.library.test_part import assert_same_tracks
from tests.paths import ROOT
from tests.ray_nodes import PATIENCE_S, two_nodes
from tests.remote.conftest import wait_until
from tests.remote.writing import assert_no_leftovers

LONG_S = 45.0  # its fingerprints are large enough to stay on the node until they are asked for


@pytest.fixture(scope="module")
def cluster():
    """The address of a cluster, its head, and another node, which a test may kill."""
    if reason := missing("ray"):
        pytest.skip(reason)
    if sys.platform != "linux":
        pytest.skip("several nodes on one machine need Linux")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_AUTH_MODE", "token")  # nobody else on this machine
        environment.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        environment.setenv("PYTHONPATH", str(ROOT))
        with two_nodes() as nodes:
            yield nodes


def start(*arguments: object, place: Path = ROOT) -> subprocess.Popen:
    """Start the command with the fast network, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "grafprint", "index", "--fast", "--json", *map(str, arguments)],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen) -> dict:
    """What the command says at its end."""
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    return json.loads(output)


def stored(place) -> set[str]:
    """The files that a library has so far."""
    if not is_there(place):
        return set()
    with open_library(place) as library:
        return {str(library.located(track.path)) for track in library.tracks()}


def test_a_stopped_command_continues_and_reports_as_one_machine(cluster, tmp_path):
    """Into a library in a folder, with names that begin in the current folder."""
    address, *nodes = cluster
    write_music(tmp_path / "music", 20, 12.0)
    write_music(tmp_path / "music" / "zz copies", 1, 12.0)
    (tmp_path / "music" / "bad 'one'.mp3").write_bytes(b"no sound")
    write_wav(tmp_path / "music" / "silent.wav", 0 * excerpt(0, 20, 2.0))
    write_wav(tmp_path / "music" / "short.wav", excerpt(0, 20, 0.5))
    place = tmp_path / "library"
    command = ("music", "--library", place, "--ray", address)

    stopped = start(*command, place=tmp_path)
    wait_until(lambda: len(stored(place)) > 1, stopped, PATIENCE_S)
    stopped.send_signal(signal.SIGINT)
    _, errors = stopped.communicate(timeout=PATIENCE_S)
    assert stopped.returncode == 130 and "Traceback" not in errors, errors
    kept = stored(place)
    assert 1 < len(kept) < 20, "it was stopped too late"
    deadline = time.monotonic() + PATIENCE_S
    while any(node.working() for node in nodes):
        assert time.monotonic() < deadline, "the nodes go on"
        time.sleep(0.1)

    report = finish(start(*command, place=tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        alone = ("index", "--fast", "--json", "music", "--library", "alone")
        wanted = json.loads(grafprint(*alone))
    assert {str(tmp_path / path) for path in report["unchanged"]} == kept
    assert sorted(report["added"] + report["unchanged"]) == wanted["added"]
    for name in ("failed", "duplicates", "tracks", "fingerprints", "passed_over", "missing"):
        assert report[name] == wanted[name], name
    assert len(report["failed"]) == 3 and len(report["duplicates"]) == 1
    with Library.open(place) as library, Library.open(tmp_path / "alone") as other:
        assert_same_tracks(other, library)
        assert not library.damaged()


def test_what_a_node_cannot_do_is_said(cluster, tmp_path):
    """The part of a node, in this process."""
    from grafprint.library.ray_cluster import RayCluster

    folder = tmp_path / "music"
    (file,) = write_music(folder, 1)
    fingerprinter = Fingerprinter.load(FAST_MODEL)
    with (
        RayCluster(cluster[0], folder) as nodes,
        Library.create(tmp_path / "library", fingerprinter) as library,
    ):
        job = replace(nodes._job(library, fingerprinter), place=os.getcwd())
        done = work(job, file)
        assert isinstance(done.result, FileFingerprints) and not done.unfit
        np.testing.assert_allclose(
            done.result.vectors, fingerprinter(excerpt(0, 20, 2.0)), atol=2e-3
        )
        gone = work(job, folder / "gone.wav")
        assert not gone.unfit and f"the node {done.node} cannot read it" in str(gone.result)

        elsewhere = tmp_path / "not mounted"
        for number, (unfit, message) in enumerate((
            (replace(job, folder=elsewhere), f"it does not see {elsewhere}"),
            (replace(job, version="1.0"), "not 1.0: install the same"),
            (replace(job, model_id="other"), "not other"),
            (replace(job, folder=Path("music"), place=str(elsewhere)), "it does not see"),
        )):  # fmt: skip
            done = work(unfit, elsewhere / "gone.wav")
            assert done.unfit and message in str(done.result), number
            with pytest.raises(ConfigError, match=f"the node {done.node} cannot take part") as told:
                nodes._checked(file, done)
            assert message in str(told.value)


def test_a_file_whose_processes_always_end_is_left_out(cluster, tmp_path, monkeypatch):
    """The memory that it takes, say, or a fault in a decoder: the others are done."""
    from grafprint.library import ray_cluster

    monkeypatch.setattr(ray_cluster, "TRIES", 2)
    address, *nodes = cluster
    folder = tmp_path / "music"
    write_music(folder, 1)
    fingerprinter, tried = Fingerprinter.load(FAST_MODEL), threading.Event()

    def end_all() -> None:
        while not tried.wait(0.02):
            for number in [n for node in nodes for n in node.working()]:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)

    with (
        ray_cluster.RayCluster(address, folder) as joined,
        Library.create(tmp_path / "library", fingerprinter) as library,
    ):
        killer = threading.Thread(target=end_all)
        killer.start()
        try:
            report = library.add_folder(folder, fingerprinter, ahead=joined.fingerprint_ahead)
        finally:
            tried.set()
            killer.join()
    (failure,) = report.failed
    assert "2 times the process or the node" in failure.reason and not report.added


def test_files_of_a_killed_node_are_done_by_the_others(cluster, address, tmp_path):
    """None is missing, none is half, none is there twice."""
    ray, _, other = cluster
    files = write_music(tmp_path / "music", 24, LONG_S)
    command = start(tmp_path / "music", "--library", address, "--ray", ray)
    wait_until(other.working, command, PATIENCE_S)
    wait_until(lambda: stored(address), command, PATIENCE_S)

    def is_caught_at_work() -> bool:
        """Whether the node works now; then the command waits, so that it cannot finish before."""
        command.send_signal(signal.SIGSTOP)
        if not other.working():
            command.send_signal(signal.SIGCONT)
            return False
        return True

    wait_until(is_caught_at_work, command, PATIENCE_S)
    other.kill()
    kept = stored(address)
    assert len(kept) < 24, "it was killed too late"
    command.send_signal(signal.SIGCONT)
    report = finish(command)
    assert report["added"] == sorted(map(str, files)) and not report["failed"]
    count = Fingerprinter.load(FAST_MODEL).count
    with open_library(address, writable=True) as library:
        for number, track in enumerate(library.tracks()):
            assert track.path == report["added"][number]
            assert track.count == count(round(track.duration_s * 16000))
        assert number == 23 and sum(t.duration_s for t in library.tracks()) == report["audio_s"]
        assert not library.damaged()
        assert not any(library.lacks_landmarks(track) for track in library.tracks())
        assert_no_leftovers(library)
    assert kept <= set(report["added"])


@pytest.mark.parametrize(
    "address, message",
    [
        ("127.0.0.1:1", "no Ray cluster answers"),
        ("node", "HOST:6379, or auto"),
        ("ray://node:10001", "HOST:6379, or auto"),
        ("node:x", "HOST:6379, or auto"),
    ],
)
def test_addresses_without_a_cluster_are_refused(folder, tmp_path, address, message):
    if reason := missing("ray"):
        pytest.skip(reason)
    with pytest.raises(ConfigError, match=message):
        grafprint("index", folder, "-l", tmp_path / "new", "--ray", address)
    assert not (tmp_path / "new").exists()


def test_other_devices_are_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match="leave out --device"):
        grafprint("index", folder, "-l", tmp_path / "new", "--ray", "auto", "--device", "cuda")


def test_known_contents_are_found_by_their_beginning():
    hashes = [f"{number:064x}"[::-1] for number in range(100)]
    known = Contents(shortened(hashes[:50]))
    assert [known.with_content(text) for text in hashes] == 50 * [True] + 50 * [False]
    assert not Contents(shortened([])).with_content(hashes[0])
