"""Identify a clip with a library and its network."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from demo.clips import Clip, ClipError
from grafprint import matching
from grafprint.fingerprint import Fingerprinter
from grafprint.library import LibraryError
from grafprint.matching import Answer
from grafprint.remote.opening import AnyLibrary

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identifier:
    """A library and its network, opened once and shared by all visitors; it stores no clips."""

    library: AnyLibrary
    fingerprinter: Fingerprinter

    def answer(self, clip: Clip, top: int = 5, confidence: float | None = None) -> Answer:
        """Identify a clip: at most ``top`` matches; ``confidence`` is the threshold.

        Raises only ClipError. Unexpected errors are logged, and the message does not contain them.
        """
        try:
            answer = matching.identify_audio(
                self.library, self.fingerprinter, clip.samples, top_k=top, confidence=confidence
            )
        except (matching.MatchError, LibraryError, ValueError) as error:
            raise ClipError(str(error)) from error
        except Exception as error:
            _log.exception("a clip could not be identified")
            raise ClipError(
                "the program failed on this clip; please report the error in its console"
            ) from error
        return matching.shift_answer(answer, clip.offset_s)
