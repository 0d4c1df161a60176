"""Reading titles, artists and licences from files of every format."""

import mutagen
import numpy as np
import pytest
from mutagen.id3 import ID3, TIT2, TXXX, WCOP, WOAF

from grafprint.audio import metadata
from tests.audio_files import write
from tests.libraries import excerpt, write_wav


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.flac", "flac"), ("a.opus", "libopus"),
     ("a.ogg", "vorbis"), ("a.wma", "libmp3lame")],
)  # fmt: skip
def test_tags_of_each_format(tmp_path, name, codec):
    path = write(
        tmp_path / name, np.stack([excerpt(0, 20, 2.0).repeat(3)] * 2, axis=1), 48_000, codec
    )
    names = {"title": "Prélude", "artist": "Ana; 李", "album": "Op. 1"}
    file = mutagen.File(path, easy=True)
    if name == "a.wma":
        names = {"Title": "Prélude", "Author": "Ana; 李", "WM/AlbumTitle": "Op. 1"}
    file.update(names)
    if name in ("a.flac", "a.opus", "a.ogg"):
        file.update({"license": "CC0-1.0", "source": "https://example.org/prelude"})
    file.save()
    if name == "a.mp3":
        id3 = ID3(path)
        id3.add(WCOP(url="CC0-1.0"))
        id3.add(WOAF(url="https://example.org/prelude"))
        id3.save()
    if name == "a.m4a":
        plain = mutagen.File(path)
        plain["----:com.apple.iTunes:LICENSE"] = b"CC0-1.0"
        plain["cprt"] = "https://example.org/prelude"
        plain.save()
    if name == "a.wma":
        plain = mutagen.File(path)
        plain["CopyrightURL"] = "CC0-1.0"
        plain["WM/AuthorURL"] = "https://example.org/prelude"
        plain.save()
    assert metadata.read(path) == metadata.Tags(
        "Prélude", "Ana; 李", "Op. 1", "CC0-1.0", "https://example.org/prelude"
    )


def test_missing_odd_and_damaged_tags(tmp_path):
    bare = write_wav(tmp_path / "no tags.wav", excerpt(0, 20, 1.0))
    assert metadata.read(bare) == metadata.Tags("no tags", "", "", "", "")
    odd = ID3(write(tmp_path / "odd.mp3", excerpt(0, 20, 2.0), 16_000, "libmp3lame"))
    odd.add(TIT2(text=["line\none\0two", "  "]))
    odd.add(TXXX(desc="LICENSE", text="x" * 10_000))
    odd.save()
    read = metadata.read(tmp_path / "odd.mp3")
    assert read.title.startswith("line one")
    assert "\n" not in read.title
    assert read.licence == "x" * 500
    damaged = tmp_path / "damaged.flac"
    damaged.write_bytes(b"fLaC\x04\x00\xff\xff\xff" + b"\xff" * 50)
    assert metadata.read(damaged).title == "damaged"
