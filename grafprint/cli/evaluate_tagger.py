"""``grafprint evaluate-tagger``: how well a tagger ranks labelled clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grafprint.cli.console import (
    DeviceOption,
    JsonOption,
    err,
    escape,
    needs,
    out,
    positive,
    print_json,
)
from grafprint.cli.passed_over import show_failures
from grafprint.cli.progress import progress, status
from grafprint.cli.tables import table
from grafprint.cli.tag import load_tagger

if TYPE_CHECKING:
    from grafprint.evaluation.intervals import Rate
    from grafprint.evaluation.tagging import TaggingReport


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate-tagger")(needs("train")(evaluate_tagger))


def evaluate_tagger(
    tagger: Annotated[Path, typer.Argument(help="Tagger (.safetensors) of train-tagger.")],
    clips: Annotated[
        Path,
        typer.Argument(
            help="A CSV table of clips and labels, or the folder of FSD50K or AudioSet."
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="Which clips: train, valid, test, or another name in the table.",
            show_default="test; without it valid, otherwise all",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    hop: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Seconds between the starts of the windows that are tagged.",
            show_default="5",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure a tagger on labelled clips: mAP, d-prime, accuracy, for each label, with intervals.

    The probabilities of a clip are the mean over its windows. Labels that the tagger or the clips
    do not have are left out. The accuracy is that of clips with exactly one label. For unbiased
    figures, use clips that the tagger was not trained with.
    """
    with status("loading PyTorch"):
        from grafprint.evaluation.tagging import check_labels, choose_split
        from grafprint.evaluation.tagging import evaluate_tagger as run_evaluation
        from grafprint.training.tagging_data import find_labelled_clips

    loaded = load_tagger(tagger, device)
    chosen = choose_split(find_labelled_clips(clips), split)
    check_labels(chosen, loaded.labels)
    with progress() as bar:
        task = bar.add_task("clips", total=len(chosen))
        report = run_evaluation(
            loaded, chosen, hop, lambda done, _: bar.update(task, completed=done), seed
        )
    if as_json:
        print_json(report.to_json())
    else:
        _show(report)
    show_failures("left out", report.failed, err)


def _show(report: TaggingReport) -> None:
    out.print(
        f"{report.clips} clips, {len(report.labels)} labels (95 % intervals, bootstrap over clips)",
        highlight=False,
    )
    rows = [
        ("mean average precision", _text(report.mean_average_precision)),
        ("d-prime", _text(report.d_prime)),
    ]
    if report.accuracy:
        rows.append((f"accuracy, {report.single} clips with one label", _text(report.accuracy)))
    out.print(table(("measure", "value"), rows))
    by_label = [
        (escape(score.label), str(score.clips), _text(score.average_precision))
        for score in report.labels
    ]
    out.print(table(("label", "clips", "average precision"), by_label))
    if report.unknown:
        line = f"labels that the tagger does not have: {', '.join(report.unknown)}"
        out.print(escape(line), highlight=False, soft_wrap=True)


def _text(rate: Rate) -> str:
    return f"{rate[0]:.3f} ({rate[1]:.3f}-{rate[2]:.3f})"
