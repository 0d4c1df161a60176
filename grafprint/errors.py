"""Every error that the project raises on purpose; its message says what is wrong and what to do.

Each kind is a ValueError or a RuntimeError as well, so that code which catches those still works.
"""

from __future__ import annotations

from pathlib import Path


class GraFPrintError(Exception):
    """Base of all the project's errors."""


class AudioError(GraFPrintError, ValueError):
    """Audio that cannot be used; the message names the file, the reason and the remedy."""


class MicrophoneError(GraFPrintError, RuntimeError):
    """No sound from a microphone; the message says what is missing and what to do."""


class CheckpointError(GraFPrintError, RuntimeError):
    """A file of weights that is missing, damaged, or of another kind or version."""


class LibraryError(GraFPrintError, RuntimeError):
    """A library that cannot be used as asked; the message names it, the reason and the remedy."""


class WriteError(LibraryError, CheckpointError):
    """A file of a library or a network that the system refuses to write; the old one is kept."""


class MatchError(GraFPrintError, ValueError):
    """A clip that cannot be looked up; the message says why and what to do."""


class DataError(GraFPrintError, ValueError):
    """Training or evaluation data, or a saved state, that cannot be used; says why and where."""


class ConfigError(GraFPrintError, ValueError):
    """A setting or an option makes no sense; the message says which, and what it may be."""


class MissingPackageError(GraFPrintError, ImportError):
    """A Python package is not installed; the message says how to install it."""


class DivergedError(GraFPrintError, RuntimeError):
    """The loss or the weights are no longer finite; what was saved before is kept."""

    def __init__(self, what: str, step: int, out: Path) -> None:
        super().__init__(
            f"by step {step} the {what} not finite any more: a smaller learning rate, or float32 "
            f"(--precision 32-true), may help. What {out} holds of this run was saved before."
        )
