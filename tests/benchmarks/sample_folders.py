"""Folders for the bench of sample identification: a few seconds of real music."""

from pathlib import Path

import numpy as np

from assets.stems.songs import Song, write_song, write_table
from assets.stems.trackers import Row
from tests.libraries import excerpt, write_wav

ROW_S = 0.125  # a bar of 16 rows lasts 2 s
HELD_OUT = ("held", "kept")


def tracker_rows(duration_s: float) -> list[Row]:
    """Patterns of 32 rows."""
    return [Row(n * ROW_S, n // 32, n % 32) for n in range(round(duration_s / ROW_S))]


def write_folders(root: Path) -> Path:
    """Two packages of songs with three stems each, recordings, drums and speech."""
    for number in range(2):
        stems = [(f"channel {n}", excerpt(3 * number + n, 20, 24.0)) for n in range(3)]
        mix = np.sum([sound for _, sound in stems], axis=0)
        song = Song(f"song{number}.xm", f"modules{number}", "test", mix, stems,
                           tracker_rows(24.0))  # fmt: skip
        write_song(root / "stems", song)
    parts = [(f"channel {n}", excerpt(23 + n, 20, 12.0)) for n in range(2)]
    mix = np.sum([sound for _, sound in parts], axis=0)
    write_song(root / "stems", Song("held.mod", "kept", "valid", mix, parts, tracker_rows(12.0)))
    write_song(root / "stems", Song("old.mod", "others", "train", excerpt(6, 20, 3.0)))
    write_table(root / "stems")
    names = ["alpha__one", "alpha__two", "beta__one", "held__one", "held__two", "kept__one"]
    for number, name in enumerate(names):
        write_wav(root / "music" / f"{name}.wav", excerpt(8 + number, 20, 12.0))
    for number, name in enumerate(["rendered__modules0-song0", "gamma__one", "held__three"]):
        write_wav(root / "more" / f"{name}.wav", excerpt(14 + number, 20, 6.0))
    for number, name in enumerate(["bd_one", "snare", "hat closed", "loop_kick", "perc_snap"]):
        write_wav(root / "drums" / f"{name}.wav", excerpt(17 + number, 30, 0.2))
    write_wav(root / "speech" / "a.wav", excerpt(22, 20, 2.0))
    return root
