"""Measure hit rates: queries, outcomes, reports, and the breaking point."""

from grafprint.evaluation.evaluation import Ask, QuerySet, evaluate, query_tracks, reports
from grafprint.evaluation.report import (
    MEASURES,
    Cell,
    EvaluationConfig,
    Outcome,
    Report,
    table,
    to_csv,
)

__all__ = [
    "MEASURES",
    "Ask",
    "Cell",
    "EvaluationConfig",
    "Outcome",
    "QuerySet",
    "Report",
    "evaluate",
    "query_tracks",
    "reports",
    "table",
    "to_csv",
]
