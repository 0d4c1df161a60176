"""The rows of the table: which network answers, from which library."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.shared.sample_bench.rankers import (
    FingerprintRanker,
    Ranker,
    SampleRanker,
    SearchRanker,
    fill_library,
)
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.models import checkpoint
from grafprint.models.rerankers import load_reranker

FINGERPRINTS, SEARCHED = "fingerprints", "fingerprints, sample search"
ENCODER = "encoder"
RERANKED, BYPASSED = "with the classifier", "without graph blocks"
NAMES = (FINGERPRINTS, SEARCHED, ENCODER, RERANKED, BYPASSED)
COMPARED = ((FINGERPRINTS, ENCODER), (SEARCHED, ENCODER), (ENCODER, RERANKED), (BYPASSED, ENCODER))


@dataclass(frozen=True, eq=False)
class Row:
    """A ranker, its library, which the caller closes, and what tells its networks from others."""

    ranker: Ranker
    library: Library
    identity: str


def offered(encoder: Path | None, reranker: Path | None) -> list[str]:
    """The rows for which there are networks, but for one that takes hours."""
    names = [FINGERPRINTS]
    if encoder:
        names += [ENCODER, *([RERANKED] if reranker else []), BYPASSED]
    return names


def prepare(name: str, args: argparse.Namespace, files: Mapping[str, Path]) -> Row:
    """Load a row's networks and fill its library in the working folder."""
    path = args.fingerprints if name in (FINGERPRINTS, SEARCHED) else args.encoder
    if path is None or (name == RERANKED and args.reranker is None):
        raise SystemExit(f"the row {name!r} needs --encoder, and --reranker for the classifier")
    fingerprinter = Fingerprinter.load(path, args.device, args.precision)
    if name == BYPASSED:
        fingerprinter = without_graph_blocks(fingerprinter)
    folder = args.work / f"library-{fingerprinter.model_id}"
    source = args.library if name in (FINGERPRINTS, SEARCHED) else None
    library, names = fill_library(folder, fingerprinter, files, source)
    identity = fingerprinter.model_id
    memory = args.work / "fingerprints"
    if name in (FINGERPRINTS, SEARCHED):
        kind = FingerprintRanker if name == FINGERPRINTS else SearchRanker
        return Row(kind(library, fingerprinter, names, memory), library, identity)
    reranker = load_reranker(args.reranker) if name == RERANKED else None
    facts = fingerprinter.facts
    if reranker:  # two re-rankers of one encoder are two rows
        identity += f"-{identity_of(args.reranker)}"
        facts = reranker.facts
    # What was answered at another threshold is not what would be reported now.
    identity += f"-{facts['least_score']:g}" if "least_score" in facts else ""
    return Row(SampleRanker(library, fingerprinter, names, reranker, memory), library, identity)


def without_graph_blocks(fingerprinter: Fingerprinter) -> Fingerprinter:
    """The same network with its graph blocks bypassed."""
    encoder = fingerprinter.encoder
    bypassed = type(encoder)(replace(encoder.config, bypass=True))
    bypassed.load_state_dict(encoder.state_dict())
    return Fingerprinter(
        bypassed, fingerprinter.features, fingerprinter.device, precision=fingerprinter.precision
    )


def identity_of(file: Path) -> str:
    """What tells a network's file from others."""
    return str(checkpoint.read(file)[1]["identity"])
