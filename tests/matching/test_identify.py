"""Sequence search against a triple loop; ends of tracks, silence, decisions, and real clips."""

import math

import numpy as np
import pytest

from grafprint import audio, matching
from grafprint.library import Library, LibraryError
from grafprint.matching import MatchError, alignment, identify, identify_audio, identify_file
from grafprint.matching.alignment import Candidates
from grafprint.matching.confidence import FINGERPRINTS
from tests.libraries import DIM, Network, excerpt, fill, unit, walk, write_music, write_wav

HOP_S = 0.096
RATE = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def recordings():
    """30 to 100 fingerprints each of eight synthetic recordings."""
    rng = np.random.default_rng(0)
    return [walk(rng, count) for count in (60, 40, 100, 30, 75, 50, 33, 90)]


@pytest.fixture(scope="module")
def library(tmp_path_factory, recordings):
    with Library.create(tmp_path_factory.mktemp("given") / "library", Network()) as library:
        fill(library, recordings)
        yield library


@pytest.fixture(scope="module")
def music(tmp_path_factory, fingerprinter):
    """A library of five real recordings of eight seconds."""
    folder = tmp_path_factory.mktemp("music")
    write_music(folder / "music", 5, 8.0)
    with Library.create(folder / "library", fingerprinter) as library:
        library.add_folder(folder / "music", fingerprinter)
        yield library


def noisy(vectors, rng, amount=0.05):
    return unit(vectors + amount * rng.standard_normal(vectors.shape))


def by_loops(library, queries, k):
    """Equations 7 and 8 literally: {track: (start, score)}.

    ``start`` counts from the track's first fingerprint. Where segments lie outside the track, the
    score is lower by the square root of the share inside.
    """
    tracks = library.tracks()
    stored = [library.vectors(np.arange(t.first, t.first + t.count)) for t in tracks]
    everything = np.concatenate(stored)
    owner = [(t, j) for t, vectors in enumerate(stored) for j in range(len(vectors))]
    non_silent = [i for i in range(len(queries)) if queries[i].any()]
    best: dict[int, tuple[int, float]] = {}
    for i in non_silent:
        products = everything @ queries[i]
        for neighbour in np.argsort(-products, kind="stable")[:k]:
            t, j = owner[neighbour]
            start = j - i
            terms = []
            for i2 in non_silent:
                if 0 <= start + i2 < len(stored[t]):
                    product = 0.0
                    for d in range(DIM):
                        product += float(stored[t][start + i2, d]) * float(queries[i2, d])
                    terms.append(product)
            if len(terms) >= min(math.ceil(len(non_silent) / 2), len(stored[t])):
                mean, share = sum(terms) / len(terms), len(terms) / len(non_silent)
                score = mean * math.sqrt(share)
                if tracks[t].id not in best or score > best[tracks[t].id][1]:
                    best[tracks[t].id] = (start, score)
    return best


def assert_as_by_loops(library, queries, k=5):
    answer = identify(library, queries, top_k=100, k=k)
    wanted = by_loops(library, queries, k)
    assert {m.track.id for m in answer.matches} == set(wanted)
    for match in answer.matches:
        start, score = wanted[match.track.id]
        assert match.score == pytest.approx(score, abs=1e-5)
        assert match.start_s == pytest.approx(start * HOP_S, abs=HOP_S / 2 + 1e-9)
        share = np.isfinite(match.segment_scores).sum() / queries.any(axis=1).sum()
        mean = np.nanmean(match.segment_scores)
        assert mean * math.sqrt(share) == pytest.approx(score, abs=1e-5)
    scores = [m.score for m in answer.matches]
    assert scores == sorted(scores, reverse=True)
    return answer


# Equations 7 and 8 ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_a_triple_loop(library, recordings, seed):
    rng = np.random.default_rng(seed)
    vectors = recordings[seed]
    begin = rng.integers(0, 20)
    queries = noisy(vectors[begin : begin + 10], rng)
    queries[rng.integers(0, 10)] = 0  # a silent segment
    answer = assert_as_by_loops(library, queries)
    assert answer.matches[0].track.id == seed + 1
    assert answer.matches[0].start_s == pytest.approx(begin * HOP_S, abs=HOP_S / 2)


def test_scores_of_random_vectors_equal_a_triple_loop(library):
    assert_as_by_loops(library, unit(np.random.default_rng(9).standard_normal((8, DIM))))


def test_scores_of_real_music_equal_a_triple_loop(music, fingerprinter):
    queries = fingerprinter(excerpt(2, 23.03, 1.5))
    answer = assert_as_by_loops(music, queries, k=8)
    assert answer.matches[0].track.title == "track 2"


