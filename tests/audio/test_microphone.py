"""Recording from a virtual microphone on a private sound server, and without a microphone."""

import builtins
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from grafprint import audio
from grafprint.audio import microphone
from grafprint.errors import MicrophoneError
from tests.audio_files import best_lag, music
from tests.paths import ASSETS, ROOT

RATE = audio.SAMPLE_RATE
# The source `microphone` records what is played into the sink `speaker`.
SERVER = """
load-module module-native-protocol-unix
load-module module-null-sink sink_name=speaker rate=44100 channels=2
load-module module-remap-source master=speaker.monitor source_name=microphone
set-default-sink speaker
set-default-source microphone
"""


def python(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Python in a new process, since PortAudio looks for devices only once per process."""
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )


def without_server(folder: Path) -> dict[str, str]:
    """An environment in which no sound server can be found."""
    root = str(ROOT)
    ours = {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "PYTHONPATH": root}
    return {k: v for k, v in os.environ.items() if not k.startswith("PULSE")} | ours


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Run a private PulseAudio with a virtual microphone at 44.1 kHz; yields its environment."""
    for program in ("pulseaudio", "pactl", "paplay"):
        if shutil.which(program) is None:
            pytest.fail(
                f"{program} is missing; on Debian: apt install pulseaudio pulseaudio-utils "
                "libasound2-plugins libportaudio2"
            )
    folder = tmp_path_factory.mktemp("pulse")
    folder.chmod(0o700)
    script = folder / "server.pa"
    script.write_text(SERVER, encoding="utf-8")
    environment = without_server(folder)
    options = [
        "-n",
        "-F",
        str(script),
        "--daemonize=no",
        "--exit-idle-time=-1",
        "--use-pid-file=no",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["pulseaudio", *options], env=environment, stderr=log)
    try:
        for _ in range(100):
            answer = subprocess.run(["pactl", "info"], env=environment, capture_output=True)
            if answer.returncode == 0:
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"PulseAudio does not start: {(folder / 'log').read_text()}")
        yield environment
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def playing(server, tmp_path):
    """Play ten seconds of music into the virtual microphone; yields the expected samples."""
    clip = music(10, 44_100, 2)
    wavfile.write(tmp_path / "clip.wav", 44_100, (clip * 32767).astype(np.int16))
    player = subprocess.Popen(["paplay", "--device=speaker", tmp_path / "clip.wav"], env=server)
    yield audio.load(tmp_path / "clip.wav")
    player.terminate()
    player.wait(timeout=10)


def test_a_microphone_records_what_is_played(server, playing, tmp_path):
    code = f"""
import numpy as np
from grafprint.audio import microphone
levels = []
np.save({str(tmp_path / "recorded.npy")!r}, microphone.record(3.05, on_level=levels.append))
print(len(levels), max(levels))
"""
    done = python(code, server)
    assert done.returncode == 0, done.stderr
    recorded = np.load(tmp_path / "recorded.npy")
    assert (recorded.dtype, recorded.shape) == (np.float32, (round(3.05 * RATE),))
    _, correlation = best_lag(recorded[RATE:], playing)  # the first second may be before the music
    assert correlation > 0.99
    n_levels, loudest_db = done.stdout.split()
    assert int(n_levels) == 31
    assert float(loudest_db) == pytest.approx(microphone.level_db(recorded), abs=12)
    assert done.stderr == ""


