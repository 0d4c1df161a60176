"""Take trained networks for sample identification into assets/samples, with their thresholds.

    python -m assets.bundle_samples ENCODER RERANKER --alone 12.13 --reranked 11.6

Each threshold is the score from which a track counts as sampled, without the re-ranker and with
it, in songs of 60 s: above most of the ``empty_scores`` of the rows of
``python -m benchmarks.samples --split valid``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grafprint import bundled
from grafprint.fingerprint import Fingerprinter
from grafprint.models.rerankers import load_reranker, save_reranker

_SONG_S = 60.0  # of the songs of that bench
_FACTS = ("config", "steps_done", "hours", "tracks", "songs", "validation")


def main(
    encoder: Annotated[Path, typer.Argument(help="File of the encoder.")],
    reranker: Annotated[Path, typer.Argument(help="File of its re-ranker.")],
    alone: Annotated[float, typer.Option(help="Threshold without the re-ranker.")],
    reranked: Annotated[float, typer.Option(help="Threshold with it.")],
) -> None:
    """Write both networks; python -m assets.build samples then makes the library."""
    network, judge = Fingerprinter.load(encoder), load_reranker(reranker)
    judge.check(network.model_id)
    network.facts = kept(network.facts) | {"least_score": alone}
    target = bundled.asset(bundled.SAMPLES_ENCODER)
    target.parent.mkdir(exist_ok=True)
    network.save(target)
    facts = kept(judge.facts) | {"least_score": reranked, "least_score_s": _SONG_S}
    save_reranker(bundled.asset(bundled.SAMPLES_RERANKER), judge.network, judge.model_id, facts)


def kept(facts: dict[str, object]) -> dict[str, object]:
    """The facts of a run that its network keeps."""
    return {name: facts[name] for name in _FACTS if name in facts}


if __name__ == "__main__":
    typer.run(main)
