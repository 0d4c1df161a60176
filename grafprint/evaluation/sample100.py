"""Sample100 (Van Balen, 2011) and its extended annotations of 2025: who samples whom, and where.

Audio does not come with either: the folder holds one's own files, named by track
(``T001.mp3``), beside or below ``samples.csv``. Any other audio there is *noise*: more songs to
be confused with.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafprint.audio.folders import audio_files
from grafprint.errors import DataError
from grafprint.evaluation.samples import Occurrence, SampleQuery

TABLE, ANNOTATIONS = "samples.csv", "annotations"
# As the extended table names its columns, and the first one.
_REFERENCE = ("target_track_id", "original_track_id")
_QUERY = ("query_track_id", "sample_track_id")
_KIND = ("sample_type", "query_type")
_REFERENCE_S, _QUERY_S = ("t_target", "t_original"), ("t_query", "t_sample")
_GAP_S = 0.5  # between repeats that count as one stretch of sound

Span = tuple[float, float]


@dataclass(frozen=True)
class Relation:
    """That the track ``query`` samples the track ``reference``.

    ``kind`` is ``beat``, ``riff`` or ``1-note``. ``tempo_ratio`` is the tempo in the query by that
    in the reference, None if it is not known. In the reference the sample is at ``places_s``. In
    the query it is at ``spans_s``, or, where the annotators marked its ``absences_s``, from the
    first of ``spans_s`` on but for these.
    """

    sample_id: str
    reference: str
    query: str
    kind: str
    tempo_ratio: float | None
    interpolation: str
    places_s: tuple[Span, ...]
    spans_s: tuple[Span, ...]
    absences_s: tuple[Span, ...] = ()

    def sounding(self, duration_s: float) -> list[Span]:
        """Where in the query it sounds, in order; ``duration_s`` is the query's."""
        spans = sorted((a, min(b, duration_s)) for a, b in self.spans_s if a < duration_s)
        if not self.absences_s:
            return spans
        found, now = [], spans[0][0] if spans else 0.0
        for begin, end in sorted(self.absences_s):
            if begin > now:
                found.append((now, min(begin, duration_s)))
            now = max(now, end)
        if now < duration_s:
            found.append((now, duration_s))
        return [(a, b) for a, b in found if b > a]

    def stretches(self, duration_s: float) -> list[Span]:
        """:meth:`sounding`, with repeats that follow each other joined."""
        joined: list[Span] = []
        for begin, end in self.sounding(duration_s):
            if joined and begin - joined[-1][1] <= _GAP_S:
                begin, end = joined[-1][0], max(end, joined.pop()[1])
            joined.append((begin, end))
        return joined

    @property
    def groups(self) -> dict[str, str]:
        """By what the paper's tables and this project's group queries."""
        ratio = self.tempo_ratio
        change = "not known" if ratio is None else f"{100 * abs(ratio - 1):.0f}"
        if ratio is not None:
            percent = float(change)
            change = "within 2 %" if percent <= 2 else "2-10 %" if percent <= 10 else "over 10 %"
        return {"kind": self.kind, "tempo": change}


@dataclass(frozen=True)
class Sample100:
    """The relations whose audio is there, and the files: of queries, references and noise.

    ``missing`` are the tracks of relations that are left out, as their audio is not there.
    """

    relations: list[Relation]
    queries: dict[str, Path]
    references: dict[str, Path]
    noise: list[Path]
    missing: list[str]

    def truth(self, query: str, duration_s: float) -> SampleQuery:
        """What is true of a query; times within its places are not known more closely."""
        own = [relation for relation in self.relations if relation.query == query]
        sampled: dict[str, tuple[Occurrence, ...]] = {}
        for relation in own:
            found = [Occurrence(a, b, relation.places_s, aligned=False)
                     for a, b in relation.stretches(duration_s)]  # fmt: skip
            sampled[relation.reference] = (*sampled.get(relation.reference, ()), *found)
        kinds = {relation.kind for relation in own}
        groups = {"kind": kinds.pop() if len(kinds) == 1 else "several"}
        return SampleQuery(query, sampled, groups, query)


