"""How ``grafprint app`` starts: its options, and what it says when it cannot start."""

import importlib.util
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import app
from grafprint.cli import serve, start_app
from grafprint.cli.start_app import Options
from grafprint.errors import ConfigError
from grafprint.library import Library
from tests.libraries import Network
from tests.paths import ROOT


@pytest.fixture
def options_of(monkeypatch: pytest.MonkeyPatch):
    """Parses a command line of app.py."""
    taken: list[Options] = []
    monkeypatch.setattr(serve, "launch", taken.append)

    def parse(*arguments: str) -> Options:
        with pytest.raises(SystemExit):
            app.main(arguments)
        return taken.pop()

    return parse


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What app.py says on stderr when it does not start."""
    with pytest.raises(SystemExit) as end:
        app.main(arguments)
    assert end.value.code == 2
    return capsys.readouterr().err


def test_a_missing_library_is_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    message = refusal(capsys, "--library", str(tmp_path / "nowhere"))
    assert re.search(r"error: there is no library in .*nowhere", message)


def test_a_library_of_another_network_is_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    Library.create(tmp_path / "other", Network()).close()
    message = refusal(capsys, "--library", str(tmp_path / "other"))
    assert "was made with network given vectors" in message


def test_a_missing_network_is_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    message = refusal(capsys, "--model", str(tmp_path / "none.safetensors"))
    assert re.search(r"error: .*none\.safetensors: there is no such file", message)


@pytest.fixture
def imported():
    """Runs app.py with options that it must refuse: its message, and the modules it imported."""

    def start(*options: str) -> tuple[str, set[str]]:
        command = [sys.executable, "-X", "importtime", "app.py", *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 2
        modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "typer" in modules
        return done.stderr, modules

    return start


def test_what_cannot_work_is_reported_before_anything_is_loaded(imported):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for options, words in (
            (("--port", str(port)), f"port {port} is in use by another program: choose another"),
            (("--library", "/no/such"), "there is no library in /no/such"),
            (("--model", "/no/such"), "/no/such: there is no such file"),
        ):
            message, modules = imported(*options)
            assert words in message and "GRADIO_SERVER_PORT" not in message
            assert not {"torch", "gradio", "faiss", "matplotlib"} & modules


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "127.0.0.2"])
def test_a_port_is_checked_where_the_app_would_listen(host: str):
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is in use"):
            start_app.check_port(host, port)
        start_app.check_port(host, None)
    start_app.check_port(host, port)


@pytest.mark.parametrize(
    "host, port, words",
    [
        ("no such name", 7860, "--host: no such name is no address"),
        ("192.0.2.1", None, "--host: 192.0.2.1 is no address of this computer"),
    ],
)
def test_an_address_that_cannot_be_had_is_reported(host: str, port: int | None, words: str):
    with pytest.raises(ConfigError, match=words):
        start_app.check_port(host, port)


def test_start_up_says_what_it_does_from_the_beginning(tmp_path: Path):
    Library.create(tmp_path / "other", Network()).close()
    began = [sys.executable, "app.py", "--library", str(tmp_path / "other")]
    lines = subprocess.run(began, cwd=ROOT, capture_output=True, text=True).stderr.splitlines()
    assert lines[0] == "loading PyTorch and Gradio …"
    assert re.search(r"opening the library .*other with the network grafprint", lines[1])
    assert lines[-1].startswith("error: ") and "given vectors" in lines[-1]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--ssl-key", "key.pem"], "--ssl-key and --ssl-certificate are needed together"),
        (["--ssl-key", "no.pem", "--ssl-certificate", "README.md"], "there is no file no.pem"),
        (["--noise", "/no/such/folder"], "--noise: there is no folder /no/such/folder"),
        (["--rooms", "/no/such/folder"], "--rooms: there is no folder /no/such/folder"),
        (["--libraries", "README.md"], "README.md is a file; name a folder"),
        (["--root-path", "music"], "--root-path is like /music or https://example.org/music"),
        (["--root-path", "/music?tab=map"], "--root-path is like /music"),
        (["--auth", "only-a-name"], "--auth: give USER:PASSWORD"),
        (["--auth", "name:"], "--auth: give USER:PASSWORD"),
        (["--auth", "assets/examples/cafe.opus"], "--auth: the file is not text"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], message
):
    monkeypatch.chdir(ROOT)
    assert message in refusal(capsys, *options)


@pytest.mark.skipif(importlib.util.find_spec("mcp") is not None, reason="the package is installed")
def test_mcp_without_its_package_says_what_to_install(capsys: pytest.CaptureFixture[str]):
    assert 'pip install "gradio[mcp]"' in refusal(capsys, "--mcp")


@pytest.mark.parametrize(
    "options, editable",
    [
        (["--host", "127.0.0.1"], True),
        (["--host", "localhost"], True),
        (["--host", "0.0.0.0"], False),
        (["--host", "localhost", "--share"], False),
        (["--host", "localhost", "--root-path", "/music"], False),
        (["--host", "localhost", "--root-path", "/music", "--edit"], True),
        (["--host", "0.0.0.0", "--edit"], True),
        (["--host", "localhost", "--no-edit"], False),
    ],
)
def test_libraries_are_changed_from_this_computer_alone_by_default(options_of, options, editable):
    assert options_of(*options).edit is editable


def test_names_and_passwords_come_from_option_file_or_environment(
    options_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv(serve.AUTH, raising=False)
    assert options_of().users is None
    assert options_of("--auth", "ann:a:b").users == [("ann", "a:b")]
    file = tmp_path / "users"
    file.write_text("# who may come\n\nann:one\nbob:two\n")
    assert options_of("--auth", str(file)).users == [("ann", "one"), ("bob", "two")]
    monkeypatch.setenv(serve.AUTH, "eve:three")
    assert options_of().users == [("eve", "three")]
    assert options_of("--auth", "ann:x").users == [("ann", "x")]


def test_the_host_comes_from_the_environment_that_hosted_spaces_set(
    options_of, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert options_of().host == "0.0.0.0"
    assert not options_of().edit


@pytest.mark.parametrize(
    "given, taken",
    [
        ("/music", "/music"),
        ("/our/music/", "/our/music"),
        ("https://example.org/music/", "https://example.org/music"),
        ("/", None),
        ("", None),
    ],
)
def test_the_path_below_a_proxy_has_no_slash_at_its_end(options_of, given: str, taken: str | None):
    assert options_of("--root-path", given).root_path == taken
