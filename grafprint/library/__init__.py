"""A collection of fingerprinted recordings on disk."""

from grafprint.errors import LibraryError
from grafprint.library.add_file import AddResult
from grafprint.library.add_folder import IndexReport
from grafprint.library.library import Library
from grafprint.library.records import Track

__all__ = [
    "AddResult",
    "IndexReport",
    "Library",
    "LibraryError",
    "Track",
]
