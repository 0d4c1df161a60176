"""What a song samples: found or not, where, with and without a re-ranker; and what is refused."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from grafprint import audio
from grafprint.errors import AudioError, CheckpointError, LibraryError, MatchError
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.matching.samples import NodeCache, find_samples
from grafprint.matching.samples.finder import LEAST_EVIDENCE
from grafprint.matching.samples.nodes import nodes_of
from grafprint.models.rerankers import Reranker, load_reranker
from grafprint.models.rerankers.scoring import LEAST
from tests.libraries import excerpt, write_wav
from tests.sample_networks import LENGTH_S, sampling_song, song

NUMBER, START_S, AT_S, LASTS_S = 3, 6.0, 5.0, 8.0


@pytest.fixture(scope="module")
def folder(sampling_folder: Path) -> Path:
    return sampling_folder


@pytest.fixture(scope="module")
def network(folder: Path) -> Fingerprinter:
    return Fingerprinter.load(folder / "encoder.safetensors", precision="fp32")


@pytest.fixture(scope="module")
def reranker(folder: Path) -> Reranker:
    return load_reranker(folder / "reranker.safetensors")


@pytest.fixture(scope="module")
def library(folder: Path) -> Iterator[Library]:
    with Library.open(folder / "library") as opened:
        yield opened


@pytest.fixture(scope="module")
def new_song() -> np.ndarray:
    """New music, with 8 s of a song of the library in it."""
    return sampling_song(NUMBER, START_S, AT_S, LASTS_S)


def name(number: int) -> str:
    return f"song {number}"


@pytest.mark.parametrize("judged", [False, True])
def test_a_sample_is_found_where_it_is(judged, library, network, reranker, new_song):
    found = find_samples(library, network, new_song, reranker=reranker if judged else None)
    best = next(t for t in found.tracks if t.track.title == name(NUMBER))
    assert best.found and not best.same_recording and found.reranked == judged
    assert found.duration_s == 20
    assert (best.probability is None) == (not judged)
    region = best.best
    # Windows that hold half of the sample match, too, so a region may be longer by half a window.
    assert AT_S - 3 < region.start_s < AT_S + 2 < AT_S + 6 < region.end_s < AT_S + LASTS_S + 3
    shift_s = region.track_start_s - region.start_s
    assert shift_s == pytest.approx(START_S - AT_S, abs=1.2)
    if not judged:
        assert found.tracks[0] is best
        assert all(r.probability is None for t in found.tracks for r in t.regions)
    for track in found.tracks:
        for before, after in zip(track.regions, track.regions[1:], strict=False):
            assert before.end_s <= after.start_s


def test_a_rank_is_by_score_and_a_threshold_decides(library, network, new_song):
    found = find_samples(library, network, new_song)
    scores = [t.score for t in found.tracks]
    assert scores == sorted(scores, reverse=True)
    between = (scores[0] + scores[1]) / 2
    only = find_samples(library, network, new_song, least=between)
    assert [t.track.title for t in only.found] == [name(NUMBER)] and only.threshold == between
    nothing = find_samples(library, network, new_song, least=scores[0] + 1)
    assert nothing.found == () and len(nothing.tracks) == len(found.tracks)
    assert len(find_samples(library, network, new_song, top_k=2).tracks) == 2


def test_the_score_is_the_verdict_times_the_evidence(library, network, reranker, new_song):
    alone = {t.track.id: t for t in find_samples(library, network, new_song).tracks}
    assert all(t.score == t.evidence > 0 for t in alone.values())
    judged = find_samples(library, network, new_song, reranker=reranker).tracks
    assert any(t.score > 0 for t in judged)
    for track in judged:
        believed = track.score * LEAST_EVIDENCE / track.evidence
        assert track.evidence == alone[track.track.id].evidence and track.probability is not None
        if track.probability < LEAST:
            assert believed == 0
        else:
            assert track.probability <= believed + 1e-6 and believed < 49  # of 48 pairs at most


def test_the_facts_of_a_network_have_the_threshold(library, network, reranker, new_song):
    strict = Reranker(reranker.network, reranker.model_id, {"least_score": 1e6})
    assert find_samples(library, network, new_song, reranker=strict).found == ()


def test_the_threshold_grows_with_the_logarithm_of_what_sounds(library, network, reranker):
    facts = {"least_score": 8.0, "least_score_s": LENGTH_S}
    strict = Reranker(reranker.network, reranker.model_id, facts)
    once, twice = song(5), np.concatenate([song(5), song(6)])
    quiet = np.concatenate([once, np.zeros(30 * audio.SAMPLE_RATE, np.float32)])
    thresholds = [
        find_samples(library, network, sound, reranker=strict).threshold
        for sound in (once, quiet, twice)
    ]
    assert thresholds[0] == pytest.approx(8.0, rel=0.01)
    assert thresholds[1] == pytest.approx(thresholds[0], rel=0.06)  # silence adds little
    assert thresholds[0] < thresholds[2] < 1.5 * thresholds[0]


def test_files_streams_and_arrays_give_the_same(tmp_path, library, network, reranker, new_song):
    cache = NodeCache()
    options = {"reranker": reranker, "cache": cache}
    whole = find_samples(library, network, new_song, **options).to_json()
    pieces = np.split(new_song, range(7777, len(new_song), 7777))
    assert find_samples(library, network, iter(pieces), **options).to_json() == whole
    file = write_wav(tmp_path / "new.wav", new_song)
    told: list[tuple[str, float]] = []
    of_file = find_samples(
        library, network, file, progress=lambda what, done: told.append((what, done)), **options
    )
    assert of_file.to_json() == whole
    assert told[-1] == ("compare", 1.0) and told[0][0] == "listen"
    part = find_samples(library, network, file, start_s=4.096, duration_s=12.0)
    best = next(t for t in part.tracks if t.track.title == name(NUMBER))
    assert part.duration_s == 12 and best.best.start_s >= 4.096
    assert best.best.track_start_s - best.best.start_s == pytest.approx(START_S - AT_S, abs=1.2)


def test_the_song_itself_is_told_apart_and_can_be_left_out(library, network, reranker):
    # From a segment's beginning on: this small network was not trained with shifts.
    itself = song(4)[4 * 8192 :]
    for judge in (None, reranker):
        found = find_samples(library, network, itself, reranker=judge)
        assert [t.track.title for t in found.same_recordings] == [name(4)]
        assert name(4) not in [t.track.title for t in found.found]
        assert found.to_json()["same_recordings"][0]["title"] == name(4)
        without = find_samples(library, network, itself, reranker=judge, same_recording=False)
        assert name(4) not in [t.track.title for t in without.tracks]


def test_a_few_seconds_of_a_recording_count_as_a_sample(library, network):
    found = find_samples(library, network, song(4)[4 * 8192 :][: 5 * audio.SAMPLE_RATE], least=0.1)
    assert found.found[0].track.title == name(4) and not found.same_recordings


def test_a_short_track_that_a_song_repeats_is_a_sample(tmp_path, network):
    loop, other = song(1)[4 * 8192 :][: 8 * 8192 + 8192], song(2)
    write_wav(tmp_path / "music/loop.wav", loop)
    write_wav(tmp_path / "music/other.wav", other)
    made = np.concatenate([loop, loop, song(5), song(6)])
    with Library.create(tmp_path / "library", network) as library:
        library.add_folder(tmp_path / "music", network)
        found = find_samples(library, network, made, least=0.1)
    assert "loop" in [t.track.title for t in found.found] and not found.same_recordings


def test_the_song_itself_takes_no_candidates_place(library, network):
    itself = song(4)[4 * 8192 :]
    found = find_samples(library, network, itself, top_k=1, same_recording=False)
    assert len(found.tracks) == 1 and found.tracks[0].track.title != name(4)


def test_if_no_audio_can_be_had_nothing_is_claimed(tmp_path, folder, network, reranker, new_song):
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    shutil.rmtree(moved / "music")
    with Library.open(moved / "library") as library:
        with pytest.raises(MatchError, match=r"none of the .* can be compared; .* is gone"):
            find_samples(library, network, new_song, reranker=reranker)
        assert find_samples(library, network, new_song).tracks


def test_a_track_whose_audio_is_gone_is_left_out_with_a_message(
    tmp_path, folder, network, reranker, new_song
):
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    (moved / "music" / f"{name(NUMBER)}.wav").unlink()
    write_wav(moved / "music" / f"{name(0)}.wav", excerpt(27, 30, LENGTH_S))
    with Library.open(moved / "library") as library:
        found = find_samples(library, network, new_song, reranker=reranker)
        reasons = {u.track.title: u.reason for u in found.unchecked}
        assert "is gone: put it back" in reasons[name(NUMBER)]
        assert "no longer what was indexed" in reasons[name(0)]
        assert not {name(NUMBER), name(0)} & {t.track.title for t in found.tracks}
        assert found.to_json()["unchecked"]
        alone = find_samples(library, network, new_song)
        assert alone.tracks[0].track.title == name(NUMBER) and not alone.unchecked


def test_the_cache_has_a_bound_and_changes_nothing(library, network, reranker, new_song):
    small, large = NodeCache(200_000), NodeCache()
    answers = [
        find_samples(library, network, new_song, reranker=reranker, cache=cache).to_json()
        for cache in (small, large, large)
    ]
    assert answers[0] == answers[1] == answers[2]
    assert small.bytes <= 200_000 and len(small) < len(large)
    # Nothing else is kept in memory, as the array would be that a part was cut from.
    assert all(nodes.base is None for nodes in large._held.values())
    held = large.bytes
    find_samples(library, network, new_song, reranker=reranker, cache=large)
    assert large.bytes == held


def test_the_least_recently_used_nodes_make_room():
    cache, nodes = NodeCache(1000), np.zeros(100, np.float32)
    for key in "ab":
        cache.put(key, nodes)
    assert cache.get("a") is not None
    cache.put("c", nodes)
    assert cache.get("b") is None and cache.get("a") is not None and cache.bytes == 800
    cache.put("a", nodes)
    assert cache.bytes == 800


def test_what_cannot_be_searched_is_refused(tmp_path, library, network, reranker, fingerprinter):
    with pytest.raises(AudioError, match=r"lasts 3\.00 s; at least 4\.08 s is needed"):
        find_samples(library, network, song(0)[: 3 * audio.SAMPLE_RATE])
    with pytest.raises(AudioError, match=r"at least 4\.08 s"):
        find_samples(library, network, np.empty(0, np.float32))
    with pytest.raises(MatchError, match="silent throughout"):
        find_samples(library, network, np.zeros(10 * audio.SAMPLE_RATE, np.float32))
    with pytest.raises(ValueError, match="cut the samples instead"):
        find_samples(library, network, song(0), start_s=1.0)
    with pytest.raises(ValueError, match="mono"):
        find_samples(library, network, np.zeros((99_999, 2), np.float32))
    with pytest.raises(AudioError, match="nowhere"):
        find_samples(library, network, tmp_path / "nowhere.wav")
    with pytest.raises(CheckpointError, match="a network for that"):
        find_samples(library, fingerprinter, song(0))
    other = Fingerprinter.untrained(encoder="samples")
    with pytest.raises(LibraryError):
        find_samples(library, other, song(0))
    with pytest.raises(CheckpointError, match="trained with another encoder"):
        foreign = Reranker(reranker.network, "another", {})
        find_samples(library, network, song(0), reranker=foreign)
    empty = Library.create(tmp_path / "empty", network)
    with empty, pytest.raises(MatchError, match="is empty"):
        find_samples(empty, network, song(0))


def test_silence_in_a_song_and_a_song_of_one_segment_do_no_harm(library, network, reranker):
    quiet = np.concatenate([np.zeros(160_000, np.float32), song(2)[: 6 * audio.SAMPLE_RATE]])
    found = find_samples(library, network, quiet, reranker=reranker)
    assert all(r.start_s > 5 for t in found.tracks for r in t.regions)
    one = find_samples(library, network, song(2)[: network.features.window_samples])
    assert one.tracks[0].track.title == name(2)


def test_an_approximate_index_gives_the_same_best_track(tmp_path, folder, network, new_song):
    library = Library.create(tmp_path / "lists", network, factory="IVF4,SQ8")
    with library:
        library.add_folder(folder / "music", network)
        assert not library.exact
        found = find_samples(library, network, new_song)
        assert found.tracks[0].track.title == name(NUMBER)
        # Similarities are those of the fingerprints, not of what the index made of them.
        with Library.open(folder / "library") as plain:
            exact = find_samples(plain, network, new_song)
        assert found.tracks[0].best.similarity == pytest.approx(
            exact.tracks[0].best.similarity, abs=1e-3
        )


def test_nodes_are_those_of_the_fingerprints(network):
    samples = song(1)[: 8 * audio.SAMPLE_RATE]
    chosen = np.array([0, 3, 7])
    nodes = nodes_of(network, [samples], chosen)
    assert nodes.dtype == np.float16 and nodes.shape[0] == 3
    again = nodes_of(network, np.split(samples, [1000, 99_000]), chosen)
    np.testing.assert_allclose(again, nodes, atol=2e-2)
    made = network.encoder.fingerprints_of(torch.from_numpy(nodes).float())
    np.testing.assert_allclose(made.detach().numpy(), network(samples)[chosen], atol=2e-2)
    assert len(nodes_of(network, [samples], np.array([2, 99]))) == 1
