"""A library in PostgreSQL alone: the answers of a folder, and changes that are whole."""

import threading

import numpy as np
import pytest

from grafprint import audio
from grafprint.audio.landmarks import EMPTY, contrast
from grafprint.errors import LibraryError
from grafprint.library import Library
from grafprint.matching import identify, identify_many
from grafprint.remote.address import Address
from grafprint.remote.opening import create_library, open_library
from grafprint.scan import Timeline
from tests.conftest import EXAMPLES
from tests.libraries import fill, unit, walk, write_music
from tests.paths import ASSETS
from tests.remote.conftest import ROWS, assert_same_answer, given


@pytest.fixture(scope="module")
def pair(postgres):
    """The bundled library, and a copy of it on the server."""
    from grafprint.remote.copying import copy_library

    address = Address(postgres.new_database("bundled"))
    copy_library(ASSETS / "library", address)
    with Library.open(ASSETS / "library") as folder, open_library(address) as remote:
        yield folder, remote


def clips(library, fingerprinter):
    """Clips inside tracks, at both ends, with silence, degraded, absent, of several lengths."""
    rng = np.random.default_rng(0)
    vectors = [library.vectors(np.arange(t.first, t.first + t.count)) for t in library.tracks()]
    noisy = unit(vectors[3][50:95] + 0.06 * rng.standard_normal((45, fingerprinter.dim)))
    gap = vectors[2][10:30].copy()
    gap[3:9] = 0
    ends = [
        np.concatenate([noisy[:4], vectors[1][:12]]),
        np.concatenate([vectors[1][-12:], noisy[:4]]),
    ]
    drawn = [
        unit(v[at : at + n] + 0.08 * rng.standard_normal((n, fingerprinter.dim)))
        for v, at, n in ((v, int(rng.integers(0, 500)), int(rng.integers(5, 60))) for v in vectors)
    ]
    return [vectors[0][100:111], *ends, gap, noisy, walk(rng, 40), *drawn]


# The same answers ----------------------------------------------------------------------------


def test_clips_get_the_answers_of_the_folder(pair, fingerprinter):
    folder, remote = pair
    queries = clips(folder, fingerprinter)
    of_folder, of_server = (identify_many(library, queries, top_k=8) for library in pair)
    assert sum(answer.identified for answer in of_folder if answer) > 30
    for one, other in zip(of_folder, of_server, strict=True):
        assert_same_answer(one, other)
    for query in queries[:3]:
        assert_same_answer(identify(folder, query), identify(remote, query))
    assert identify_many(remote, [np.zeros((5, fingerprinter.dim))]) == [None]


def test_landmarks_decide_as_they_do_in_the_folder(pair, fingerprinter):
    sound = [audio.load(EXAMPLES / f"{name}.opus") for name in ("cafe", "unknown")]
    prints = [fingerprinter(samples) for samples in sound]
    spectra = [contrast(samples) for samples in sound]
    of_folder, of_server = (identify_many(library, prints, spectra=spectra) for library in pair)
    for one, other in zip(of_folder, of_server, strict=True):
        assert one is not None and one.matches[0].landmarks
        assert_same_answer(one, other)


def test_a_recording_is_scanned_as_with_the_folder(pair, fingerprinter):
    folder = pair[0]
    tracks = folder.tracks()
    parts = [
        folder.vectors(np.arange(tracks[n].first + 100, tracks[n].first + 260)) for n in (2, 7)
    ]
    show = np.concatenate([parts[0], np.zeros((40, fingerprinter.dim), np.float32), parts[1]])
    found = []
    for library in pair:
        timeline = Timeline(library)
        plays = timeline.push(show[:150])
        timeline = Timeline.resumed(library, timeline.state())
        found.append([*plays, *timeline.push(show[150:]), *timeline.finish()])
    assert [play.track.title for play in found[1]] == [tracks[n].title for n in (2, 7)]
    for ours, theirs in zip(*found, strict=True):
        for name in ("start_s", "end_s", "track_start_s", "track_end_s", "speed", "score"):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-3)