@pytest.mark.parametrize(("segments", "every", "start"), [(31, 4, -3), (32, 8, -5)])
def test_many_candidates_are_pre_ranked_on_some_segments(
    library, recordings, monkeypatch, segments, every, start
):
    """Including a track of three rows, which meets none of these segments."""
    queries = noisy(recordings[2][10 : 10 + segments], np.random.default_rng(5), 0.1)
    positions = np.arange(segments)
    everything = alignment.propose(library, library.search(queries, 60)[1], positions)
    short = Candidates(
        np.append(everything.starts, start),
        np.append(everything.firsts, 0),
        np.append(everything.counts, 3),
    )
    terms = alignment.similarities(library, queries, positions, short)[:, every // 2 :: every]
    few = np.nan_to_num(np.where(np.isnan(terms).all(axis=1, keepdims=True), 9, terms), nan=0)
    met = np.maximum((~np.isnan(terms)).sum(axis=1), 1)
    coarse = few.sum(axis=1) / np.sqrt(met * terms.shape[1])
    monkeypatch.setattr(alignment, "SHORT", 9)
    kept, scores = alignment.score_candidates(library, queries, positions, short)
    assert len(everything.starts) > 50
    assert kept.starts.tolist() == short.starts[np.sort(np.argsort(-coarse)[:9])].tolist()
    assert kept.counts[-1] == 3
    terms = alignment.similarities(library, queries, positions, kept)
    inside = (~np.isnan(terms)).sum(axis=1)
    expected = np.nansum(terms, axis=1) / np.sqrt(inside * segments)
    np.testing.assert_allclose(scores, expected, atol=1e-6)
    all_of_them, _ = alignment.score_candidates(library, queries[:15], positions[:15], short)
    assert len(all_of_them.starts) > 50
    whole = by_loops(library, queries, 60)
    best = identify(library, queries, k=60).matches[0]
    assert best.score == pytest.approx(whole[best.track.id][1], abs=1e-5)
    assert best.score == pytest.approx(max(score for _, score in whole.values()), abs=1e-5)


@pytest.mark.parametrize("offset", [-0.4, -0.2, 0.0, 0.3])
def test_the_start_is_refined_between_fingerprints(library, recordings, offset):
    """A query ``offset`` hops off the grid: its vectors are interpolated between stored ones."""
    vectors, toward = recordings[0], 1 if offset > 0 else -1
    here, there = vectors[20:35], vectors[20 + toward : 35 + toward]
    queries = unit((1 - abs(offset)) * here + abs(offset) * there)
    match = identify(library, queries).matches[0]
    assert match.start_s / HOP_S == pytest.approx(20 + offset, abs=0.2)


# Ends of tracks -------------------------------------------------------------------------------


def test_no_match_crosses_from_one_track_to_the_next(library, recordings):
    """The query is the end of one track and the beginning of the next, as stored."""
    queries = np.concatenate([recordings[0][-5:], recordings[1][:10]])
    answer = assert_as_by_loops(library, queries)
    best = answer.matches[0]
    assert best.track.id == 2
    assert best.start_s == pytest.approx(-5 * HOP_S, abs=HOP_S / 2)
    assert np.isnan(best.segment_scores[:5]).all()
    assert best.score == pytest.approx(math.sqrt(10 / 15), abs=1e-3)
    # A third of the query is not enough to be a match of the first track.
    assert all(m.track.id != 1 or m.score < 0.6 for m in answer.matches)


@pytest.mark.parametrize(
    ("begin", "found_s"),
    [(0, 0.0), (50, 50 * HOP_S), (-4, -4 * HOP_S), (54, 54 * HOP_S)],
    ids=["first second", "last second", "from before the start", "past the end"],
)
def test_the_ends_of_a_track(library, recordings, begin, found_s):
    """A query of 10 segments against the first track, which has 60."""
    rng = np.random.default_rng(3)
    queries = unit(rng.standard_normal((10, DIM)))
    inside = slice(max(0, -begin), min(10, 60 - begin))
    queries[inside] = recordings[0][max(0, begin) : begin + 10]
    best = assert_as_by_loops(library, queries).matches[0]
    assert best.track.id == 1
    assert best.start_s == pytest.approx(found_s, abs=HOP_S / 2)
    outside = np.ones(10, bool)
    outside[inside] = False
    np.testing.assert_array_equal(np.isnan(best.segment_scores), outside)


def test_less_than_half_a_query_is_no_match(library, recordings):
    queries = unit(np.random.default_rng(4).standard_normal((10, DIM)))
    queries[8:] = recordings[0][:2]
    assert all(m.track.id != 1 or m.score < 0.6 for m in identify(library, queries).matches)


def test_a_short_track_is_found_inside_a_long_query(tmp_path, recordings):
    rng = np.random.default_rng(6)
    jingle = walk(rng, 5)
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, [recordings[0], jingle, recordings[1]])
        queries = unit(rng.standard_normal((40, DIM)))
        queries[20:25] = jingle
        best = identify(library, queries).matches[0]
        assert best.track.id == 2
        assert best.start_s == pytest.approx(-20 * HOP_S, abs=HOP_S / 2)
        assert np.isnan(best.segment_scores).sum() == 35


