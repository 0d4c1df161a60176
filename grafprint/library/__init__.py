"""A collection of fingerprinted recordings on disk."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from grafprint.errors import LibraryError
from grafprint.library.library import Library
from grafprint.library.records import Track

if TYPE_CHECKING:
    from grafprint.library.add_file import AddResult
    from grafprint.library.add_folder import IndexReport
    from grafprint.library.tagging import TagReport, tag_tracks

__all__ = [
    "AddResult",
    "IndexReport",
    "Library",
    "LibraryError",
    "TagReport",
    "Track",
    "tag_tracks",
]

# Adding reads audio; a library that is only read opens faster without what that needs.
_HOMES = {
    "AddResult": "grafprint.library.add_file",
    "IndexReport": "grafprint.library.add_folder",
    "TagReport": "grafprint.library.tagging",
    "tag_tracks": "grafprint.library.tagging",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
