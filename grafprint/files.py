"""Atomic writes: write a temporary file, flush it to the disk, rename it into place."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from grafprint.errors import WriteError

# EFBIG is the file size limit of the file system or the process: as final as a full disk.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError from writing ``path`` into a WriteError."""
    try:
        yield
    except OSError as failure:
        raise write_error(path, failure) from failure


def write_error(path: Path, failure: OSError) -> WriteError:
    """The error for a failed write: the disk is full, read-only, or what the system says."""
    if failure.errno in _FULL:
        reason = "the disk is full; free some space and run it again"
    elif failure.errno in _READ_ONLY:
        reason = "the folder is read-only; copy the library to one of your own, or choose another"
    else:
        reason = f"{failure.strerror or failure}; check the disk"
    return WriteError(f"cannot write {path}: {reason} (what was stored before is kept)")


def replace(path: Path, write: Callable[[Path], None]) -> None:
    """Replace ``path`` atomically by the file that ``write`` writes at the path it is given.

    Raises WriteError if that fails; the old file is then still there.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with writing(path):
            write(partial)
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            sync_folder(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Replace ``path`` atomically by a text file; see :func:`replace`."""

    def write(partial: Path) -> None:
        partial.write_text(text, encoding="utf-8")

    replace(path, write)


def sync_folder(folder: Path) -> None:
    """Make new and renamed files in ``folder`` survive a power cut."""
    if sys.platform == "win32":  # it cannot open folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