def read_sample100(folder: str | Path) -> Sample100:
    """Read ``samples.csv``, ``annotations/`` if there is one, and find the audio in a folder.

    Raises DataError, which says what is wrong, if the table or an annotation cannot be read, or no
    relation has the audio of both tracks.
    """
    folder = Path(folder)
    relations = read_relations(folder)
    tracks = {name for relation in relations for name in (relation.query, relation.reference)}
    files: dict[str, Path] = {}
    noise: list[Path] = []
    for path in audio_files(folder, []):
        name = path.stem.upper()
        if name in tracks:
            files.setdefault(name, path)
        else:
            noise.append(path)
    usable = [r for r in relations if r.query in files and r.reference in files]
    if not usable:
        raise DataError(
            f"{folder}: there is no audio of a song and of what it samples; name the files by "
            f"track, as {relations[0].query}.mp3 and {relations[0].reference}.mp3"
        )
    # A song without its sample would count as a query that nothing can be found for.
    return Sample100(
        usable,
        {name: files[name] for name in sorted({r.query for r in usable})},
        {name: files[name] for name in sorted({r.reference for r in relations} & files.keys())},
        noise,
        sorted(tracks - files.keys()),
    )


def read_relations(folder: Path) -> list[Relation]:
    """The relations of a folder with ``samples.csv``, original or extended.

    Raises DataError if it cannot be read.
    """
    table = folder / TABLE
    try:
        # Made with several programs: line ends are \r, and some dashes are in other encodings.
        text = table.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise DataError(f"{table}: cannot be read ({error}); it comes with Sample100") from error
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    names = rows.fieldnames or []
    chosen: dict[tuple[str, ...], str] = {}
    for choices in (_REFERENCE, _QUERY, _KIND, _REFERENCE_S, _QUERY_S):
        known = [name for name in choices if name in names]
        if not known:
            raise DataError(f"{table}: there is no column {' or '.join(choices)}")
        chosen[choices] = known[0]
    relations = []
    for row in rows:
        if not row.get("sample_id"):
            continue
        values = {choices: (row.get(name) or "").strip() for choices, name in chosen.items()}
        try:
            relations.append(_relation(folder, row, values))
        except ValueError as error:
            raise DataError(f"{table} line {rows.line_num}: {error}") from error
    if not relations:
        raise DataError(f"{table}: there are no relations in it")
    return relations


def _relation(
    folder: Path, row: Mapping[str, Any], values: Mapping[tuple[str, ...], str]
) -> Relation:
    """A row of the table; times are those of its annotation, if there is one."""
    sample = str(row["sample_id"]).strip()
    ratio = str(row.get("estimated_tempo_ratio") or "").strip()
    at = float(values[_REFERENCE_S])
    places: tuple[Span, ...] = ((at, at),)
    spans: tuple[Span, ...] = ((float(values[_QUERY_S]), math.inf),)
    absences: tuple[Span, ...] = ()
    file = folder / ANNOTATIONS / f"{sample}.json"
    if file.is_file():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            spans, absences = _spans(found["query_time_annotations"])
            places, _ = _spans(found["target_time_annotations"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file}: not an annotation of a sample ({error})") from error
    kind = values[_KIND].casefold()
    return Relation(
        sample,
        values[_REFERENCE].upper(),
        values[_QUERY].upper(),
        "1-note" if kind == "one note" else kind,
        float(ratio) if ratio else None,
        str(row.get("interpolation") or "").strip(),
        places,
        spans,
        absences,
    )


def _spans(annotations: list[dict[str, Any]]) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Occurrences and absences. Only the first of each id says which of the two it is."""
    types: dict[Any, str] = {}
    occurrences: list[Span] = []
    absences: list[Span] = []
    for entry in annotations:
        kind = types.setdefault(entry["id"], str(entry.get("type", "occurrence")))
        span = float(entry["start_time"]), float(entry["end_time"])
        (absences if kind == "absence" else occurrences).append(span)
    return tuple(occurrences), tuple(absences)
