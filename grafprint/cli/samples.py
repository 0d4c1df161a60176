"""``grafprint samples``: which recordings do songs sample, and where?"""

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
    BUNDLED_MODEL,
    BUNDLED_SAMPLES,
    DeviceOption,
    JsonOption,
    ModelOption,
    clock,
    finite,
    positive,
)
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.place import LibraryOption
from grafprint.cli.samples_output import show_song, show_songs
from grafprint.errors import ConfigError, MatchError

if TYPE_CHECKING:
    from grafprint.matching.samples import SamplesFound


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(samples)


def samples(
    songs: Annotated[
        list[Path],
        typer.Argument(
            metavar="SONG",
            help="Audio or video files of 4.1 s or more, folders of them, or - for standard input.",
        ),
    ],
    library: LibraryOption = BUNDLED_SAMPLES,
    reranker: Annotated[
        Path | None,
        typer.Option(
            help="Network of train-reranker, which judges the candidates from their audio.",
            show_default="bundled, for a library by the bundled network",
        ),
    ] = None,
    by_similarity: Annotated[
        bool,
        typer.Option(
            "--by-similarity", help="Use no re-ranker, and no audio: similarity alone decides."
        ),
    ] = False,
    model: ModelOption = BUNDLED_MODEL,
    device: DeviceOption = "cpu",
    start: StartOption = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            callback=positive, help="Use this many seconds of the song.", show_default="all of it"
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Number of candidates to judge.")] = 20,
    least: Annotated[
        float | None,
        typer.Option(
            min=0,
            callback=finite,
            help="Score from which a track counts as sampled.",
            show_default="of the network",
        ),
    ] = None,
    leave_out_itself: Annotated[
        bool,
        typer.Option(
            "--leave-out-itself", help="Leave out tracks that are the song itself, or a release."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find what songs sample: which recordings, where in both, and how sure.

    The library must be made with a network for it: grafprint index --samples, or --model.

    The exit status is 0 if a sample was found, 1 if none was, 2 if there was an error.
    """
    from grafprint.library.add_file import shown
    from grafprint.remote.opening import open_library

    if reranker is not None and by_similarity:
        raise ConfigError("--by-similarity uses no re-ranker: leave out --reranker")
    files, unreadable = find_clips(songs)
    outcomes: list[Outcome[SamplesFound]] = [
        Outcome(path, None, reason) for path, reason in unreadable
    ]
    alone = len(songs) == 1 and not songs[0].is_dir()
    fingerprinter = load_fingerprinter(model, device, library)

    from grafprint.matching.samples import NodeCache, check_networks, find_samples
    from grafprint.models.rerankers import reranker_for

    judge = None if by_similarity else reranker_for(fingerprinter.model_id, reranker)
    check_networks(fingerprinter, judge)
    cache = NodeCache()
    with open_library(library, model_id=fingerprinter.model_id) as opened:
        if not len(opened):
            raise MatchError(f"the library {opened.location} is empty: index some music first")

        def find(song: Path, tell: Callable[[str], None]) -> SamplesFound:
            def at(stage: str, done: float) -> None:
                tell(f"at {clock(done)}" if stage == "listen" else f"compared {100 * done:.0f} %")

            with file_of(song) as file:
                return find_samples(
                    opened,
                    fingerprinter,
                    file,
                    reranker=judge,
                    top_k=top,
                    least=least,
                    same_recording=not leave_out_itself,
                    cache=cache,
                    start_s=start,
                    duration_s=duration,
                    progress=at,
                )

        interrupted = not answer_each(files, find, outcomes, alone)
    if as_json:
        print_as_json(outcomes, lambda found: found.to_json(), alone)
    elif alone and outcomes and outcomes[0].answer:
        show_song(shown(files[0]), outcomes[0].answer)
    else:
        show_songs(outcomes)
    if interrupted:
        raise KeyboardInterrupt
    raise typer.Exit(exit_status(outcomes, lambda found: found.found))
