"""What the page draws of samples, as JSON for the browser."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from demo import plots
from demo.samples.scene import Look, SampleView
from demo.sampling import LONGEST_S, Sampling
from demo.texts import count
from grafprint.matching.samples import SampledTrack, SamplesFound


def value(view: SampleView, sampling: Sampling) -> str:
    """The component's value: the song, the tracks and their regions, with pictures."""
    found = view.found
    return json.dumps(
        {
            "note": sentence(view),
            "reranked": found.reranked,
            "attends": sampling.reranker is not None,
            "song": {
                "name": view.name,
                "duration_s": round(found.duration_s, 2),
                "picture": plots.spectrogram_url(view.picture),
            },
            "tracks": [
                _track(track, picture)
                for track, picture in zip(view.tracks, view.pictures, strict=True)
            ],
        },
        separators=(",", ":"),
    )


def answer(found: SamplesFound) -> dict[str, Any]:
    """What was found as plain values for programs, without the paths of this computer."""
    values = found.to_json()
    for track in (*values["samples"], *values["same_recordings"], *values["others"]):
        del track["path"]
    for left in values["unchecked"]:
        del left["path"]
        left["reason"] = "its audio cannot be had"
    return values


def look_value(look: Look) -> str:
    """Two segments and what their nodes look at: weights in bytes, per head, 255 the highest."""
    strongest = look.attention.max(axis=(1, 2), keepdims=True).clip(1e-9)
    heads = np.round(255 * look.attention / strongest).astype(int)
    return json.dumps(
        {
            "starts_s": [round(s, 2) for s in look.starts_s],
            "pictures": [plots.spectrogram_url(picture) for picture in look.inputs],
            "rows": look.grid[0],
            "columns": look.grid[1],
            "heads": [head.ravel().tolist() for head in heads],
            "probability": round(look.probability, 4),
        },
        separators=(",", ":"),
    )


def sentence(view: SampleView) -> str:
    """What was found, in words."""
    found = view.found
    names = [f"“{t.track.title}”" for t in found.found]
    where = "that could be compared" if found.unchecked else "in this library"
    told = "samples " + " and ".join(names[:3]) if names else f"samples nothing {where}"
    if len(names) > 3:
        told += f" and {len(names) - 3} more"
    text = f"“{view.name}” {told}."
    if found.same_recordings:
        itself = ", ".join(f"“{t.track.title}”" for t in found.same_recordings)
        text += f" It is itself in the library: {itself}."
    if not found.reranked:
        text += " By similarity alone: no re-ranker is loaded."
    if found.duration_s >= LONGEST_S:
        text += f" Only the first {LONGEST_S / 60:.0f} minutes were searched for."
    if found.unchecked:
        left = count(len(found.unchecked), "candidate")
        text += f" {left} could not be compared: no audio can be had."
    return text


def _track(track: SampledTrack, picture: np.ndarray) -> dict[str, Any]:
    kind = "same" if track.same_recording else "found" if track.found else "other"
    return {
        "title": track.track.title,
        "artist": track.track.artist,
        "duration_s": round(track.track.duration_s, 2),
        "kind": kind,
        "score": round(track.score, 2),
        "probability": None if track.probability is None else round(track.probability, 4),
        "picture": plots.spectrogram_url(picture),
        "best": track.regions.index(track.best),
        "regions": [region.to_json() for region in track.regions],
    }
