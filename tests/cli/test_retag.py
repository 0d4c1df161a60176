"""``grafprint retag``: a preview, then tags in files that had none."""

import mutagen
import numpy as np
import pytest
from typer.testing import CliRunner

from grafprint import audio
from grafprint.audio import AudioError, metadata, tag_writing
from grafprint.cli import app
from tests.audio_files import music, write
from tests.libraries import write_wav
from tests.paths import ASSETS

TEXTS = {
    "title": "Das Lied", "artist": "Die Band", "album": "Platte", "year": "1998",
    "isrc": "GBAYE7100123", "musicbrainz_recording": "1" * 36, "musicbrainz_release": "2" * 36,
    "musicbrainz_artist": "3" * 36,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.flac", "flac"), ("a.opus", "libopus"),
     ("a.ogg", "flac"), ("a.wav", "pcm_s16le"), ("a.aiff", "pcm_s16be")],
)  # fmt: skip
def test_tags_are_written_and_the_sound_stays(tmp_path, name, codec):
    path = write(tmp_path / name, music(2, 48_000), 48_000, codec)
    before = audio.load(path)
    tag_writing.write(path, TEXTS)
    read = metadata.read(path)
    assert {field: getattr(read, field) for field in TEXTS} == TEXTS
    np.testing.assert_array_equal(audio.load(path), before)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_formats_without_writable_tags_are_refused_and_kept(tmp_path):
    path = write(tmp_path / "a.mka", music(2, 48_000), 48_000, "libopus")
    before = path.read_bytes()
    with pytest.raises(AudioError, match=r"cannot be written .*convert it"):
        tag_writing.write(path, TEXTS)
    assert path.read_bytes() == before


def test_retag_shows_first_and_writes_only_when_told(tmp_path):
    samples = audio.load(ASSETS / "music" / "naev-ambiphonic.opus", start_s=20, duration_s=8)
    clip = write_wav(tmp_path / "rip 01.wav", samples)
    before = clip.read_bytes()
    preview = CliRunner().invoke(app, ["retag", str(clip)])
    assert preview.exit_code == 0, preview.output
    assert "Ambiphonic" in preview.output and "--yes" in preview.output
    assert clip.read_bytes() == before
    written = CliRunner().invoke(app, ["retag", str(clip), "--yes"])
    assert "written" in written.output
    assert metadata.read(clip).title == "Ambiphonic"
    assert mutagen.File(clip) is not None
    again = CliRunner().invoke(app, ["retag", str(clip), "--yes"])
    assert "has title and artist" in again.output.replace("\n", " ")
