"""Which recordings does this song sample, and where?"""

from grafprint.matching.samples.finder import check_networks, find_samples
from grafprint.matching.samples.nodes import NodeCache
from grafprint.matching.samples.results import (
    MatchedRegion,
    SampledTrack,
    SamplesFound,
    Unchecked,
)

__all__ = [
    "MatchedRegion",
    "NodeCache",
    "SampledTrack",
    "SamplesFound",
    "Unchecked",
    "check_networks",
    "find_samples",
]
