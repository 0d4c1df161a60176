"""Monitor endless audio: an event whenever a track begins or has ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from grafprint.audio import SAMPLE_RATE
from grafprint.fingerprint import Fingerprinter
from grafprint.matching.collection import Collection
from grafprint.scan.config import TimelineConfig
from grafprint.scan.plays import Play, rivals
from grafprint.scan.timeline import Timeline


@dataclass(frozen=True)
class Event:
    """``began``: a track now plays (its end is not known yet). ``ended``: the whole play."""

    kind: Literal["began", "ended"]
    play: Play


def watch(
    library: Collection,
    fingerprinter: Fingerprinter,
    blocks: Iterable[np.ndarray],
    config: TimelineConfig | None = None,
) -> Iterator[Event]:
    """Find the tracks in mono ``blocks`` of samples at 16 kHz (live_sources.py).

    A track is announced about 7 s after it begins, at the second query step that finds it. Times of
    plays count from the first sample. Memory does not grow.

    Raises LibraryError if another network made the library, MatchError if it is empty, and whatever
    the blocks raise.
    """
    library.check_query(fingerprinter)
    timeline, live = Timeline(library, config), fingerprinter.live()
    announced: list[Play] = []
    for block in _gathered(blocks, timeline.config.every_s):
        ended = timeline.push(live.push(block))
        yield from (Event("ended", play) for play in ended)
        announced = [p for p in announced if not any(_same(p, play) for play in ended)]
        for play in timeline.playing:
            known = any(_same(play, other) or rivals(play, other) for other in announced)
            announced = [play if _same(play, other) else other for other in announced]
            if not known:
                announced.append(play)
                yield Event("began", play)
    yield from (Event("ended", play) for play in timeline.finish())


def _gathered(blocks: Iterable[np.ndarray], least_s: float) -> Iterator[np.ndarray]:
    """Join blocks up to a query step: many fingerprints at once cost less than one by one."""
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= least_s * SAMPLE_RATE:
            yield np.concatenate(held)
            held.clear()
    if held:
        yield np.concatenate(held)


def _same(a: Play, b: Play) -> bool:
    """Whether both are states of the same play."""
    return a.track.id == b.track.id and abs(a.start_s - b.start_s) < 1.0
