"""What plays when in long or endless audio."""

from grafprint.scan.plays import Play
from grafprint.scan.recording import Gap, Scan, gaps, scan, scans
from grafprint.scan.speed import speed_of
from grafprint.scan.timeline import Timeline, TimelineConfig

__all__ = [
    "Gap",
    "Play",
    "Scan",
    "Timeline",
    "TimelineConfig",
    "gaps",
    "scan",
    "scans",
    "speed_of",
]
