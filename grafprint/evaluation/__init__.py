"""Measure hit rates: queries, outcomes, reports, and the breaking point."""

from grafprint.evaluation.evaluation import (
    MEASURES,
    Ask,
    Cell,
    EvaluationConfig,
    Outcome,
    QuerySet,
    Report,
    evaluate,
    query_tracks,
    reports,
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
