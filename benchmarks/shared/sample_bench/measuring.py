"""Ask rankers, write down what they answer, and make figures of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.shared.sample_bench.queries import BenchConfig, clip_span, truth
from benchmarks.shared.sample_bench.rankers import Ranker, Span
from grafprint import audio
from grafprint.evaluation.journal import Journal
from grafprint.evaluation.sample100 import Sample100
from grafprint.evaluation.samples import (
    RankedSong,
    SampleAnswer,
    SampleQuery,
    compare_precision,
    empty_scores,
    least_score,
    score_groups,
    score_samples,
)

LENGTHS_S = (5.0, 7.0, 10.0, 15.0, 20.0)
WHOLE = "whole"


@dataclass(frozen=True)
class Question:
    """A recording to ask about: whole, and clips of it; what is true of each."""

    file: Path
    spans: list[Span]
    lengths: list[str]
    truths: list[SampleQuery]

    def whole(self) -> Question:
        """The same without its clips."""
        return Question(self.file, self.spans[:1], self.lengths[:1], self.truths[:1])


def bench_questions(
    folder: Path, entries: Sequence[dict[str, Any]], config: BenchConfig
) -> list[Question]:
    """The queries of the bench: each whole, and a clip of each length."""
    questions = []
    for number, entry in enumerate(entries):
        whole = truth(entry)
        spans = [clip_span(entry, length, config, number) for length in LENGTHS_S]
        questions.append(
            Question(
                folder / entry["file"],
                [(0.0, config.length_s), *spans],
                [WHOLE, *(f"{length:g} s" for length in LENGTHS_S)],
                [whole, *(whole.cut(*span) for span in spans)],
            )
        )
    return questions


def sample100_questions(data: Sample100) -> list[Question]:
    """The queries of Sample100, and of every relation a clip of each length where it is heard."""
    questions = []
    for name, file in data.queries.items():
        duration_s = sum(len(chunk) for chunk in audio.stream(file)) / audio.SAMPLE_RATE
        whole = data.truth(name, duration_s)
        spans: list[Span] = [(0.0, duration_s)]
        lengths, truths = [WHOLE], [whole]
        for relation in (r for r in data.relations if r.query == name):
            if not (heard := relation.stretches(duration_s)):
                continue
            for length in LENGTHS_S:
                # The first stretch that fills the clip, or else the longest one.
                long = [span for span in heard if span[1] - span[0] >= length]
                span = long[0] if long else max(heard, key=lambda s: s[1] - s[0])
                start = max(0.0, min(span[0], duration_s - length))
                part = whole.cut(start, min(start + length, duration_s))
                if not part.sampled or duration_s < length:
                    continue
                spans.append((start, start + length))
                lengths.append(f"{length:g} s")
                truths.append(SampleQuery(name, part.sampled, relation.groups, name))
        questions.append(Question(file, spans, lengths, truths))
    return questions


def ask(
    ranker: Ranker, questions: Sequence[Question], written: Journal
) -> list[list[SampleAnswer]]:
    """The answers to every question; those in the journal are not asked again."""
    for number in range(len(written.entries), len(questions)):
        question = questions[number]
        answers = ranker.answer(audio.load(question.file), question.spans)
        written.add([_plain(answer) for answer in answers])
        if (number + 1) % 10 == 0 or number + 1 == len(questions):
            print(f"{written.path.stem}: {number + 1} of {len(questions)}", flush=True)
    return answers_of(written)


def answers_of(written: Journal) -> list[list[SampleAnswer]]:
    """The answers in a journal, to each question."""
    return [[_answer(values) for values in entry] for entry in written.entries]


def figures(
    questions: Sequence[Question], answers: Sequence[Sequence[SampleAnswer]]
) -> dict[str, Any]:
    """The figures of a row: of whole queries, also by their groups, and of clips by length."""
    lengths = dict.fromkeys(length for question in questions for length in question.lengths)
    results: dict[str, Any] = {"lengths": {}}
    for length in lengths:
        asked, said = _of_length(questions, answers, length)
        if length == WHOLE:
            results[WHOLE] = score_samples(asked, said).to_json()
            results["groups"] = _groups(asked, said)
            # The threshold that would let 5 % of these empty queries through, and all their scores.
            results["least_score"] = least_score(asked, said)
            results["empty_scores"] = [round(s, 3) for s in empty_scores(asked, said)]
        else:
            results["lengths"][length] = score_samples(asked, said).to_json()
    return results


def difference(
    questions: Sequence[Question],
    first: Sequence[Sequence[SampleAnswer]],
    second: Sequence[Sequence[SampleAnswer]],
) -> list[float]:
    """What the second row has more of mAP than the first, on whole queries, with its interval.

    Their answers to clips do not count, and need not be there.
    """
    asked = [question.truths[0] for question in questions]
    one, two = ([answers[0] for answers in row] for row in (first, second))
    return [round(v, 5) for v in compare_precision(asked, one, two)]


def _groups(asked: list[SampleQuery], said: list[SampleAnswer]) -> dict[str, Any]:
    return {
        group: {value: scores.to_json() for value, scores in values.items()}
        for group, values in score_groups(asked, said).items()
    }


def _of_length(
    questions: Sequence[Question], answers: Sequence[Sequence[SampleAnswer]], length: str
) -> tuple[list[SampleQuery], list[SampleAnswer]]:
    chosen = [
        (truth, answer)
        for question, given in zip(questions, answers, strict=True)
        for name, truth, answer in zip(question.lengths, question.truths, given, strict=True)
        if name == length
    ]
    return [truth for truth, _ in chosen], [answer for _, answer in chosen]


def _plain(answer: SampleAnswer) -> dict[str, Any]:
    songs = [[s.song, round(s.score, 5), round(s.query_s, 2), round(s.song_s, 2)]
             for s in answer.songs]  # fmt: skip
    return {"reported": answer.reported, "songs": songs}


def _answer(values: dict[str, Any]) -> SampleAnswer:
    return SampleAnswer(tuple(RankedSong(*song) for song in values["songs"]), values["reported"])
