"""What the tab Tags shows: the tags of a clip and of its degraded version, and their graphs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from demo.clips import ClipError
from demo.scene import Scene
from grafprint.audio import SAMPLE_RATE
from grafprint.errors import AudioError
from grafprint.explore.patches import PEAK
from grafprint.explore.tag_evidence import Evidence
from grafprint.explore.tag_graph import TagGraph, inspect_tags, silence_squares
from grafprint.explore.tag_sound import hear
from grafprint.tagging import ClipTagger, ClipTags

MOMENT_S = 2.0  # the timeline's windows: short, so that it shows when
MOST_MOMENTS = 30  # of a clip; each costs a forward pass
SQUARE = 32  # points; silencing smaller squares one by one would take too long
_HEARD_SHARE = 0.25  # of the strongest node: weaker ones are not heard


@dataclass(frozen=True, eq=False)
class Moments:
    """Probabilities over time: of short windows around ``middles_s [W]``, ``values [W, S]``."""

    middles_s: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class TagView:
    """A clip, clean and degraded: its tags, and the graphs of the window that begins at a time.

    All pairs are clean, degraded. ``sounds`` are the samples ``[n]`` of the window.
    """

    names: tuple[str, str]
    duration_s: float
    start_s: float
    tags: tuple[ClipTags, ClipTags]
    moments: tuple[Moments, Moments]
    graphs: tuple[TagGraph, TagGraph]
    sounds: tuple[np.ndarray, np.ndarray]


def last_start_s(tagger: ClipTagger, shown: Scene) -> float:
    """Where the last window of the shorter sound begins."""
    return max(0.0, shown.duration_s - tagger.window_s)


def view_clip(tagger: ClipTagger, shown: Scene) -> TagView:
    """The tags of both sounds, and the graphs of their first window. Raises ClipError."""
    clean, degraded = shown.clean, shown.degraded
    try:
        tags = tagger.tag(clean), tagger.tag(degraded)
        moments = _moments(tagger, clean), _moments(tagger, degraded)
        graphs, sounds = _look(tagger, (clean, degraded), 0.0)
    except AudioError as error:
        raise ClipError(str(error)) from error
    return TagView(shown.names, shown.duration_s, 0.0, tags, moments, graphs, sounds)


def move_window(tagger: ClipTagger, shown: Scene, view: TagView, start_s: float) -> TagView:
    """The same with the graphs of the window that begins at another time. Raises ClipError."""
    start_s = min(max(0.0, start_s), last_start_s(tagger, shown))
    try:
        graphs, sounds = _look(tagger, (shown.clean, shown.degraded), start_s)
    except AudioError as error:
        raise ClipError(str(error)) from error
    return TagView(view.names, view.duration_s, start_s, view.tags, view.moments, graphs, sounds)


def sound(
    tagger: ClipTagger, view: TagView, side: int, label: int, evidence: str, *, lit: bool
) -> np.ndarray:
    """The window's sound ``[n]`` of a side (0: clean), or only what lights up for a label.

    Raises ClipError if there is no such side, label or evidence.
    """
    try:
        if min(side, label) < 0:
            raise IndexError
        samples, graph = view.sounds[side], view.graphs[side]
        if not lit:
            return samples
        shape = (graph.spectrogram.shape[0], graph.spectrogram.shape[1])
        light = graph.by_name(evidence).on_spectrogram(label, shape)
    except (IndexError, KeyError) as error:
        raise ClipError("there is no such label") from error
    gains = brightness(light)
    heard = hear(samples, np.where(gains < _HEARD_SHARE, 0, gains), tagger.features)
    return np.asarray(heard * (PEAK / max(float(np.abs(heard).max(initial=0)), 1e-9)), np.float32)


def brightness(values: np.ndarray) -> np.ndarray:
    """How bright nodes are shown, 0 to 1: relative to the strongest; 0 if they speak against."""
    positive = np.maximum(values, 0)
    return np.asarray(positive / max(float(positive.max(initial=0)), 1e-9))


def title(evidence: Evidence) -> str:
    """A kind of evidence in words."""
    where = f"nodes of {evidence.side} × {evidence.side} points"
    if evidence.block is None:
        return f"{evidence.name[:1].upper()}{evidence.name[1:]}: {where}"
    stage = 0 if evidence.stage is None else evidence.stage
    return f"{evidence.name[:1].upper()}{evidence.name[1:]}, stage {stage + 1}: {where}"


def _look(
    tagger: ClipTagger, pair: tuple[np.ndarray, np.ndarray], start_s: float
) -> tuple[tuple[TagGraph, TagGraph], tuple[np.ndarray, np.ndarray]]:
    first = round(start_s * SAMPLE_RATE)
    clean, degraded = (samples[first : first + tagger.window_samples] for samples in pair)
    return (_graph(tagger, clean), _graph(tagger, degraded)), (clean, degraded)


def _graph(tagger: ClipTagger, samples: np.ndarray) -> TagGraph:
    """The graphs of a window, and what the whole network loses with each square of it."""
    graph = inspect_tags(tagger, samples)
    return replace(graph, evidence=[*graph.evidence, silence_squares(tagger, graph, SQUARE)])


def _moments(tagger: ClipTagger, samples: np.ndarray) -> Moments:
    """Tags of short windows, each followed by silence, as short clips are in training."""
    size = min(round(MOMENT_S * SAMPLE_RATE), len(samples))
    last = len(samples) - size
    count = min(MOST_MOMENTS, 1 + round(last / SAMPLE_RATE))
    starts = np.linspace(0, last, count).round().astype(int)
    values = []
    for some in np.array_split(starts, -(-count // 4)):
        windows = np.zeros((len(some), tagger.window_samples), np.float32)
        for row, start in enumerate(some):
            windows[row, :size] = samples[start : start + size]
        values.append(tagger.probabilities(windows)[0])
    return Moments((starts + size / 2) / SAMPLE_RATE, np.concatenate(values))
