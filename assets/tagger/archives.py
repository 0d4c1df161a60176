"""The sounds of an unpacked package: loose files, and those inside of zip and Qt archives."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

SOUNDS = (".ogg", ".oga", ".opus", ".wav", ".flac", ".mp3", ".g722")
_ZIPS = (".zip", ".pk3")
_QT = ".rcc"
_FOLDER, _ZLIB = 2, 1  # flags of a Qt resource


def sounds(root: Path) -> Iterator[tuple[str, bytes | Path]]:
    """Name within the package, and file or contents, of each sound; in order of names."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        suffix = path.suffix.lower()
        if not path.is_file() or path.is_symlink():
            continue
        if suffix in SOUNDS:
            yield name, path
        elif suffix in _ZIPS:
            with ZipFile(path) as archive:
                for inner in sorted(archive.namelist()):
                    if inner.lower().endswith(SOUNDS):
                        yield f"{name}/{inner}", archive.read(inner)
        elif suffix == _QT:
            for inner, contents in qt_resources(path.read_bytes()):
                if inner.lower().endswith(SOUNDS):
                    yield f"{name}/{inner}", contents


def qt_resources(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in a Qt resource archive; those under zstd are left out.

    The layout: a tree of fixed-size records, names in UTF-16, and contents after their sizes, all
    big-endian (Qt's rcc, format versions 1 to 3).
    """
    magic, version, tree, data, names = struct.unpack_from(">4siiii", archive)
    if magic != b"qres":
        return
    size = 14 if version < 2 else 22

    def walk(number: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        at = tree + size * number
        name_at, flags = struct.unpack_from(">iH", archive, at)
        if number:
            (length,) = struct.unpack_from(">H", archive, names + name_at)
            begin = names + name_at + 6
            prefix += ("/" if prefix else "") + archive[begin : begin + 2 * length].decode(
                "utf-16-be"
            )
        if flags & _FOLDER:
            count, first = struct.unpack_from(">ii", archive, at + 6)
            for child in range(first, first + count):
                yield from walk(child, prefix)
            return
        (offset,) = struct.unpack_from(">i", archive, at + 10)
        (length,) = struct.unpack_from(">i", archive, data + offset)
        contents = archive[data + offset + 4 : data + offset + 4 + length]
        if flags & _ZLIB:
            yield prefix, zlib.decompress(contents[4:])  # after the size of the original
        elif not flags:
            yield prefix, contents

    yield from walk(0, "")
