"""The project's exceptions; their messages say what is wrong and what to do about it.

Each is also a ValueError or a RuntimeError, so that code that catches those keeps working.
"""

from __future__ import annotations

from pathlib import Path


class GraFPrintError(Exception):
    """Base class of all the project's errors."""


class AudioError(GraFPrintError, ValueError):
    """Audio cannot be used; the message names the file, the reason and the remedy."""


class MicrophoneError(GraFPrintError, RuntimeError):
    """A microphone delivers no audio; the message says what is missing and what to do."""


class CheckpointError(GraFPrintError, RuntimeError):
    """A file of weights is missing, damaged, or of another kind or version."""


class LibraryError(GraFPrintError, RuntimeError):
    """A library cannot be used as asked; the message names it, the reason and the remedy."""


class NoTrackError(LibraryError):
    """A library has no such track, or another program has just removed or replaced it."""


class WriteError(LibraryError, CheckpointError):
    """A file of a library or a network cannot be written; the old file is kept."""


class MatchError(GraFPrintError, ValueError):
    """A clip cannot be identified; the message says why and what to do."""


class DataError(GraFPrintError, ValueError):
    """Training or evaluation data, or a saved state, cannot be used; says why and where."""


class ConfigError(GraFPrintError, ValueError):
    """A setting or an option makes no sense; the message says which, and what it may be."""


class MissingPackageError(GraFPrintError, ImportError):
    """A Python package is not installed; the message says how to install it."""


class DivergedError(GraFPrintError, RuntimeError):
    """The loss or the weights are no longer finite; earlier checkpoints are kept."""

    def __init__(self, what: str, step: int, out: Path) -> None:
        super().__init__(
            f"by step {step} the {what} no longer finite: a smaller learning rate, or float32 "
            f"(--precision 32-true), may help. Files of this run in {out} are from before that."
        )
