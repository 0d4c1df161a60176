"""Record from a microphone, or what the computer plays, as mono float32 samples at 16 kHz.

sounddevice (PortAudio) is imported only when a microphone is used, so that everything else works
without the PortAudio library.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grafprint.audio import SAMPLE_RATE, Resampler
from grafprint.errors import MicrophoneError

# How far the caller of listen() may fall behind before audio is lost, and how long a microphone
# may deliver nothing at all (not even silence) before it counts as gone.
_BACKLOG_S = 60.0
_TIMEOUT_S = 5.0
# How much the sound system may buffer. More than its default, so that a busy CPU loses nothing,
# and still little compared with the seconds that an identification needs.
_LATENCY_S = 0.2
_FLOOR_DB = -120.0

# The name of the device for the sound that the computer itself plays.
COMPUTER = "computer"
# Names of inputs that record it, in small letters, on systems without PulseAudio or PipeWire:
# sound cards for Windows have one, and programs for macOS make one.
_LOOPBACKS = ("loopback", "stereo mix", "what u hear", "blackhole", "soundflower", "monitor of")

_log = logging.getLogger(__name__)


def record(
    duration_s: float,
    *,
    device: str | int | None = None,
    on_level: Callable[[float], None] | None = None,
) -> NDArray[np.float32]:
    """Record ``duration_s`` seconds: mono float32 [samples] at 16 kHz.

    ``on_level`` is called ten times a second with the level in dBFS (see :func:`level_db`).
    Raises :class:`MicrophoneError` like :func:`listen`.
    """
    if not 0 < duration_s < np.inf:
        raise ValueError(f"duration_s must be above 0, not {duration_s}")
    n_wanted = max(1, round(duration_s * SAMPLE_RATE))
    blocks: list[NDArray[np.float32]] = []
    with contextlib.closing(listen(device=device)) as incoming:
        while sum(map(len, blocks)) < n_wanted:
            blocks.append(next(incoming))
            if on_level is not None:
                on_level(level_db(blocks[-1]))
    return np.concatenate(blocks)[:n_wanted]


def listen(
    *,
    device: str | int | None = None,
    block_s: float = 0.1,
    on_loss: Callable[[float], None] | None = None,
) -> Generator[NDArray[np.float32], None, None]:
    """Record without end, in blocks of ``block_s`` seconds: mono float32 [samples] at 16 kHz.

    ``device`` is a name from :func:`devices`, a part of one, or PortAudio's number; None is the
    system's default, and :data:`COMPUTER` what the computer plays. The device runs at its native
    rate with one or two channels, whose mean is resampled without seams. It is opened with the
    first block and released when the iterator is closed. A caller that falls a minute behind loses
    audio, which is logged; ``on_loss`` gets the seconds lost just before the block that comes next.

    Raises :class:`MicrophoneError` if PortAudio is not installed, or if the device does not exist,
    cannot be opened (busy, not permitted) or stops delivering.
    """
    n_block = round(block_s * SAMPLE_RATE)
    if n_block < 1:
        raise ValueError(f"block_s must be above 0, not {block_s}")
    sounddevice = _sounddevice()
    info = _computer(sounddevice) if device == COMPUTER else _input_device(sounddevice, device)
    rate_hz = round(info["default_samplerate"])
    # Each piece with the number of samples that were lost before it.
    captured: queue.Queue[tuple[int, NDArray[np.float32]]] = queue.Queue()
    overflowed = threading.Event()
    n_lost = 0  # only used by PortAudio's thread

    def capture(block: NDArray[np.float32], n: int, time: Any, status: Any) -> None:
        """Runs in PortAudio's thread, so it must never block."""
        nonlocal n_lost
        if status.input_overflow:  # how much the system lost is not known
            overflowed.set()
        if captured.qsize() * n > _BACKLOG_S * rate_hz:
            n_lost += n
        else:
            captured.put_nowait((n_lost, block.mean(axis=1)))
            n_lost = 0

    resampler = Resampler(rate_hz)
    held = np.empty(0, np.float32)
    source = _MONITOR if device == COMPUTER else {}
    with _open_stream(sounddevice, info, rate_hz, capture, source):
        while True:
            try:
                missing, piece = captured.get(timeout=_TIMEOUT_S)
            except queue.Empty:
                raise MicrophoneError(
                    f"the microphone {info['name']!r} has stopped delivering sound; "
                    "check that it is still plugged in and not in use elsewhere"
                ) from None
            if missing and on_loss:
                on_loss(missing / rate_hz)
            if missing or overflowed.is_set():
                overflowed.clear()
                _log.warning("audio was lost: processing fell behind the microphone")
            held = np.concatenate([held, resampler.push(piece)])
            while len(held) >= n_block:
                block, held = held[:n_block], held[n_block:]
                yield block


