"""What a tagger is given: log-mel spectrograms of whole clips."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models.features import FeatureConfig, LogMel, normalise

# Section III-B of the paper: 25 ms windows every 10 ms, 128 mel bins. At 40 Hz between bins of the
# spectrum, the lowest four filters fall between two of them and stay empty.
PAPER_FEATURES = FeatureConfig(n_fft=400, hop_length=160, n_mels=128)
_OTHERS = {"small": FeatureConfig()}  # the fingerprints' features: 64 mel bins every 32 ms


def features_of(variant: str) -> FeatureConfig:
    """The features that a variant of ``VARIANTS`` expects."""
    return _OTHERS.get(variant, PAPER_FEATURES)


class ClipInput(nn.Module):
    """Audio ``[B, samples]`` to inputs of a tagger ``[B, mel bins, frames]``.

    They are scaled relative to the loudest bin of each clip: it is 1, and 0 is ``dynamic_range_db``
    below, or silence. There is one frame for each whole hop, at least one.
    """

    def __init__(self, features: FeatureConfig) -> None:
        super().__init__()
        self.features = features
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of empty filters
            self.logmel = LogMel(features)

    @torch.no_grad()
    def forward(self, audio: Tensor) -> Tensor:
        """Inputs of a batch of clips of the same length."""
        f = self.features
        frames = max(1, audio.shape[1] // f.hop_length)
        missing = f.n_fft // 2 + 1 - audio.shape[1]
        mel = self.logmel(F.pad(audio, (0, max(0, missing))))
        return normalise(mel[:, :frames].transpose(1, 2), f)
