"""The tab Benchmark: hit rates on the library in use, shown while they are measured."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from demo import cards, work
from demo.benchmark import cards as benchmark_cards
from demo.benchmark import stored
from demo.benchmark.stored import Stored, StoredError
from demo.studio import UNQUEUED, Studio, Visit
from grafprint import evaluation
from grafprint.degradation.banks import NoiseBank, RoomBank, noise_bank, room_bank
from grafprint.evaluation import MEASURES, EvaluationConfig, Report
from grafprint.library import LibraryError

LENGTHS_S, SNRS_DB = (1, 2, 3, 5, 10), (-5, 0, 5, 10, 15, 20)
REVERBS = {"without": (False,), "with": (True,), "both": (False, True)}
FEWEST, MOST = 5, 200  # queries per cell
MOST_CELLS = 100
LONGEST_S = 30
NOTHING = "nothing"  # to compare with
# Results are redrawn at this interval, and take at most this share of the time.
DRAW_EVERY_S, DRAW_SHARE = 1.0, 0.25

# One evaluation at a time on the whole server; others wait in the queue.
EVALUATION_LIMIT: dict[str, Any] = {"concurrency_id": "evaluate", "concurrency_limit": 1}


@dataclass
class Board:
    """What a visitor sees, changed in place while an evaluation runs; one per visit."""

    measure: str = "hit_50ms"
    report: Report | None = None
    beside: Stored | None = None
    kept: dict[str, Stored] = field(default_factory=dict)  # earlier results of the visit, by name

    def results(self) -> tuple[str, str]:
        """Table and curves as HTML; empty without a report."""
        if self.report is None:
            return "", ""
        return benchmark_cards.results(self.report, self.measure, self.beside)

    def keep(self, name: str) -> None:
        """Keep the report so that later ones can be compared with it."""
        if self.report is not None and self.report.done:
            self.kept[name] = stored.of_report(self.report, name)


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""
    turn = work.Turn()
    ours = stored.of_the_project()

    def begin(stop: work.Stop, board: Board) -> tuple[Any, ...]:
        board.report = None
        return turn.begin(stop), gr.update(visible=True), gr.update(interactive=False), ""

    def end(board: Board, name: str) -> tuple[Any, ...]:
        board.keep(f"Run {len(board.kept) + 1} of this visit, library “{name}”")
        choices = gr.update(choices=[NOTHING, *ours, *board.kept])
        return gr.update(visible=False), gr.update(interactive=True), files(board), choices

    def run(
        lengths: list[str],
        snrs: list[str],
        reverb: str,
        queries: float,
        seed: float,
        name: str,
        board: Board,
        stop: work.Stop,
    ) -> Iterator[tuple[str, str, str]]:
        try:
            config = configuration(lengths, snrs, reverb, queries, seed)
            with turn.lock, contextlib.closing(_reports(studio, name, config)) as reports:
                yield work.bar("Preparing noises and rooms", 0), "", ""
                next_s, report = 0.0, next(reports)
                began_s = time.monotonic()
                for report in reports:
                    board.report = report
                    now_s = time.monotonic()
                    if stop.wanted or report.done == config.queries:
                        break
                    if now_s >= next_s:
                        yield benchmark_cards.progress(report, now_s - began_s), *board.results()
                        cost_s = time.monotonic() - now_s
                        next_s = now_s + max(DRAW_EVERY_S, cost_s / DRAW_SHARE)
            yield benchmark_cards.summary(report), *board.results()
        except (ValueError, LibraryError) as error:
            yield cards.problem(str(error)), "", ""

    def measure(chosen: str, board: Board) -> tuple[str, str, str]:
        board.measure = chosen if chosen in MEASURES else board.measure
        return *board.results(), files(board)

    def compare(chosen: str, board: Board) -> tuple[str, str]:
        board.beside = ours.get(chosen) or board.kept.get(chosen)
        return board.results()

    def compare_file(path: str | None, board: Board) -> tuple[Any, ...]:
        if path is None:
            return gr.skip(), *board.results()
        try:
            board.beside = stored.from_file(Path(path))
        except StoredError as error:
            raise gr.Error(str(error), print_exception=False) from error
        board.kept[board.beside.name] = board.beside
        choices = [NOTHING, *ours, *board.kept]
        return gr.update(choices=choices, value=board.beside.name), *board.results()

    def files(board: Board) -> str:
        return benchmark_cards.downloads(board.report, board.measure) if board.report else ""

    def plan(lengths: list[str], snrs: list[str], reverb: str, queries: float, name: str) -> str:
        try:
            config = configuration(lengths, snrs, reverb, queries, 0)
        except ValueError as error:
            return benchmark_cards.sentence(str(error))
        return benchmark_cards.plan(config, name, turn.lock.locked())

    def evaluate(
        lengths: str = "1,2,3,5",
        snrs: str = "0,10,20,none",
        reverb: str = "both",
        queries: int = 20,
        seed: int = 0,
        library: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Measure hit rates on a library. Yields the results so far about once a second.

        Lengths in seconds and SNRs in dB (or none) are separated by commas; reverb is without,
        with or both; queries is the number per cell.
        """
        try:
            config = configuration(lengths.split(","), snrs.split(","), reverb, queries, seed)
            steps = contextlib.closing(_reports(studio, library or studio.home_name, config))
            with turn.lock, steps as reports:
                yielded_s = time.monotonic()
                for report in reports:
                    now_s = time.monotonic()
                    if report.done == config.queries or (
                        report.done and now_s - yielded_s >= DRAW_EVERY_S
                    ):
                        yielded_s = now_s
                        yield {"done": report.done, **report.to_json()}
        except (ValueError, LibraryError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    with gr.Row():
        lengths = gr.CheckboxGroup(
            [(f"{s} s", str(s)) for s in LENGTHS_S],
            value=["1", "3"],
            label="Query lengths",
            min_width=240,
            elem_id="benchmark-lengths",
        )
        snrs = gr.CheckboxGroup(
            [*((f"{s} dB", str(s)) for s in SNRS_DB), ("no noise", "none")],
            value=["0", "10", "none"],
            label="SNR of the noise",
            min_width=240,
            elem_id="benchmark-snrs",
        )
        reverb = gr.Radio(list(REVERBS), value="both", label="Reverb", min_width=240)
    with gr.Row():
        queries = gr.Slider(
            FEWEST,
            MOST,
            value=20,
            step=5,
            label="Queries per cell of the table",
            info="More queries give narrower 95 % intervals.",
            min_width=240,
            elem_id="benchmark-queries",
        )
        seed = gr.Number(
            0,
            precision=0,
            minimum=0,
            label="Seed",
            info="The same seed gives the same queries.",
            min_width=240,
        )
    grid = [lengths, snrs, reverb, queries]
    sentence = gr.HTML("", elem_id="benchmark-plan", padding=False)
    with gr.Row():
        start = gr.Button("Start", variant="primary", elem_id="benchmark-start")
        halt = gr.Button("Stop", visible=False, elem_id="benchmark-stop")
    progress = gr.HTML("", elem_id="benchmark-progress", padding=False)
    chosen = gr.Radio(
        [(words, key) for key, words in MEASURES.items()],
        value="hit_50ms",
        label="Show",
        elem_id="benchmark-measure",
    )
    with gr.Row():
        beside = gr.Dropdown(
            [NOTHING, *ours],
            value=NOTHING,
            label="Compare with",
            info="A stored result, or an earlier one of this visit.",
            elem_id="benchmark-beside",
            min_width=240,
        )
        saved = gr.UploadButton(
            "Open a result (JSON)",
            file_types=[".json"],
            type="filepath",
            scale=0,
            min_width=200,
            elem_id="benchmark-open",
        )
    table = gr.HTML("", elem_id="benchmark-table", padding=False)
    curves = gr.HTML("", elem_id="benchmark-curves", padding=False)
    links = gr.HTML("", elem_id="benchmark-files", padding=False)
    board, stop = gr.State(Board()), gr.State(work.Stop())

    planned: dict[str, Any] = {"fn": plan, "inputs": [*grid, visit.library], "outputs": sentence}
    tab.select(**planned, **UNQUEUED)
    gr.on(
        [lengths.change, snrs.change, reverb.change, queries.change],
        **planned,
        trigger_mode="always_last",
        **UNQUEUED,
    )
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    began = start.click(begin, [stop, board], [progress, halt, start, links], **UNQUEUED)
    over = began.then(
        run,
        [*grid, seed, visit.library, board, stop],
        [progress, table, curves],
        **hidden,
        **EVALUATION_LIMIT,
    )
    over.then(end, [board, visit.library], [halt, start, links, beside], **hidden)
    halt.click(work.Stop.halt, stop, progress, **UNQUEUED)
    chosen.input(measure, [chosen, board], [table, curves, links], **hidden)
    beside.input(compare, [beside, board], [table, curves], **hidden)
    saved.upload(compare_file, [saved, board], [beside, table, curves], **hidden)

    with gr.Row(visible=False):
        texts = [gr.Textbox("1,2,3,5"), gr.Textbox("0,10,20,none"), gr.Textbox("both")]
        numbers = [gr.Number(20, precision=0), gr.Number(0, precision=0)]
        gr.Button().click(
            evaluate,
            [*texts, *numbers, gr.Textbox("")],
            gr.JSON(),
            api_name="evaluate",
            **EVALUATION_LIMIT,
        )


def configuration(
    lengths: Sequence[str], snrs: Sequence[str], reverb: str, queries: float, seed: float
) -> EvaluationConfig:
    """The evaluation that a visitor chose. Raises ValueError, with a message for them."""
    lengths_s = _numbers(lengths, "length", 1, LONGEST_S)
    with_noise = _numbers([s for s in snrs if s.strip() != "none"], "SNR", -40, 80)
    snrs_db: tuple[float | None, ...] = with_noise
    if len(with_noise) < len(snrs):
        snrs_db = (*with_noise, None)
    if not lengths_s or not snrs_db:
        raise ValueError("choose at least one length and one SNR")
    if reverb not in REVERBS:
        raise ValueError("reverb must be without, with or both")
    if not FEWEST <= queries <= MOST:
        raise ValueError(f"choose {FEWEST} to {MOST} queries")
    if len(lengths_s) * len(snrs_db) * len(REVERBS[reverb]) > MOST_CELLS:
        raise ValueError(f"choose fewer lengths or SNRs: a table has at most {MOST_CELLS} cells")
    return EvaluationConfig(
        lengths_s, snrs_db, REVERBS[reverb], queries=int(queries), seed=abs(int(seed or 0))
    )


def _numbers(texts: Sequence[str], what: str, low: float, high: float) -> tuple[float, ...]:
    try:
        values = sorted({float(text) for text in texts})
    except ValueError:
        raise ValueError(f"each {what} must be a number") from None
    if not all(low <= value <= high for value in values):
        raise ValueError(f"each {what} must be {low:g} to {high:g}")
    return tuple(values)


def _reports(studio: Studio, name: str, config: EvaluationConfig) -> Generator[Report, None, None]:
    """Reports from ``evaluation.reports``; nothing is opened before the first is requested."""
    identifier = studio.identifier(name)
    noises, rooms = _banks(studio.noise, studio.rooms, config.seed)
    yield from evaluation.reports(
        identifier.library, identifier.fingerprinter, noises, rooms, config
    )


@functools.lru_cache(maxsize=1)
def _banks(noise: Path | None, rooms: Path | None, seed: int) -> tuple[NoiseBank, RoomBank]:
    """The noises and rooms that ``grafprint evaluate`` uses, which training does not."""
    return noise_bank(noise, "test", 30, 9000 + seed), room_bank(rooms, "test", 20, 9000 + seed)
