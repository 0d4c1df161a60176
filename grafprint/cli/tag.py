"""``grafprint tag``: what clips sound like, and when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grafprint.cli.clip_files import (
    Outcome,
    StartOption,
    answer_each,
    exit_status,
    file_of,
    find_clips,
    print_as_json,
)
from grafprint.cli.console import (
    DeviceOption,
    JsonOption,
    TaggerOption,
    clock,
    err,
    finite,
    positive,
)
from grafprint.cli.network import check_device
from grafprint.cli.passed_over import show_passed_over
from grafprint.cli.progress import status
from grafprint.cli.tag_output import print_as_csv, show_clip, show_clips
from grafprint.errors import ConfigError

if TYPE_CHECKING:
    from grafprint.audio.folders import Failure
    from grafprint.tagging import ClipTagger, ClipTags


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tag)


def tag(
    clips: Annotated[
        list[Path],
        typer.Argument(
            metavar="CLIP",
            help="Audio or video files, folders of them, or - for standard input.",
        ),
    ],
    tagger: TaggerOption = None,
    device: DeviceOption = "cpu",
    start: StartOption = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            callback=positive, help="Use this many seconds of the clip.", show_default="all of it"
        ),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Seconds between the starts of the windows that are tagged.",
            show_default="5",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Number of labels to show.")] = 5,
    least: Annotated[
        float, typer.Option(min=0, max=1, callback=finite, help="Lowest probability to show.")
    ] = 0.01,
    over_time: Annotated[
        bool, typer.Option("--over-time", help="Show the probabilities over time, too.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[
        bool,
        typer.Option(
            "--csv",
            help="Print a CSV table for programs, a row for each label of a clip; with --over-time "
            "also of each part of it.",
        ),
    ] = False,
) -> None:
    """Tag clips: what do they sound like, and when?

    A clip is tagged in windows of about 10 s. Its probabilities are the mean over all of it that
    is not silent; 'peak' is the highest in any window.

    The exit status is 0 if a clip has a label, 1 if none has (they are silent, or --least is too
    high), 2 if there was an error.
    """
    from grafprint.library.add_file import shown

    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other: give one")
    passed_over: list[Failure] = []
    files, unreadable = find_clips(clips, passed_over)
    outcomes: list[Outcome[ClipTags]] = [Outcome(path, None, reason) for path, reason in unreadable]
    loaded = load_tagger(tagger, device)

    def tag_one(clip: Path, tell: Callable[[str], None]) -> ClipTags:
        def at(seconds: float) -> None:
            tell(f"at {clock(seconds)}")

        with file_of(clip) as file:
            return loaded.tag_file(file, hop, start_s=start, duration_s=duration, progress=at)

    alone = len(clips) == 1 and not clips[0].is_dir()
    interrupted = not answer_each(files, tag_one, outcomes, alone)
    if as_csv:
        print_as_csv(outcomes, top, least, over_time)
    elif as_json:
        print_as_json(outcomes, lambda t: t.to_json(top, least, over_time=over_time), alone)
    elif alone and outcomes and outcomes[0].answer:
        show_clip(shown(files[0]), outcomes[0].answer, top, least, over_time)
    else:
        show_clips(outcomes, top, least, over_time)
    show_passed_over(passed_over, err)
    if interrupted:
        raise KeyboardInterrupt
    raise typer.Exit(exit_status(outcomes, lambda tags: tags.tags(1, least)))


def load_tagger(tagger: Path | None, device: str) -> ClipTagger:
    """Load the tagger of ``--tagger``, or the bundled one.

    Raises CheckpointError if it cannot be had, ConfigError for a device that cannot be used.
    """
    with status("loading the tagger"):
        from grafprint.tagging import ClipTagger

        check_device(device)
        return ClipTagger.load(tagger, device)