def test_all_that_matching_asks_for_is_the_same(pair):
    """Rows differ in number, not in what they hold; also far apart, and across parts."""
    folder, remote = pair
    assert len(folder) == len(remote) and remote.exact and remote.has_landmarks
    rng = np.random.default_rng(3)
    for one, other in zip(folder.tracks(), remote.tracks(), strict=True):
        assert one.content_hash == other.content_hash and one.count == other.count
        places = rng.integers(0, one.count, (3, 4))
        np.testing.assert_array_equal(
            folder.vectors(one.first + places), remote.vectors(other.first + places)
        )
        np.testing.assert_array_equal(
            folder.landmarks(one.first + 5, one.first + 60),
            remote.landmarks(other.first + 5, other.first + 60),
        )
    outside = np.array([-1, 0, other.first + other.count, (other.first << 4)])
    assert [part.tolist() for part in remote.spans(outside)] == [[-1] * 4, [-1] * 4, [0] * 4]
    assert remote.track_of(np.array([[other.first]])).tolist() == [[other.id]]


# Adding --------------------------------------------------------------------------------------


def test_a_long_track_is_stored_in_parts_and_read_across_their_ends(remote):
    long = walk(np.random.default_rng(1), 9000)
    (track,) = fill(remote, [long])
    assert len(remote) == track.count == 9000
    np.testing.assert_array_equal(remote.vectors(np.arange(track.first, track.first + 9000)), long)
    for at in (0, 4080, 8180, 8970):
        best = identify(remote, long[at : at + 30]).matches[0]
        assert best.start_s == pytest.approx(at * remote.hop_s, abs=1e-3)
    assert remote.damaged() == []


def test_landmarks_that_another_program_finds_are_seen(address, remote):
    (track,) = fill(remote, given(1))
    end = track.first + track.count
    with open_library(address) as reader:
        assert (reader.landmarks(track.first, end) == EMPTY).all()
        found = np.arange(8 * track.count, dtype=np.uint16).reshape(-1, 8)
        remote.put_landmarks(track, found)
        np.testing.assert_array_equal(reader.landmarks(track.first, end), found)


def test_row_numbers_may_be_large(remote):
    """After billions of tracks, and with tracks so long that products of both would overflow."""
    remote.database.rows("SELECT setval('grafprint.runs', %s)", (2**40,))
    long = [walk(np.random.default_rng(seed), 5000) for seed in (1, 2)]
    stored = fill(remote, long)
    assert stored[0].first > 2**59
    for track, vectors in zip(stored, long, strict=True):
        best = identify(remote, vectors[4500:4530]).matches[0]
        assert best.track == track
        assert best.start_s == pytest.approx(4500 * remote.hop_s, abs=1e-3)


