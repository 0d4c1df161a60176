"""What the tab Samples shows: a song, the tracks it may sample, and two segments that match."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from demo.clips import Clip, ClipError
from demo.sampling import TRACKS, Sampling
from grafprint import audio
from grafprint.errors import AudioError, GraFPrintError
from grafprint.matching.samples import MatchedRegion, SampledTrack, SamplesFound
from grafprint.models.features import LogMelStream, windows

COLUMNS = 1000  # of a picture
HEARD_S = 12.0  # of a region, at most


@dataclass(frozen=True, eq=False)
class SampleView:
    """A song with what was found, and pictures: amplitudes, 0 to 1, ``[mels, columns]``.

    ``tracks`` are those shown, the sampled ones first, with a picture each. ``clip`` is what the
    visitor worked with when this was made.
    """

    name: str
    path: Path
    found: SamplesFound
    picture: np.ndarray
    tracks: list[SampledTrack]
    pictures: list[np.ndarray]
    clip: Clip | None = None


@dataclass(frozen=True, eq=False)
class Look:
    """Two segments that match: where they begin, their log-mels, and which nodes see which.

    ``inputs`` are amplitudes 0 to 1 ``[mels, frames]`` of song and track; ``attention [heads, N,
    M]``: how much each node of the song looks at each of the track's. Both are grids of ``grid``
    rows and columns, node ``n`` in row ``n // grid[1]``, low frequencies first.
    """

    starts_s: tuple[float, float]
    inputs: tuple[np.ndarray, np.ndarray]
    grid: tuple[int, int]
    attention: np.ndarray
    probability: float


def look_up(
    sampling: Sampling, path: Path, name: str, found: SamplesFound, clip: Clip | None = None
) -> SampleView:
    """The pictures of a song and of its tracks; tracks without their audio are left out."""
    shown: list[SampledTrack] = []
    pictures = []
    others = [t for t in found.tracks if not t.found and not t.same_recording]
    for track in (*found.found, *found.same_recordings, *others):
        file = sampling.library.audio_path(track.track)
        if file is None or len(shown) == TRACKS:
            continue
        try:
            pictures.append(picture(sampling, file, track.track.duration_s))
        except AudioError:
            continue
        shown.append(track)
    song = picture(sampling, path, found.duration_s)
    return SampleView(name, path, found, song, shown, pictures, clip)


def picture(sampling: Sampling, path: Path, duration_s: float) -> np.ndarray:
    """The spectrogram ``[mels, columns]`` of a file, the loudest of what a column covers.

    Memory is bounded however long the file is.
    """
    config = sampling.fingerprinter.features
    stream = LogMelStream(sampling.fingerprinter.logmel)
    frames = max(1, round(duration_s * config.sample_rate_hz / config.hop_length))
    columns = min(COLUMNS, frames)
    drawn = np.full((columns, config.n_mels), -100.0, np.float32)
    done = 0

    def take(part: np.ndarray) -> None:
        nonlocal done
        place = np.minimum((done + np.arange(len(part))) * columns // frames, columns - 1)
        np.maximum.at(drawn, place, part)
        done += len(part)

    for piece in audio.stream(path, duration_s=max(1.0, duration_s)):
        take(stream.push(torch.from_numpy(piece)).numpy())
    take(stream.finish().numpy())
    level = (drawn - drawn.max()) / config.dynamic_range_db + 1
    return np.asarray(np.clip(level, 0, 1).T)


def region_of(view: SampleView, track: int, region: int) -> tuple[SampledTrack, MatchedRegion]:
    """A track that is shown and one of its regions. Raises ClipError if there is none."""
    if not (0 <= track < len(view.tracks) and 0 <= region < len(view.tracks[track].regions)):
        raise ClipError("there is no such region: find the samples again")
    return view.tracks[track], view.tracks[track].regions[region]


def sound(sampling: Sampling, view: SampleView, side: int, track: int, region: int) -> np.ndarray:
    """A region's sound ``[n]``, of the song (side 0) or of the track. Raises ClipError."""
    sampled, place = region_of(view, track, region)
    start_s, end_s = (
        (place.start_s, place.end_s) if side == 0 else (place.track_start_s, place.track_end_s)
    )
    length_s = min(max(end_s - start_s, 1.0), HEARD_S)
    return _read(sampling, view, sampled, side, start_s, length_s)


def look(sampling: Sampling, view: SampleView, track: int, region: int) -> Look:
    """The middle of a region in both recordings, as the re-ranker sees it. Raises ClipError."""
    if sampling.reranker is None:
        raise ClipError("there is no re-ranker here, whose attention could be shown")
    sampled, place = region_of(view, track, region)
    fingerprinter = sampling.fingerprinter
    window_s = fingerprinter.window_s
    middles_s = (
        (place.start_s + place.end_s) / 2,
        (place.track_start_s + place.track_end_s) / 2,
    )
    lengths_s = (view.found.duration_s, sampled.track.duration_s)
    starts_s, inputs = [], []
    for side, (middle_s, length_s) in enumerate(zip(middles_s, lengths_s, strict=True)):
        start_s = min(max(0.0, middle_s - window_s / 2), max(0.0, length_s - window_s))
        samples = _read(sampling, view, sampled, side, start_s, window_s + 0.1)
        least = fingerprinter.features.window_samples
        samples = np.pad(samples, (0, max(0, least - len(samples))))
        logmel = fingerprinter.logmel(torch.from_numpy(samples))
        starts_s.append(start_s)
        inputs.append(windows(logmel, fingerprinter.features)[:1])
    try:
        nodes = fingerprinter.nodes(torch.cat(inputs))
        device = next(sampling.reranker.network.parameters()).device
        with torch.inference_mode():
            asked, offered = (n[None].half().float().to(device) for n in nodes)
            judged = sampling.reranker.network(asked, offered)
    except (RuntimeError, GraFPrintError) as error:
        raise ClipError(str(error)) from error
    config = fingerprinter.encoder.config
    return Look(
        (starts_s[0], starts_s[1]),
        (inputs[0][0, -1].numpy(), inputs[1][0, -1].numpy()),
        fingerprinter.encoder.grid(len(config.widths) - 1),
        judged.attention[0].float().cpu().numpy(),
        float(judged.probability[0]),
    )


def _read(
    sampling: Sampling,
    view: SampleView,
    sampled: SampledTrack,
    side: int,
    start_s: float,
    length_s: float,
) -> np.ndarray:
    path = view.path if side == 0 else sampling.library.audio_path(sampled.track)
    if path is None or not path.is_file():
        raise ClipError("that recording is no longer there: find the samples again")
    try:
        return audio.load(path, start_s=max(0.0, start_s), duration_s=length_s)
    except AudioError as error:
        raise ClipError(str(error).replace(str(path), path.name)) from error
