"""Measure hit rates: queries, outcomes, reports, and the breaking point."""

from grafprint.evaluation.evaluation import Ask, QuerySet, evaluate, query_tracks, reports
from grafprint.evaluation.queries import RERECORDINGS
from grafprint.evaluation.recordings import evaluate_recordings
from grafprint.evaluation.recordings_report import (
    RecordingsConfig,
    RecordingsReport,
    recordings_table,
)
from grafprint.evaluation.report import (
    MEASURES,
    Cell,
    EvaluationConfig,
    Outcome,
    Report,
    rerecording_table,
    table,
    to_csv,
)
from grafprint.evaluation.truth import Recording, read_truth

__all__ = [
    "MEASURES",
    "RERECORDINGS",
    "Ask",
    "Cell",
    "EvaluationConfig",
    "Outcome",
    "QuerySet",
    "Recording",
    "RecordingsConfig",
    "RecordingsReport",
    "Report",
    "evaluate",
    "evaluate_recordings",
    "query_tracks",
    "read_truth",
    "recordings_table",
    "reports",
    "rerecording_table",
    "table",
    "to_csv",
]
