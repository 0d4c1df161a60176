"""Hit rates of real recordings whose truth is known, from windows at regular places in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np

from grafprint import audio, matching
from grafprint.audio.landmarks import contrast
from grafprint.errors import DataError
from grafprint.evaluation.journal import Journal
from grafprint.evaluation.recordings_report import (
    RecordingsConfig,
    RecordingsReport,
    Window,
)
from grafprint.evaluation.truth import Recording
from grafprint.fingerprint import Fingerprinter
from grafprint.matching.confidence import FINGERPRINTS, LANDMARKS
from grafprint.remote.opening import AnyLibrary

# A clip that misses a length by no more than this still has one window of it.
_MISSING_S = 0.1


def evaluate_recordings(
    library: AnyLibrary,
    fingerprinter: Fingerprinter,
    recordings: Sequence[Recording],
    config: RecordingsConfig | None = None,
    by: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    journal: Path | None = None,
) -> RecordingsReport:
    """Identify windows of ``recordings`` (see :func:`read_truth`) in ``library``.

    ``by`` names the column by which they are grouped. What was found is written to the file
    ``journal``, clip by clip. Called again, only clips that are not in it are identified: rows can
    be added to the table, or mended, without losing anything.

    Raises:
        DataError: there are no recordings, none is long enough, or the journal belongs to another
            evaluation.
        LibraryError: another network made the library.
        AudioError: a clip can no longer be read.
    """
    config = config or RecordingsConfig()
    library.check_query(fingerprinter)
    if not any(window_starts(r.duration_s, s, config.windows)
               for r in recordings for s in config.lengths_s):  # fmt: skip
        raise DataError(f"no recording is {min(config.lengths_s):g} s long: choose shorter lengths")
    log = Journal(journal, _subject(library, fingerprinter, config)) if journal else None
    found: dict[str, list[Window]] = {
        clip: [Window(*values) for values in windows]
        for clip, windows in (log.entries if log else [])
    }
    for number, recording in enumerate(recordings, 1):
        if recording.content_hash not in found:
            windows = _listen(library, fingerprinter, recording, config)
            found[recording.content_hash] = windows
            if log:
                log.add([recording.content_hash, [astuple(window) for window in windows]])
        if on_progress:
            on_progress(number, len(recordings))
    return RecordingsReport(
        config=config,
        by=by,
        model_id=fingerprinter.model_id,
        references=len(library.tracks()),
        fingerprints=len(library),
        hop_s=library.hop_s,
        recordings=list(recordings),
        windows=[found[recording.content_hash] for recording in recordings],
    )


def window_starts(duration_s: float, length_s: float, most: int) -> list[float]:
    """Where windows of a length begin in a clip: the first at its start, the last at its end.

    They are ``most`` at regular distances, or fewer so that these are half a length or more. None
    if the clip is too short.
    """
    room_s = duration_s - length_s
    if room_s < -_MISSING_S:
        return []
    count = min(most, 1 + int(max(0.0, room_s) / (length_s / 2)))
    if count == 1:
        return [0.0]
    return [float(start) for start in np.linspace(0.0, room_s, count)]


def _listen(
    library: AnyLibrary,
    fingerprinter: Fingerprinter,
    recording: Recording,
    config: RecordingsConfig,
) -> list[Window]:
    """Identify the windows of a recording."""
    samples = audio.load(recording.path)
    places = [
        (length_s, at_s)
        for length_s in config.lengths_s
        for at_s in window_starts(recording.duration_s, length_s, config.windows)
    ]
    clips = []
    for length_s, at_s in places:
        first = round(at_s * audio.SAMPLE_RATE)
        clips.append(samples[first : first + round(length_s * audio.SAMPLE_RATE)])
    if not clips:
        return []
    spectra = [contrast(clip) for clip in clips] if library.has_landmarks else None
    answers = matching.identify_many(library, fingerprinter.many(clips), top_k=1, spectra=spectra)
    windows = []
    for (length_s, at_s), answer in zip(places, answers, strict=True):
        best = answer.best if answer else None  # no answer: the window is silent
        if answer is None or best is None:
            windows.append(Window(length_s, at_s, None, 0.0, 0.0, False))
            continue
        windows.append(
            Window(length_s, at_s, best.track.id, best.start_s, best.score, answer.identified)
        )
    return windows


def _subject(
    library: AnyLibrary, fingerprinter: Fingerprinter, config: RecordingsConfig
) -> dict[str, Any]:
    """What identifies the answers; not the truth, which is compared with them afterwards."""
    return {
        "recordings": [field.name for field in fields(Window)],
        "lengths_s": config.lengths_s,
        "windows": config.windows,
        "model_id": fingerprinter.model_id,
        "library_id": library.library_id,
        "references": len(library.tracks()),
        "fingerprints": len(library),
        "calibration": repr(LANDMARKS if library.has_landmarks else FINGERPRINTS),
    }