# Silence and invalid queries -------------------------------------------------------------------


def test_silent_segments_are_ignored(library, recordings):
    queries = recordings[3][5:15].copy()
    queries[[0, 1, 2, 6]] = 0
    best = assert_as_by_loops(library, queries).matches[0]
    assert best.track.id == 4
    assert best.score == pytest.approx(1, abs=1e-3)
    assert best.start_s == pytest.approx(5 * HOP_S, abs=HOP_S / 2)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(best.segment_scores)), [0, 1, 2, 6])


def test_invalid_queries_are_refused(library, tmp_path):
    with pytest.raises(MatchError, match="the clip is silent"):
        identify(library, np.zeros((5, DIM), np.float32))
    with pytest.raises(MatchError, match="silent"):
        identify(library, np.zeros((0, DIM), np.float32))
    for wrong in (np.ones((3, 64)), np.ones(DIM), np.full((2, DIM), np.nan)):
        with pytest.raises(ValueError, match="must be finite and"):
            identify(library, wrong)
    with (
        Library.create(tmp_path / "library", Network()) as empty,
        pytest.raises(MatchError, match="is empty: index some music"),
    ):
        identify(empty, np.ones((3, DIM), np.float32))


def test_a_library_without_similar_tracks_gives_no_matches(tmp_path):
    """If all neighbours are silent, there are no candidates."""
    vectors = np.zeros((20, DIM), np.float32)
    vectors[0, 0] = 1
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, [vectors])
        queries = np.zeros((10, DIM), np.float32)
        queries[:, 1] = 1
        queries[8, 0] = 1  # meets the only sound with one of ten segments inside the track
        answer = identify(library, queries, k=3)
        assert all(match.score < 0.5 for match in answer.matches)
        assert not answer.identified
    with Library.create(tmp_path / "silent library", Network()) as library:
        fill(library, [np.zeros((20, DIM), np.float32)])
        answer = identify(library, queries)
        assert (answer.matches, answer.best, answer.identified, answer.lead) == (
            [],
            None,
            False,
            None,
        )


# Decisions ------------------------------------------------------------------------------------


def test_the_confidence_threshold_decides(library, recordings):
    queries = noisy(recordings[4][10:30], np.random.default_rng(7), 0.13)
    best = identify(library, queries).matches[0]
    assert 0.01 < best.confidence < 0.99
    assert identify(library, queries, confidence=best.confidence - 1e-6).identified
    above = identify(library, queries, confidence=best.confidence + 1e-6)
    assert not above.identified
    assert above.matches[0].track.id == 5
    assert above.threshold > best.score
    assert above.threshold == pytest.approx(best.score, abs=1e-3)
    for impossible in (0.0, 1.0, -1.0, 95.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            identify(library, queries, confidence=impossible)


def test_the_default_confidence_threshold_is_the_calibrated_one(library, recordings):
    for noise in np.linspace(0.02, 0.3, 12):
        queries = noisy(recordings[4][10:12], np.random.default_rng(7), float(noise))
        answer = identify(library, queries)
        assert answer.identified == (answer.matches[0].confidence >= FINGERPRINTS.at(1.0).threshold)


def test_the_lead_is_over_the_next_track(library, recordings):
    queries = unit(recordings[5][10:20] + 0.8 * recordings[6][12:22])
    answer = identify(library, queries)
    assert [m.track.id for m in answer.matches[:2]] == [6, 7]
    assert answer.lead == pytest.approx(answer.matches[0].score - answer.matches[1].score)
    assert answer.best is answer.matches[0]
    only = identify(library, queries, top_k=1)
    assert len(only.matches) == 1
    assert only.lead == pytest.approx(answer.lead)
    assert only.matches[0].confidence == pytest.approx(answer.matches[0].confidence)
    confidences = [match.confidence for match in answer.matches]
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 < c < 1 for c in confidences)


def test_tracks_that_share_a_passage_are_alternatives(tmp_path):
    rng = np.random.default_rng(3)
    tracks = [walk(rng, 60) for _ in range(6)]
    shared = unit(tracks[2][10:40] + 0.03 * rng.standard_normal((30, DIM)))
    tracks[4] = np.concatenate([tracks[4][:20], shared, tracks[4][50:]])
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, tracks)
        answer = identify(library, noisy(tracks[2][15:35], rng), k=100)
        first, second, third = answer.matches[:3]
        assert [first.track.title, second.track.title] == ["track 2", "track 4"]
        assert not first.alternative and second.alternative and not third.alternative
        assert answer.alternatives == [second] and second.to_json()["alternative"]
        assert answer.lead == pytest.approx(first.score - third.score)
        assert answer.identified and second.confidence > 0.5 > third.confidence
        # Where their audio differs, they are not alternatives.
        elsewhere = identify(library, noisy(tracks[2][42:58], rng))
        assert elsewhere.alternatives == []
        assert elsewhere.matches[0].track.title == "track 2"


