"""Find the samples in a song: search every segment, judge the candidates, merge regions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from grafprint.matching.samples.nodes import AudioCollection, NodeCache
from grafprint.matching.samples.results import SamplesFound

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter
    from grafprint.models.rerankers import Reranker


def find_samples(
    library: AudioCollection,
    fingerprinter: Fingerprinter,
    song: str | PathLike[str] | np.ndarray | Iterable[np.ndarray],
    *,
    reranker: Reranker | None = None,
    top_k: int = 10,
    least: float | None = None,
    same_recording: bool = True,
    cache: NodeCache | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> SamplesFound:
    """Find the tracks that a song samples: ``top_k`` candidates, best first, found or not.

    ``song`` is a file, mono samples ``[n]`` at 16 kHz, or chunks of these. ``least`` is the score
    from which a track counts as found. Without ``same_recording``, tracks that are the song itself
    are left out. A ``cache`` is kept between songs. ``progress`` is called with ``"listen"`` and
    the seconds heard so far, and with ``"compare"`` and the share of candidates compared.
    """
    raise NotImplementedError
