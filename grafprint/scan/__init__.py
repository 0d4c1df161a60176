"""What plays when in long or endless audio."""

from grafprint.scan.config import TimelineConfig
from grafprint.scan.other_speeds import OTHER_SPEEDS, identify_at_other_speeds
from grafprint.scan.plays import Play
from grafprint.scan.recording import scan, scans
from grafprint.scan.results import Gap, Scan, gaps
from grafprint.scan.speed import speed_of
from grafprint.scan.timeline import Timeline

__all__ = [
    "OTHER_SPEEDS",
    "Gap",
    "Play",
    "Scan",
    "Timeline",
    "TimelineConfig",
    "gaps",
    "identify_at_other_speeds",
    "scan",
    "scans",
    "speed_of",
]