def test_what_the_computer_plays_is_recorded(server, playing, tmp_path):
    """The default microphone is another one, which is silent."""
    setup = (
        ["pactl", "load-module", "module-null-sink", "sink_name=silent"],
        ["pactl", "set-default-source", "silent.monitor"],
        ["pactl", "set-default-sink", "speaker"],
    )
    for command in setup:
        subprocess.run(command, env=server, check=True, capture_output=True)
    code = f"""
import os
import numpy as np
from grafprint.audio import microphone
np.save({str(tmp_path / "recorded.npy")!r}, microphone.record(3, device="computer"))
print(microphone.level_db(microphone.record(1)), "PULSE_SOURCE" in os.environ)
"""
    done = python(code, server)
    restore = ["pactl", "set-default-source", "microphone"]
    subprocess.run(restore, env=server, check=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert best_lag(np.load(tmp_path / "recorded.npy")[RATE:], playing)[1] > 0.99
    assert done.stdout.split() == ["-120.0", "False"]


def test_a_computer_whose_sound_cannot_be_recorded(tmp_path):
    code = "from grafprint.audio import microphone; microphone.record(1, device='computer')"
    done = python(code, without_server(tmp_path))
    assert "cannot be recorded here" in done.stderr and "Stereo Mix" in done.stderr


def test_listening_loses_nothing_between_blocks(server, playing, tmp_path):
    """A caller that pauses (to identify a clip) still gets every sample, in order."""
    code = f"""
import time, itertools
import numpy as np
from grafprint.audio import microphone
name = next(name for name in microphone.devices() if name.startswith("pulse"))
incoming = microphone.listen(device=name, block_s=0.25)
blocks = []
for block in itertools.islice(incoming, 16):
    blocks.append(block)
    time.sleep(1.0 if len(blocks) == 4 else 0.0)
incoming.close()
assert {{len(block) for block in blocks}} == {{4000}}, blocks
np.save({str(tmp_path / "recorded.npy")!r}, np.concatenate(blocks))
"""
    done = python(code, server)
    assert done.returncode == 0, done.stderr
    recorded = np.load(tmp_path / "recorded.npy")
    assert best_lag(recorded[RATE:], playing)[1] > 0.99
    assert done.stderr == ""


def test_the_error_for_an_unknown_device_lists_the_known_ones(server):
    code = """
from grafprint.audio import microphone
assert microphone.devices()
try:
    microphone.record(1, device="gramophone")
except microphone.MicrophoneError as error:
    print(error)
    assert all(name in str(error) for name in microphone.devices())
"""
    done = python(code, server)
    assert done.returncode == 0, done.stderr
    assert "no microphone 'gramophone'" in done.stdout


def test_a_microphone_that_disappears_is_reported(server):
    """A suspended source delivers nothing, like an unplugged one."""
    code = """
import subprocess
from grafprint.audio import microphone
incoming = microphone.listen()
next(incoming)
microphone._TIMEOUT_S = 1.0
subprocess.run(["pactl", "suspend-source", "microphone", "1"], check=True)
subprocess.run(["pactl", "suspend-sink", "speaker", "1"], check=True)
try:
    for block in incoming:
        pass
except microphone.MicrophoneError as error:
    print(error)
"""
    done = python(code, server)
    subprocess.run(["pactl", "suspend-sink", "speaker", "0"], env=server, check=True)
    subprocess.run(["pactl", "suspend-source", "microphone", "0"], env=server, check=True)
    assert done.returncode == 0, done.stderr
    assert "stopped delivering sound" in done.stdout


def test_a_microphone_that_cannot_be_opened(server):
    """The server disappears between finding the device and opening it."""
    code = """
import os
from grafprint.audio import microphone
assert microphone.devices()
os.environ["PULSE_SERVER"] = "unix:/nonexistent"
try:
    microphone.record(1)
except microphone.MicrophoneError as error:
    print(error)
"""
    done = python(code, server)
    assert done.returncode == 0, done.stderr
    assert "cannot use the microphone" in done.stdout
    assert "privacy settings" in done.stdout


def test_without_a_device(tmp_path):
    code = """
from grafprint.audio import microphone
assert microphone.devices() == []
try:
    microphone.record(1)
except microphone.MicrophoneError as error:
    print(error)
"""
    done = python(code, without_server(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "there is no microphone: plug one in" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        (OSError("PortAudio library not found"), "sudo apt install libportaudio2"),
        (ImportError("No module named 'sounddevice'"), "grafprint[microphone]"),
    ],
)
def test_without_portaudio(monkeypatch, failure, remedy):
    real_import = builtins.__import__

    def no_portaudio(name, *args, **kwargs):
        if name == "sounddevice":
            raise failure
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_portaudio)
    for use in (microphone.devices, lambda: microphone.record(1)):
        with pytest.raises(MicrophoneError, match=re.escape(remedy)):
            use()


def test_the_package_imports_without_portaudio():
    """The import must not load sounddevice, which fails if the library is missing."""
    code = "import sys, grafprint.audio.microphone; assert 'sounddevice' not in sys.modules"
    assert python(code, without_server(Path("/nonexistent"))).returncode == 0


def test_impossible_lengths():
    for duration_s in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="duration_s"):
            microphone.record(duration_s)
    with pytest.raises(ValueError, match="block_s"):
        next(microphone.listen(block_s=0))


def test_level():
    sine = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE, dtype=np.float32)
    assert microphone.level_db(sine) == pytest.approx(-3.01, abs=0.01)
    assert microphone.level_db(sine * np.float32(0.1)) == pytest.approx(-23.01, abs=0.01)
    assert microphone.level_db(np.zeros(RATE, np.float32)) == -120
    assert microphone.level_db(np.empty(0, np.float32)) == -120


def listen(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run ``grafprint listen`` with the bundled library in a new process."""
    command = [sys.executable, "-m", "grafprint", "listen", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_the_command_identifies_what_the_microphone_records(server, tmp_path):
    example = ASSETS / "examples" / "engine.opus"
    samples = audio.load(example)
    wavfile.write(tmp_path / "e.wav", RATE, np.round(np.tile(samples, 20) * 30_000).astype("<i2"))
    player = subprocess.Popen(["paplay", "--device=speaker", tmp_path / "e.wav"], env=server)
    try:
        done = listen(server, "--seconds", "4", "--json")
    finally:
        player.terminate()
        player.wait(timeout=10)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["identified"] and answer["matches"][0]["title"] == "Randomness Decides"


def test_the_command_reports_a_missing_microphone(tmp_path):
    done = listen(without_server(tmp_path))
    assert done.returncode == 2
    assert "microphone" in done.stderr and "Traceback" not in done.stderr
