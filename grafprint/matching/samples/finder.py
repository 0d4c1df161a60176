"""Find the samples in a song: search every segment, judge the candidates, merge regions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from grafprint import audio
from grafprint.errors import CheckpointError, MatchError
from grafprint.matching.samples.judging import Judged, judge
from grafprint.matching.samples.nodes import AudioCollection, NodeCache, TrackNodes
from grafprint.matching.samples.places import regions_of
from grafprint.matching.samples.regions import Pairs, find_lines
from grafprint.matching.samples.results import SampledTrack, SamplesFound, Unchecked
from grafprint.matching.samples.search import Candidate, find_candidates, listen
from grafprint.matching.samples.sources import Song

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter
    from grafprint.models.rerankers import Reranker

TOP_K = 20
# From which score a track counts as found, unless the networks' facts have a "least_score", found
# on a bench whose songs last "least_score_s". Of similarity alone: what a few consecutive segments
# give that are much more similar than others.
LEAST_EVIDENCE = 12.0
# Of a re-ranker, which multiplies: one segment that it believes in, with as much evidence.
LEAST_SCORE = 0.5


def find_samples(
    library: AudioCollection,
    fingerprinter: Fingerprinter,
    song: str | PathLike[str] | np.ndarray | Iterable[np.ndarray],
    *,
    reranker: Reranker | None = None,
    top_k: int = TOP_K,
    least: float | None = None,
    same_recording: bool = True,
    cache: NodeCache | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> SamplesFound:
    """Find the tracks that a song samples: ``top_k`` candidates, best first, found or not.

    Every segment of the song is searched for; tracks are candidates whose matches lie on lines
    (:mod:`~grafprint.matching.samples.regions`). A ``reranker`` then judges the matches from the
    nodes of both recordings: it needs the tracks' audio, and candidates whose audio is gone are
    left out and listed. Its verdict, the sum of Bhattacharjee et al. (ISMIR 2025), is multiplied by
    the search's evidence: together they rank better than either alone (docs/samples.md). Without a
    re-ranker, similarity alone decides.

    Memory grows by some 200 MB for each hour of the song, beside the cache.

    Args:
        library: a library made with ``fingerprinter``, whose encoder is ``samples``.
        song: a file, mono samples ``[n]`` at 16 kHz, or pieces ``[n]`` of these.
        least: the score from which a track counts as found; None: that of the networks.
        same_recording: without it, tracks that are the song itself are left out.
        cache: nodes of tracks, to be kept from one song to the next.
        start_s: where in a file to begin, and ``duration_s`` how much of it to use; only for files.
            Times in the answer are those of the file.
        progress: called with ``"listen"`` and the seconds heard so far, then with ``"compare"`` and
            the share of candidates judged.

    Raises:
        AudioError: the song cannot be read, or is shorter than a segment.
        MatchError: the song is silent, the library is empty, or the re-ranker can judge none of the
            candidates.
        LibraryError: another network made the library, or it is damaged.
        CheckpointError: this network is not for samples, or the re-ranker belongs to another one.
        ValueError: samples are not mono or not finite, or a part is asked for of what is no file.
    """
    check_networks(fingerprinter, reranker)
    library.check_query(fingerprinter)
    with Song(song, start_s, duration_s) as heard:
        fingerprints = listen(fingerprinter, heard, progress)
        candidates = find_candidates(library, fingerprints, top_k)
        if not same_recording:
            candidates = [c for c in candidates if not c.same_recording]
        judged: Judged = {}
        unchecked: list[Unchecked] = []
        if reranker is not None:
            network = reranker.network.to(fingerprinter.device).eval()
            if cache is None:  # an empty one is false
                cache = NodeCache()
            nodes = TrackNodes(library, fingerprinter, cache)
            others = [c for c in candidates if not c.same_recording]
            judged, unchecked = judge(network, fingerprinter, heard, others, nodes, progress)
    length_s = heard.samples / audio.SAMPLE_RATE
    if least is None:
        least = _least(fingerprinter, reranker, int(fingerprints.any(axis=1).sum()))
    gone = {u.track.id for u in unchecked}
    tracks = [
        _sampled(library, c, judged.get(c.track.id), least, start_s)
        for c in candidates
        if c.track.id not in gone
    ]
    # What the re-ranker does not believe in at all stays in the order of the search.
    tracks.sort(key=lambda t: (not t.same_recording, -t.score))
    if unchecked and not tracks:
        left = unchecked[0]
        raise MatchError(
            f"none of the {len(unchecked)} candidates can be compared; {left.track.title}: "
            f"{left.reason}. Similarity alone needs no audio (--by-similarity)"
        )
    for track in tracks:
        library.require_intact(track.track)
    return SamplesFound(tuple(tracks), length_s, reranker is not None, least, tuple(unchecked))


def check_networks(fingerprinter: Fingerprinter, reranker: Reranker | None) -> None:
    """Raise CheckpointError unless the encoder is for samples, and the re-ranker belongs to it."""
    from grafprint.models.encoders import Samples

    if not isinstance(fingerprinter.encoder, Samples):
        raise CheckpointError(
            "this network identifies recordings and does not find samples: use a library made with "
            "a network for that (grafprint index --samples, or grafprint train --encoder samples)"
        )
    if reranker is not None:
        reranker.check(fingerprinter.model_id)


def _least(fingerprinter: Fingerprinter, reranker: Reranker | None, segments: int) -> float:
    """From which score a track counts as found in a song with so many segments of sound."""
    if reranker is None:
        return float(fingerprinter.facts.get("least_score", LEAST_EVIDENCE))
    least = float(reranker.facts.get("least_score", LEAST_SCORE))
    if "least_score_s" in reranker.facts:
        # Of many segments some match by chance. Of songs that sample nothing, 5 s to 8 minutes
        # long, the highest scores grow as the logarithm.
        length_s = float(reranker.facts["least_score_s"])
        fitted = (length_s - fingerprinter.window_s) / fingerprinter.features.hop_s + 1
        least *= math.log1p(segments) / math.log1p(fitted)
    return max(LEAST_SCORE, least)


def _sampled(
    library: AudioCollection,
    candidate: Candidate,
    judged: tuple[np.ndarray, np.ndarray] | None,
    least: float,
    start_s: float,
) -> SampledTrack:
    """What a candidate becomes, judged by a re-ranker or not."""
    from grafprint.models.rerankers import song_score
    from grafprint.models.rerankers.scoring import LEAST

    pairs, similarity, lines, score = (
        candidate.pairs, candidate.similarity, candidate.lines, candidate.evidence,
    )  # fmt: skip
    probability = None
    if judged is not None:
        numbers, probability = judged
        similarity, pairs = similarity[numbers], pairs.take(numbers)
        believed = song_score(pairs.track, probability)
        score = believed * candidate.evidence / LEAST_EVIDENCE
        counts = probability >= LEAST
        # Where the re-ranker believes in nothing, regions still say what looked alike.
        weight = np.where(counts, probability, 0) if counts.any() else pairs.weight
        pairs = Pairs(pairs.song, pairs.track, weight)
        lines = find_lines(pairs, library.hop_s, library.window_s)
    regions = regions_of(
        pairs,
        lines,
        similarity,
        probability,
        library.hop_s,
        library.window_s,
        candidate.track.duration_s,
        start_s,
    )
    return SampledTrack(
        candidate.track,
        score,
        candidate.evidence,
        None if probability is None else float(probability.max()),
        score >= least and score > 0,
        candidate.same_recording,
        regions,
    )
