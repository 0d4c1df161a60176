"""GraFPrint: audio identification with graph neural network fingerprints.

The public names below are imported on first use, so that ``import grafprint`` is quick and loads
neither PyTorch nor FAISS.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grafprint.errors import (
        AudioError,
        CheckpointError,
        ConfigError,
        DataError,
        DivergedError,
        GraFPrintError,
        LibraryError,
        MatchError,
        MicrophoneError,
        MissingPackageError,
        WriteError,
    )
    from grafprint.fingerprint import Fingerprinter
    from grafprint.library import Library, Track
    from grafprint.matching import Answer, Match, identify, identify_audio, identify_file
    from grafprint.matching.live import LiveQuery
    from grafprint.matching.samples import SamplesFound, find_samples
    from grafprint.remote.opening import open_library
    from grafprint.scan import Timeline
    from grafprint.tagging import ClipTagger, ClipTags

__version__ = "2.0.0"
"""The version of this package."""

__all__ = [
    "Answer",
    "AudioError",
    "CheckpointError",
    "ClipTagger",
    "ClipTags",
    "ConfigError",
    "DataError",
    "DivergedError",
    "Fingerprinter",
    "GraFPrintError",
    "Library",
    "LibraryError",
    "LiveQuery",
    "Match",
    "MatchError",
    "MicrophoneError",
    "MissingPackageError",
    "SamplesFound",
    "Timeline",
    "Track",
    "WriteError",
    "__version__",
    "find_samples",
    "identify",
    "identify_audio",
    "identify_file",
    "open_library",
]

_HOMES = {
    "Answer": "grafprint.matching",
    "ClipTagger": "grafprint.tagging",
    "ClipTags": "grafprint.tagging",
    "Fingerprinter": "grafprint.fingerprint",
    "Library": "grafprint.library",
    "LiveQuery": "grafprint.matching.live",
    "Match": "grafprint.matching",
    "SamplesFound": "grafprint.matching.samples",
    "Timeline": "grafprint.scan",
    "Track": "grafprint.library",
    "find_samples": "grafprint.matching.samples",
    "identify": "grafprint.matching",
    "identify_audio": "grafprint.matching",
    "identify_file": "grafprint.matching",
    "open_library": "grafprint.remote.opening",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        value = getattr(import_module(_HOMES.get(name, "grafprint.errors")), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
