"""Networks for audio tagging: what a clip sounds like, from graphs of patches and labels."""

from grafprint.models.taggers.atgnn import ATGNN
from grafprint.models.taggers.config import VARIANTS, ATGNNConfig, config_of, variant
from grafprint.models.taggers.graphs import LabelGraph, PatchGraph, TaggingGraphs

__all__ = [
    "ATGNN",
    "VARIANTS",
    "ATGNNConfig",
    "LabelGraph",
    "PatchGraph",
    "TaggingGraphs",
    "config_of",
    "variant",
]
