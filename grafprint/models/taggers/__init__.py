"""Networks for audio tagging: what a clip sounds like, from graphs of patches and labels."""

from grafprint.models.taggers.atgnn import ATGNN
from grafprint.models.taggers.config import VARIANTS, ATGNNConfig, config_of, variant
from grafprint.models.taggers.files import Tagger, load_tagger, save_tagger
from grafprint.models.taggers.graphs import LabelGraph, PatchGraph, TaggingGraphs
from grafprint.models.taggers.inputs import ClipInput, features_of

__all__ = [
    "ATGNN",
    "VARIANTS",
    "ATGNNConfig",
    "ClipInput",
    "LabelGraph",
    "PatchGraph",
    "Tagger",
    "TaggingGraphs",
    "config_of",
    "features_of",
    "load_tagger",
    "save_tagger",
    "variant",
]