def test_a_track_that_is_too_long_is_refused(remote):
    from grafprint.remote.schema import LONGEST

    rows = np.zeros((LONGEST // 2, 128), np.float16)
    remote.vector_store.append(rows)
    with pytest.raises(LibraryError, match="cut it in two"):
        remote.vector_store.append(rows)
    remote.rollback_rows()


def test_files_are_added_updated_removed_and_added_again(address, fingerprinter, tmp_path):
    one, two, three = write_music(tmp_path / "music", 3)
    with create_library(address, fingerprinter) as library:
        report = library.add_folder(tmp_path / "music", fingerprinter)
        assert len(report.added) == 3
        again = library.add_folder(tmp_path / "music", fingerprinter)
        assert len(again.unchanged) == 3
        first = library.tracks()[0]
        copy = tmp_path / "music" / "copy.wav"
        copy.write_bytes(two.read_bytes())
        assert library.add(copy, fingerprinter).status == "duplicate"
        one.write_bytes(write_music(tmp_path / "more", 4)[3].read_bytes())
        updated = library.add(one, fingerprinter)
        assert updated.status == "updated" and updated.track.id == first.id
        assert updated.track.first != first.first and len(library.tracks()) == 3
        assert (library.track_of(np.array([first.first])) == -1).all()

        removed = library.remove(updated.track.id, keep_out=True)
        assert removed.id == first.id and len(library.tracks()) == 2
        with pytest.raises(LibraryError, match="has no track number"):
            library.remove(removed.id)
        assert library.add_folder(tmp_path / "music", fingerprinter).kept_out == [str(one)]
        assert library.add(one, fingerprinter).status == "added"
        assert library.catalogue.kept_out == {}

        two.unlink()
        three.unlink()
        report = library.add_folder(tmp_path / "music", fingerprinter, prune=True)
        assert sorted(report.removed) == sorted([str(two), str(three)])
        assert [track.path for track in library.tracks()] == [str(copy), str(one)]
        assert library.audio_path(library.tracks()[0]) == copy
        assert library.tracks("track 0 NOTHING") == []
        assert [track.path for track in library.tracks("TRACK 0")] == [str(one)]
        counts = [track.count for track in library.tracks()]
        assert len(library) == sum(counts)


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, LibraryError])
def test_rows_of_a_track_that_fails_are_not_the_next_ones(remote, failure, monkeypatch):
    from grafprint.remote import changes
    from tests.remote.writing import assert_no_leftovers

    def fail(*_, **__):
        raise failure("no")

    tracks = given(2)
    with monkeypatch.context() as broken, pytest.raises(failure):
        broken.setattr(changes, "put", fail)
        fill(remote, tracks[:1])
    (track,) = fill(remote, tracks[1:], 1)
    assert track.count == len(remote) == ROWS
    rows = np.arange(track.first, track.first + ROWS)
    np.testing.assert_array_equal(remote.vectors(rows), tracks[1])
    assert remote.damaged() == []
    assert_no_leftovers(remote)


def test_most_tracks_are_pruned_only_by_force(address, fingerprinter, tmp_path):
    files = write_music(tmp_path / "music", 3)
    with create_library(address, fingerprinter) as library:
        library.add_folder(tmp_path / "music", fingerprinter)
        for file in files[:2]:
            file.unlink()
        with pytest.raises(LibraryError, match="--force"):
            library.add_folder(tmp_path / "music", fingerprinter, prune=True)
        library.add_folder(tmp_path / "music", fingerprinter, prune=True, force=True)
        assert len(library.tracks()) == 1


def test_files_missing_from_a_linked_folder_are_found(address, fingerprinter, tmp_path):
    files = write_music(tmp_path / "music", 3)
    (tmp_path / "link").symlink_to(tmp_path / "music")
    with create_library(address, fingerprinter) as library:
        library.add_folder(tmp_path / "link", fingerprinter)
        files[0].unlink()
        report = library.add_folder(tmp_path / "link", fingerprinter, prune=True)
        assert report.removed == [str(files[0])] and len(library.tracks()) == 2


def test_a_reader_cannot_write(address, remote):
    with open_library(address) as reader, pytest.raises(LibraryError, match="not open for writing"):
        reader.remove(1)


# At the same time ----------------------------------------------------------------------------


def test_readers_see_each_change_once_the_call_has_returned(address, remote):
    """A removed track is found no more, an added one is found; the reader stays open."""
    tracks = given(6)
    with open_library(address) as reader:
        stored = fill(remote, tracks[:4])
        for number, track in enumerate(stored):
            assert identify(reader, tracks[number][5:30]).matches[0].track == track
        remote.remove(stored[2].id)
        found = identify(reader, tracks[2][5:30])
        assert stored[2].id not in [match.track.id for match in found.matches]
        rows = np.unique(reader.search(tracks[2], 20)[1])
        assert stored[2].id not in reader.track_of(rows)
        (more,) = fill(remote, [tracks[5]], 5)
        assert identify(reader, tracks[5][5:30]).matches[0].track == more
        assert [t.title for t in reader.tracks()] == ["track 0", "track 1", "track 3", "track 5"]


