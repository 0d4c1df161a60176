"""Evaluations whose queries several machines share: each part has a journal; a last run joins them.

Of n parts, each asks every n-th query, so which ones does not depend on how many there are in all.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from grafprint.evaluation import Ask, Outcome
from grafprint.evaluation.journal import read_entries
from grafprint.library.part import Part


def journal_of(journal: Path, part: Part) -> Path:
    """The journal of a part, beside that of the whole."""
    return journal.with_name(f"{journal.stem}.part-{part.number}-of-{part.total}.jsonl")


def asking_part(ask: Ask, part: Part, queries: int) -> Ask:
    """Asks the queries of a part, of ``queries`` in all; its journal numbers them from 0."""
    numbers = part.numbers(queries)
    return lambda places: ask([numbers[place] for place in places])


def asking_rest(ask: Ask, journal: Path, subject: dict[str, Any]) -> Ask:
    """Takes the outcomes that parts have written beside ``journal``, and asks what is missing.

    Raises DataError if a part's journal has another subject than ``journal``.
    """
    found: dict[int, list[list[Any]]] = {}
    for path in sorted(journal.parent.glob(f"{glob.escape(journal.stem)}.part-*-of-*.jsonl")):
        named = re.search(r"\.part-(\d+)-of-(\d+)\.jsonl$", path.name)
        if named:
            entries = read_entries(path, subject)
            # One of another number of parts may hold the same queries, with the same outcomes.
            numbers = Part(int(named[1]), int(named[2])).numbers(len(entries) * int(named[2]))
            found.update(zip(numbers, entries, strict=True))

    def asked(numbers: Sequence[int]) -> Iterator[list[Outcome]]:
        answers = iter(ask([number for number in numbers if number not in found]))
        for number in numbers:
            if number in found:
                yield [Outcome(*values) for values in found[number]]
            else:
                yield next(answers)

    return asked
