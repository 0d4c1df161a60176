"""The server's side of live listening: sessions, the order of pieces, and what is refused."""

import base64
from typing import Any

import numpy as np
import pytest

from demo.identify import live
from demo.identify.live import ListenError, Listening
from demo.studio import Studio
from grafprint import audio
from tests.conftest import EXAMPLES

MINE, YOURS = "a" * 32, "b" * 32


def piece(token: str, number: int, sound: np.ndarray, rate: int = 16_000, **more: Any) -> Any:
    pcm = base64.b64encode(np.round(32767 * sound).astype("<i2").tobytes()).decode()
    return {"token": token, "number": number, "rate": rate, "pcm": pcm, "library": "", **more}


def send(listening: Listening, token: str, samples: np.ndarray) -> list[dict[str, Any]]:
    """Send pieces of a second until the server stops listening."""
    replies: list[dict[str, Any]] = []
    for number, begin in enumerate(range(0, len(samples), 16_000)):
        replies.append(listening.receive(piece(token, number, samples[begin : begin + 16_000])))
        if replies[-1]["state"] != "listening":
            break
    return replies


def test_two_simultaneous_listeners_are_kept_apart(studio: Studio):
    listening = Listening(studio)
    mine, yours = (audio.load(EXAMPLES / f"{name}.opus") for name in ("engine", "party"))
    for number in range(7):
        part = slice(number * 16_000, (number + 1) * 16_000)
        first = listening.receive(piece(MINE, number, mine[part]))
        second = listening.receive(piece(YOURS, number, yours[part]))
    assert "Randomness Decides" in first["card"] and "Galactic Temple" in second["card"]
    for token, sound in ((MINE, mine), (YOURS, yours)):
        clip = listening.take(token)
        np.testing.assert_allclose(clip.samples, sound[: 7 * 16_000], atol=1e-4)


def test_a_recording_is_returned_once(studio: Studio):
    listening = Listening(studio)
    replies = send(listening, MINE, audio.load(EXAMPLES / "engine.opus"))
    assert replies[-1]["state"] == "found"
    assert len(base64.b64decode(replies[0]["columns"])) % 64 == 0
    listening.take(MINE)
    with pytest.raises(ListenError, match="no sound was received"):
        listening.take(MINE)


def test_sound_at_another_rate_is_resampled(studio: Studio):
    """Some browsers cannot record at 16 kHz."""
    listening = Listening(studio)
    engine = audio.load(EXAMPLES / "engine.opus")
    time = np.arange(3 * len(engine)) / 3
    fast = np.interp(time, np.arange(len(engine)), engine)
    for number in range(7):
        part = slice(number * 48_000, (number + 1) * 48_000)
        reply = listening.receive(piece(MINE, number, fast[part], rate=48_000))
    assert "Randomness Decides" in reply["card"]


def test_a_lost_piece_is_an_error(studio: Studio):
    listening, second = Listening(studio), np.zeros(16_000)
    assert listening.receive(piece(MINE, 0, second))["state"] == "listening"
    reply = listening.receive(piece(MINE, 2, second))
    assert reply["state"] == "problem" and "lost" in reply["card"]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        {"token": MINE},
        piece("../" * 11, 0, np.zeros(100)),
        piece(MINE, 0, np.zeros(100), rate=0),
        piece(MINE, 0, np.zeros(100), rate=True),
        piece(MINE, 0, np.zeros(11 * 16_000)),
        piece(MINE, 0, np.zeros(100), pcm="!!"),
        piece(MINE, 0, np.zeros(100), library=["x"]),
    ],
)
def test_a_malformed_piece_is_refused(studio: Studio, bad: Any):
    reply = Listening(studio).receive(bad)
    assert reply["state"] == "problem" and "not sound" in reply["card"]


def test_an_unknown_library_is_refused(studio: Studio):
    reply = Listening(studio).receive(piece(MINE, 0, np.zeros(100), library="../etc"))
    assert reply["state"] == "problem" and "no library" in reply["card"]


def test_the_number_of_listeners_is_limited(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "MOST_LISTENERS", 1)
    listening, second = Listening(studio), np.zeros(16_000)
    assert listening.receive(piece(MINE, 0, second))["state"] == "listening"
    assert "Too many people" in listening.receive(piece(YOURS, 0, second))["card"]
    # A session that is no longer used makes room.
    monkeypatch.setattr(live, "FORGET_S", 0.0)
    assert listening.receive(piece(YOURS, 0, second))["state"] == "listening"