def devices() -> list[str]:
    """Names of the microphones and other inputs; empty if there are none.

    Raises :class:`MicrophoneError` if PortAudio is not installed.
    """
    sounddevice = _sounddevice()
    systems = sounddevice.query_hostapis()
    return [
        f"{device['name']}, {systems[device['hostapi']]['name']}"
        for device in sounddevice.query_devices()
        if device["max_input_channels"] > 0
    ]


def _computer(sounddevice: Any) -> dict[str, Any]:
    """PortAudio's description of the input that records what the computer plays."""
    inputs = [d for d in sounddevice.query_devices() if d["max_input_channels"] > 0]
    for device in inputs:  # PulseAudio, or PipeWire in its place: a monitor by _MONITOR
        if device["name"] == "pulse":
            return dict(device)
    for device in inputs:
        if any(name in device["name"].lower() for name in _LOOPBACKS):
            return dict(device)
    raise MicrophoneError(
        "what the computer plays cannot be recorded here: on Linux, PulseAudio or PipeWire must "
        "run (and ALSA have its plugin for it: apt install libasound2-plugins); on Windows, enable "
        "'Stereo Mix' in the sound settings; on macOS, install a loopback device such as BlackHole"
    )


def level_db(block: NDArray[np.float32]) -> float:
    """RMS level of a block in dBFS, at least -120. A full-scale sine is at -3."""
    power = float(np.mean(np.square(block, dtype=np.float64))) if len(block) else 0.0
    return max(_FLOOR_DB, 10 * float(np.log10(power))) if power > 0 else _FLOOR_DB


def _sounddevice() -> Any:
    """Import sounddevice, which loads the PortAudio library."""
    try:
        import sounddevice
    except ImportError as error:
        raise MicrophoneError(
            f"the microphone needs the package sounddevice ({error}): "
            'run  pip install "grafprint[microphone]"'
        ) from None
    except OSError as error:
        raise MicrophoneError(
            f"the microphone needs the PortAudio library ({error}); on Debian or Ubuntu: "
            "sudo apt install libportaudio2; on Fedora: sudo dnf install portaudio; on macOS: "
            "brew install portaudio; on Windows: pip install --force-reinstall sounddevice"
        ) from None
    return sounddevice


def _input_device(sounddevice: Any, device: str | int | None) -> dict[str, Any]:
    """PortAudio's description of an input device."""
    try:
        info: dict[str, Any] = sounddevice.query_devices(device, "input")
        return info
    except (sounddevice.PortAudioError, ValueError) as error:
        names = devices()
        if not names:
            raise MicrophoneError(
                "there is no microphone: plug one in and enable it in the sound settings of the "
                "system (on Linux a sound server, PipeWire or PulseAudio, must run)"
            ) from None
        listing = "".join(f"\n  {name}" for name in names)
        if device is None:
            raise MicrophoneError(
                f"there is no default microphone; choose one of:{listing}"
            ) from None
        raise MicrophoneError(
            f"no microphone {device!r} ({error}); choose one of:{listing}"
        ) from None


# PulseAudio reads this variable when a stream is opened.
_MONITOR = {"PULSE_SOURCE": "@DEFAULT_MONITOR@"}


@contextlib.contextmanager
def _open_stream(
    sounddevice: Any,
    info: dict[str, Any],
    rate_hz: int,
    callback: Callable[..., None],
    variables: dict[str, str],
) -> Iterator[None]:
    """Run an input stream that passes its audio to the callback.

    It is opened with environment ``variables`` set.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        stream = sounddevice.InputStream(
            samplerate=rate_hz,
            device=info["index"],
            channels=min(2, info["max_input_channels"]),
            dtype="float32",
            latency=_LATENCY_S,
            callback=callback,
        )
        with contextlib.closing(stream):
            stream.start()
            _restore(before)
            yield
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(
            f"cannot use the microphone {info['name']!r} ({error}); close other programs that "
            "use it, and let this one use the microphone in the privacy settings of the system"
        ) from None
    finally:
        _restore(before)


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