# Real clips -----------------------------------------------------------------------------------


def test_a_clip_is_found_where_it_was_cut(music, fingerprinter):
    """Off the grid of the reference: 2.345 s into the third file."""
    answer = identify_audio(
        music, fingerprinter, excerpt(2, 20, 8.0)[round(2.345 * RATE) :][: 3 * RATE]
    )
    assert answer.identified
    assert answer.matches[0].track.title == "track 2"
    assert answer.matches[0].start_s == pytest.approx(2.345, abs=0.05)
    assert answer.query_start_s == 0
    assert answer.query_duration_s == 3


def test_part_of_a_file(music, fingerprinter, tmp_path):
    path = write_wav(
        tmp_path / "two.wav", np.concatenate([excerpt(0, 22, 3.0), excerpt(3, 21, 3.0)])
    )
    first = identify_file(music, fingerprinter, path, duration_s=2.5)
    second = identify_file(music, fingerprinter, path, start_s=3.5)
    assert first.matches[0].track.title == "track 0"
    assert first.matches[0].start_s == pytest.approx(2, abs=0.05)
    assert (second.query_start_s, second.query_duration_s) == (3.5, 2.5)
    assert second.matches[0].track.title == "track 3"
    assert second.matches[0].start_s == pytest.approx(1.5, abs=0.05)


def test_the_loudest_part_of_a_long_file_is_used(music, fingerprinter, tmp_path):
    quiet = 0.05 * excerpt(0, 22, 5.0)
    path = write_wav(
        tmp_path / "long.wav", np.concatenate([quiet, quiet, excerpt(1, 21, 4.0), quiet])
    )
    answer = identify_file(music, fingerprinter, path, longest_s=4.0)
    assert (answer.query_start_s, answer.query_duration_s) == (10.0, 4.0)
    assert answer.matches[0].track.title == "track 1"
    assert answer.matches[0].start_s == pytest.approx(1.0, abs=0.05)
    samples = audio.load(path)
    same = identify_audio(music, fingerprinter, samples, longest_s=4.0)
    assert (same.query_start_s, same.matches[0].start_s) == (10.0, answer.matches[0].start_s)


def test_half_a_minute_of_an_hour_is_used():
    def hour():
        for second in range(3600):
            yield np.full(RATE, 1.0 if 2000 <= second < 2030 else 0.1, np.float32)

    clip, start_s = matching.loudest(hour(), matching.LONGEST_S)
    assert len(clip) == 30 * RATE
    assert start_s == 2000
    assert (clip == 1).all()


def test_a_clip_that_ends_between_seconds_is_used_whole():
    samples = np.arange(2.5 * RATE, dtype=np.float32)
    pieces = np.split(samples, [RATE, 2 * RATE])
    clip, start_s = matching.loudest(pieces, 30.0)
    assert start_s == 0
    np.testing.assert_array_equal(clip, samples)


@pytest.mark.parametrize("duration_s", [0.0, 0.3, 0.999])
def test_a_clip_under_a_second_is_refused(music, fingerprinter, duration_s):
    with pytest.raises(MatchError, match=rf"{duration_s:.2f} s long, and at least 1 s is needed"):
        identify_audio(music, fingerprinter, excerpt(0, 20, 1.0)[: round(duration_s * RATE)])


def test_silence_is_refused(music, fingerprinter, tmp_path):
    silence = np.zeros(2 * RATE, np.float32)
    with pytest.raises(MatchError, match="silent"):
        identify_audio(music, fingerprinter, silence)
    with pytest.raises(MatchError, match="silent"):
        identify_file(music, fingerprinter, write_wav(tmp_path / "silence.wav", silence))


def test_wrong_samples_and_networks_are_refused(music, library, fingerprinter):
    with pytest.raises(ValueError, match="mono audio"):
        identify_audio(music, fingerprinter, np.zeros((RATE, 2), np.float32))
    with pytest.raises(LibraryError, match="made with network given vectors"):
        identify_audio(library, fingerprinter, excerpt(0, 20, 1.0))


def test_segments_are_searched_for_together_in_single_precision(library, recordings, monkeypatch):
    """In double precision they would take twice the memory."""
    asked = []
    search = library.search

    def noted(queries, k):
        asked.append((queries.dtype, len(queries)))
        return search(queries, k)

    monkeypatch.setattr(library, "search", noted)
    matching.identify_many(library, [recordings[0][:5], recordings[1][3:6]])
    assert asked == [(np.float32, 8)]
