"""``grafprint identify``: identify clips, folders of them, or what comes from standard input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grafprint.cli.answers import print_as_csv, show_answer, show_outcomes
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
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    ConfidenceOption,
    DeviceOption,
    EncoderOption,
    JsonOption,
    ModelOption,
    TopOption,
    positive,
)
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.place import LibraryOption
from grafprint.errors import ConfigError, MatchError

if TYPE_CHECKING:
    from grafprint.matching import Answer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(identify)


def identify(
    clips: Annotated[
        list[Path],
        typer.Argument(
            metavar="CLIP",
            help="Audio or video files of 1 s or more, folders of them, or - for standard input.",
        ),
    ],
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    encoder: EncoderOption = None,
    device: DeviceOption = "cpu",
    start: StartOption = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Use this many seconds of the clip. Default: all of it; of a clip longer than "
            "30 s, the loudest 30 s.",
            show_default=False,
        ),
    ] = None,
    top: TopOption = 5,
    confidence: ConfidenceOption = None,
    other_speeds: Annotated[
        bool,
        typer.Option(
            "--other-speeds",
            help="If a clip is not identified, look again for music up to 6 % faster or slower, "
            "pitch included; without, about 3 % is the limit. Takes three times as long then.",
        ),
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print a CSV table for programs, a row for each clip.")
    ] = False,
) -> None:
    """Identify clips: which track of the library is it, and where in the track does it start?

    Of a clip longer than 30 s the loudest 30 s are used. If a clip is not identified as a whole,
    parts of it may be: music before or after other sound.

    The exit status is 0 if a clip was named, 1 if none was, 2 if there was an error.
    """
    from grafprint.library.add_file import shown
    from grafprint.matching import identify_file
    from grafprint.remote.opening import open_library

    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other: give one")
    files, unreadable = find_clips(clips)
    outcomes: list[Outcome[Answer]] = [Outcome(path, None, reason) for path, reason in unreadable]
    alone = len(clips) == 1 and not clips[0].is_dir()
    fingerprinter = load_fingerprinter(model, device, library, encoder)
    with open_library(library, model_id=fingerprinter.model_id) as opened:
        opened.check_query(fingerprinter)
        if not len(opened):
            raise MatchError(f"the library {opened.location} is empty: index some music first")

        def identify_one(clip: Path, tell: Callable[[str], None] | None = None) -> Answer:
            with file_of(clip) as file:
                answer = identify_file(
                    opened,
                    fingerprinter,
                    file,
                    start_s=start,
                    duration_s=duration,
                    top_k=top,
                    confidence=confidence,
                )
                if other_speeds:
                    from grafprint.scan import identify_at_other_speeds

                    answer = identify_at_other_speeds(
                        opened, fingerprinter, file, answer, top_k=top, confidence=confidence
                    )
                return answer

        if alone:
            outcomes = [Outcome(shown(files[0]), identify_one(files[0]))]
            interrupted = False
        else:
            interrupted = not answer_each(files, identify_one, outcomes, alone)
    if as_csv:
        print_as_csv(outcomes)
    elif as_json:
        print_as_json(outcomes, lambda answer: answer.to_json(), alone)
    elif alone and (answer := outcomes[0].answer):
        show_answer(answer, outcomes[0].clip)
    else:
        show_outcomes(outcomes)
    if interrupted:
        raise KeyboardInterrupt
    raise typer.Exit(exit_status(outcomes, lambda answer: answer.identified))
