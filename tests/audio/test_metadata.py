"""Reading titles, artists and licences from files of every format."""

import mutagen
import numpy as np
import pytest
from mutagen.id3 import ID3, TDOR, TDRC, TIT2, TSRC, TXXX, UFID, WCOP, WOAF

from grafprint.audio import metadata
from tests.audio_files import music, write
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
    assert metadata.read(bare) == metadata.Tags("no tags", "", "", "", "", title_from_name=True)
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


TEXTS = {"title": "Das Lied", "artist": "Die Band", "album": "Platte", "date": "1998-05-01"}


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.wav", "pcm_s16le"), ("a.mka", "libopus"), ("a.mkv", "libopus"), ("a.webm", "libopus"),
     ("a.mov", "aac"), ("a.au", "pcm_s16be"), ("a.caf", "pcm_s16be"), ("a.flv", "libmp3lame"),
     ("a.flac", "flac"), ("a.m4a", "aac"), ("a.nut", "libopus")],
)  # fmt: skip
def test_tags_that_ffmpeg_wrote_are_read_in_every_format(tmp_path, name, codec):
    rate = 44_100 if codec == "libmp3lame" else 48_000
    path = write(tmp_path / name, music(1, rate), rate, codec, metadata=TEXTS)
    read = metadata.read(path)
    assert (read.title, read.artist, read.album) == ("Das Lied", "Die Band", "Platte")
    assert not read.title_from_name


def test_identifiers_and_year_are_kept(tmp_path):
    ids = {"recording": "1" * 36, "release": "2" * 36, "artist": "3" * 36}
    flac = write(tmp_path / "a.flac", music(1, 48_000), 48_000, "flac")
    file = mutagen.File(flac)
    file.update({
        "date": "2004-03-02", "originaldate": "1971", "isrc": "gb-aye-71-00123",
        "musicbrainz_trackid": ids["recording"], "musicbrainz_albumid": ids["release"],
        "musicbrainz_artistid": ids["artist"],
    })  # fmt: skip
    file.save()
    mp3 = ID3(write(tmp_path / "a.mp3", music(1, 48_000), 48_000, "libmp3lame"))
    mp3.add(TDRC(text="2004"))
    mp3.add(TDOR(text="1971-02"))
    mp3.add(TSRC(text="GBAYE7100123"))
    mp3.add(UFID(owner="http://musicbrainz.org", data=ids["recording"].encode()))
    mp3.add(TXXX(desc="MusicBrainz Album Id", text=ids["release"]))
    mp3.add(TXXX(desc="MusicBrainz Artist Id", text=ids["artist"]))
    mp3.save()
    m4a = mutagen.File(write(tmp_path / "a.m4a", music(1, 48_000), 48_000, "aac"))
    m4a["©day"] = "1971"
    for field, name in (("recording", "Track"), ("release", "Album"), ("artist", "Artist")):
        m4a[f"----:com.apple.iTunes:MusicBrainz {name} Id"] = ids[field].encode()
    m4a["----:com.apple.iTunes:ISRC"] = b"GBAYE7100123"
    m4a.save()
    for name in ("a.flac", "a.mp3", "a.m4a"):
        read = metadata.read(tmp_path / name)
        assert (read.year, read.isrc) == ("1971", "GBAYE7100123"), name
        assert read.musicbrainz_recording == ids["recording"]
        assert read.musicbrainz_release == ids["release"]
        assert read.musicbrainz_artist == ids["artist"]


def test_doubled_values_count_once(tmp_path):
    flac = write(tmp_path / "a.flac", music(1, 48_000), 48_000, "flac")
    file = mutagen.File(flac)
    file.update({"artist": ["Band", "Band", "Other"], "album": "Platte; Platte", "title": ["A"]})
    file.save()
    read = metadata.read(flac)
    assert (read.artist, read.album, read.title) == ("Band; Other", "Platte", "A")


@pytest.mark.parametrize(
    ("place", "artist", "album"),
    [("Band/Platte", "Band", "Platte"), ("Band/Platte/CD 2", "Band", "Platte"),
     ("Band", "", ""), ("", "", ""), ("a/b/c", "", "")],
)  # fmt: skip
def test_folders_name_artist_and_album_of_files_without_tags(tmp_path, place, artist, album):
    path = write_wav(tmp_path / place / "01.wav", excerpt(0, 20, 1.0))
    read = metadata.read(path, tmp_path)
    assert (read.title, read.artist, read.album) == ("01", artist, album)
    assert metadata.read(path).artist == ""
    tagged = write(tmp_path / place / "b.flac", music(1, 48_000), 48_000, "flac",
                   metadata={"artist": "Other"})  # fmt: skip
    assert metadata.read(tagged, tmp_path).album == ""
