"""A library and its network behind one call: which recording is this clip?"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from demo.clips import Clip, ClipError
from grafprint import matching
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, LibraryError
from grafprint.matching import Answer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identifier:
    """A library and its network, opened once and used by every visitor; keeps nothing of them."""

    library: Library
    fingerprinter: Fingerprinter

    def answer(self, clip: Clip, top: int = 5, confidence: float | None = None) -> Answer:
        """Identify a clip; the answer has at most ``top`` matches, ``confidence`` is the threshold.

        Raises ClipError, whatever goes wrong: an unforeseen reason is for the log, not for the
        visitor.
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
                "the program failed on this clip, and its console says how: please report it"
            ) from error
        return matching.shift_answer(answer, clip.offset_s)
