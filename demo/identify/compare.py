"""Compare the clip and the track: switch between them by ear, and see both spectrograms."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr
import numpy as np
import torch

from demo import plots
from demo.clips import Clip, wav_uri
from grafprint import audio
from grafprint.fingerprint import Fingerprinter
from grafprint.matching import Answer, Match

LONGEST_S = 10.0  # limits what is sent to the browser

_TEMPLATE = (
    '<div class="gp-small">Switch between the two at the same moment</div>'
    '<div class="gp-ab" role="group" aria-label="Compare by ear">'
    '<button type="button" class="play">Play</button>'
    '<button type="button" data-which="0" aria-pressed="true">Your clip</button>'
    '<button type="button" data-which="1" aria-pressed="false">The track</button>'
    '<progress max="1" value="0" aria-label="Playback position"></progress></div>'
)
_SCRIPT = (Path(__file__).parent / "compare.js").read_text(encoding="utf-8")


def switch() -> gr.HTML:
    """The component; its value comes from :func:`sounds`."""
    return gr.HTML(
        "[]",
        html_template=_TEMPLATE,
        js_on_load=_SCRIPT,
        elem_id="compare",
        padding=False,
        visible=False,
    )


def sounds(clip: np.ndarray, reference: np.ndarray) -> str:
    """Both sounds ``[n]``, with equal peaks, as the value of :func:`switch`."""
    return json.dumps([wav_uri(_at_one_level(sound)) for sound in (clip, reference)])


def picture(
    clip: np.ndarray,
    reference: np.ndarray,
    answer: Answer,
    match: Match,
    fingerprinter: Fingerprinter,
) -> str:
    """Spectrograms of both sounds ``[n]`` and the similarity of the segments over time, as SVG."""
    clip_db, reference_db = (
        fingerprinter.logmel(torch.from_numpy(samples)).numpy()
        for samples in (clip, reference[: max(len(clip), audio.SAMPLE_RATE)])
    )
    return plots.alignment(
        clip_db,
        reference_db,
        match.segment_scores,
        fingerprinter.features,
        answer.threshold,
        match.start_s,
    )


def used(clip: Clip, answer: Answer) -> np.ndarray:
    """The samples of a clip that were used for the answer."""
    begin = round((answer.query_start_s - clip.offset_s) * audio.SAMPLE_RATE)
    return clip.samples[begin : begin + round(answer.query_duration_s * audio.SAMPLE_RATE)]


def _at_one_level(samples: np.ndarray) -> np.ndarray:
    part = samples[: round(LONGEST_S * audio.SAMPLE_RATE)]
    peak = max(1e-6, float(np.abs(part).max(initial=0.0)))
    return np.asarray(0.9 * part / peak)