def test_a_search_that_has_begun_sees_the_library_as_it_was(address, remote):
    tracks = given(2)
    stored = fill(remote, tracks)
    with open_library(address) as reader, reader.locked():
        rows = reader.search(tracks[0], 5)[1]
        remote.remove(stored[0].id)
        assert reader.track_of(rows[:, 0]).tolist() == [stored[0].id] * ROWS
        assert reader.track(stored[0].id) == stored[0]
        np.testing.assert_array_equal(reader.vectors(rows[:, 0]), tracks[0])
    with open_library(address) as reader, pytest.raises(LibraryError):
        reader.track(stored[0].id)


def test_several_writers_add_at_the_same_time(address, remote):
    """Different tracks are all there; the same content is stored once, with both files."""
    tracks = given(24)
    failures = []

    def write(writer):
        try:
            with open_library(address, writable=True) as library:
                for number in range(writer, 24, 3):
                    fill(library, [tracks[number]], number)
                fill(library, [tracks[0]], 0)  # the one that all of them have
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    found = {track.title: track for track in remote.tracks()}
    assert set(found) == {f"track {n}" for n in range(24)} and len(remote.tracks()) == 24
    assert len(remote) == 24 * ROWS
    for number, vectors in enumerate(tracks):
        assert identify(remote, vectors[5:30]).matches[0].track == found[f"track {number}"]


def test_threads_may_share_a_library(remote):
    tracks = given(8)
    stored = fill(remote, tracks)
    found = {}

    def ask(number):
        found[number] = [identify(remote, tracks[number][i : i + 12]).best for i in range(0, 25, 5)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, matches in found.items():
        assert [match and match.track for match in matches] == [stored[number]] * 5


def test_damage_is_found(address, remote, postgres):
    import psycopg

    stored = fill(remote, given(3))
    assert remote.damaged() == []
    with psycopg.connect(address.url) as server:
        server.execute(
            "UPDATE grafprint.parts SET fingerprints = set_byte(fingerprints, 700, 3)"
            " WHERE id = %s", (stored[1].first >> 12,)
        )  # fmt: skip
    assert remote.damaged() == [stored[1]]
    with psycopg.connect(address.url) as server:
        server.execute("DELETE FROM grafprint.parts WHERE id = %s", (stored[0].first >> 12,))
    assert remote.damaged() == stored[:2]
    with pytest.raises(LibraryError, match="fingerprints are missing"):
        remote.vectors(np.arange(stored[0].first, stored[0].first + 5))


def test_a_library_too_large_to_search_without_a_server_says_what_to_do(remote, monkeypatch):
    from grafprint.remote import exact

    monkeypatch.setattr(exact, "MOST", 3 * ROWS)
    tracks = given(4)
    fill(remote, tracks[:3])
    identify(remote, tracks[0][:10])
    fill(remote, tracks[3:], 3)
    with pytest.raises(LibraryError, match="reindex --milvus"):
        identify(remote, tracks[0][:10])


@pytest.mark.parametrize("fails", ["read", "add"])
def test_a_first_search_that_fails_leaves_nothing_twice(address, remote, fails, monkeypatch):
    from grafprint.library.index.row_index import RowIndex

    tracks = given(3)
    stored = fill(remote, tracks)
    where, name = {"read": (type(remote), "parts_of"), "add": (RowIndex, "add")}[fails]
    method, calls = getattr(where, name), []

    def interrupted(self, *arguments):
        calls.append(1)
        if fails == "read" and len(calls) == 2:
            raise LibraryError("the connection was lost")
        found = method(self, *arguments)
        if fails == "add" and len(calls) == 2:
            raise KeyboardInterrupt
        return found

    with open_library(address) as reader:
        with monkeypatch.context() as broken:
            broken.setattr(where, name, interrupted)
            with pytest.raises((LibraryError, KeyboardInterrupt)):
                identify(reader, tracks[0][5:30])
        for number, track in enumerate(stored):
            rows = reader.search(tracks[number][5:30], 2)[1]
            assert rows[:, 0].tolist() == (track.first + np.arange(5, 30)).tolist()
            assert (rows[:, 0] != rows[:, 1]).all()
