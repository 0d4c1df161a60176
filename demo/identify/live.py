"""Live mode of the tab Identify: the browser streams its microphone in pieces."""

from __future__ import annotations

import base64
import binascii
import logging
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from demo import cards
from demo.clips import Clip
from demo.studio import Studio
from grafprint import audio
from grafprint.library import LibraryError
from grafprint.matching import LONGEST_S, MatchError
from grafprint.matching.live import LiveQuery
from grafprint.models.features import LogMelStream

MOST_LISTENERS = 32
FORGET_S = 120.0  # after the last piece
MOST_PIECE_S = 10.0
_TOKEN = re.compile(r"[0-9a-f]{32}")
_FLOOR_DB, _TOP_DB = -50.0, 50.0  # colour range of the live spectrogram

_log = logging.getLogger(__name__)


class ListenError(ValueError):
    """A piece of sound that cannot be used; the message is for the visitor."""


@dataclass
class Session:
    """A visitor who is listening."""

    query: LiveQuery
    spectrogram: LogMelStream
    resampler: audio.Resampler
    rate_hz: int
    next_number: int = 0
    last_used: float = field(default_factory=time.monotonic)
    samples: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))


class Listening:
    """The sessions of all who are listening, by the secret random token that each browser draws."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def receive(self, piece: Any) -> dict[str, Any]:
        """Process a piece of sound and return the result so far; called from the page.

        ``piece`` holds ``token``, ``number`` (0, 1, ...), ``rate`` in Hz, ``pcm`` (base64 of
        little-endian int16) and ``library``. The reply holds ``state`` (listening, found, not
        found or problem), ``card`` (HTML), ``seconds`` and ``columns`` (base64 of uint8 ``[frames,
        mels]``).
        """
        try:
            return self._receive(*_check(piece))
        except (ListenError, LibraryError, MatchError, audio.AudioError) as error:
            return {"state": "problem", "card": cards.problem(str(error))}
        except Exception:
            _log.exception("listening failed")
            return {"state": "problem", "card": cards.problem("listening failed: reload the page")}

    def take(self, token: str) -> Clip:
        """End a session and return its last seconds as a clip.

        Raises ListenError if there is no sound.
        """
        with self._lock:
            session = self._sessions.pop(token, None)
        if session is None or not len(session.samples):
            raise ListenError("no sound was received: listen again")
        recent = session.samples[-round(session.query.config.window_s * audio.SAMPLE_RATE) :]
        return Clip(recent, "microphone")

    def _receive(
        self, token: str, number: int, rate_hz: int, pcm: np.ndarray, library: str
    ) -> dict[str, Any]:
        session = self._session(token, number, rate_hz, library)
        samples = session.resampler.push(pcm)
        session.last_used = time.monotonic()
        session.samples = np.concatenate([session.samples, samples])[
            -round(LONGEST_S * audio.SAMPLE_RATE) :
        ]
        session.query.push(samples)
        frames = session.spectrogram.push(torch.from_numpy(samples)).numpy()
        level = np.clip((frames - _FLOOR_DB) / (_TOP_DB - _FLOOR_DB), 0, 1)
        query = session.query
        state = "found" if query.confirmed else "not found" if query.over else "listening"
        return {
            "state": state,
            "card": cards.listening(query.heard_s, query.answer),
            "seconds": round(query.heard_s, 1),
            "columns": base64.b64encode((255 * level).astype(np.uint8).tobytes()).decode(),
        }

    def _session(self, token: str, number: int, rate_hz: int, library: str) -> Session:
        with self._lock:
            now = time.monotonic()
            for old in [t for t, s in self._sessions.items() if now - s.last_used > FORGET_S]:
                del self._sessions[old]
            session = self._sessions.get(token)
            if number == 0 and session is None:
                if len(self._sessions) >= MOST_LISTENERS:
                    raise ListenError("too many people are listening now: try again in a minute")
                session = self._new(rate_hz, library)
                self._sessions[token] = session
            if session is None or number != session.next_number or rate_hz != session.rate_hz:
                raise ListenError("a piece of sound was lost: listen again")
            session.next_number += 1
            return session

    def _new(self, rate_hz: int, library: str) -> Session:
        identifier = self._studio.identifier(library or None)
        query = LiveQuery(identifier.library, identifier.fingerprinter)
        spectrogram = LogMelStream(identifier.fingerprinter.logmel)
        return Session(query, spectrogram, audio.Resampler(rate_hz), rate_hz)


def _check(piece: Any) -> tuple[str, int, int, np.ndarray, str]:
    """The fields of a piece. Raises ListenError if it is malformed: anybody can post anything."""
    try:
        token, number, rate_hz = piece["token"], piece["number"], piece["rate"]
        pcm, library = piece["pcm"], piece["library"] or ""
        sound = np.frombuffer(base64.b64decode(pcm, validate=True), "<i2")
    except (TypeError, KeyError, ValueError, binascii.Error):
        raise ListenError("the page sent something that is not sound: reload it") from None
    good = (
        isinstance(token, str)
        and _TOKEN.fullmatch(token)
        and type(number) is int
        and type(rate_hz) is int
        and 8_000 <= rate_hz <= 192_000
        and isinstance(library, str)
        and len(sound) <= MOST_PIECE_S * rate_hz
    )
    if not good:
        raise ListenError("the page sent something that is not sound: reload it")
    return token, number, rate_hz, sound.astype(np.float32) / 32768, library
