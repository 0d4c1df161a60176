"""Sample100's tables and annotations, as they are published, with a few seconds of real music."""

import json
import math
from pathlib import Path

import pytest

from grafprint.errors import DataError
from grafprint.evaluation.sample100 import read_relations, read_sample100
from tests.libraries import excerpt, write_wav

# Line ends, encodings and unquoted commas are as in the published tables.
ORIGINAL = (
    "sample_id,original_track_id,sample_track_id,t_original,t_sample,n_repetitions,sample_type,"
    "interpolation,comments\r"
    "S001,T002,T001,0,3,19,riff,no, starts counted\r"
    "S033,T045,T054,2,12,92,One note,no, \r"
    "S036,T058,T059,5,10,26,beat,maybe, Short \xd0 not counted\r"
)
EXTENDED = (
    "sample_id,target_track_id,query_track_id,t_target,t_query,n_repetitions,"
    "estimated_tempo_ratio,target_instruments,query_interfering_instruments,sample_type,"
    "interpolation,comments\n"
    "S001,T002,T001,0,0,19,1.03,drums/bass,other/vocals,riff,no, starts counted, looped\n"
    "S002,T003,T001,0,1,4,0.75,bass/other,vocals/other,beat,no, intro\n"
    "S010,T002,T004,1,2,1,,drums/other,,riff,maybe,\n"
)
S001 = {
    "query_time_annotations": [
        {"start_time": 1.0, "end_time": 2.5, "id": 1},
        {"start_time": 2.6, "end_time": 4.0, "id": 1},
        {"start_time": 6.0, "end_time": 8.0, "id": 1},
    ],
    "target_time_annotations": [{"start_time": 0.5, "end_time": 2.0, "id": 1}],
    "target_track_id": "T002",
    "query_track_id": "T001",
    "sample_id": "S001",
}
# An absence is named as such once; other spans with its id are absences, too.
S002 = {
    "query_time_annotations": [
        {"start_time": 0.0, "end_time": 1.0, "id": 1, "type": "absence"},
        {"start_time": 1.0, "end_time": 2.0, "id": 2, "type": "1-bar occurrence"},
        {"start_time": 3.0, "end_time": 4.5, "id": 1},
    ],
    "target_time_annotations": [
        {"start_time": 4.0, "end_time": 5.0, "id": 1, "type": "1-bar occurrence"},
        {"start_time": 4.0, "end_time": 6.0, "id": 2, "type": "2-bar occurrence"},
    ],
    "target_track_id": "T003",
    "query_track_id": "T001",
    "sample_id": "S002",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The extended annotations; of one song's two samples, and of another without its audio."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "samples.csv").write_text(EXTENDED, encoding="utf-8")
    for annotation in (S001, S002):
        path = tmp_path / "annotations" / f"{annotation['sample_id']}.json"
        path.write_text(json.dumps(annotation))
    for number, name in enumerate(("T001", "t002", "T003", "Some other song")):
        write_wav(tmp_path / "audio" / f"{name}.wav", excerpt(number, 20, 9.0))
    return tmp_path


def test_the_first_table_is_read_with_its_line_ends_and_encoding(tmp_path: Path):
    (tmp_path / "samples.csv").write_bytes(ORIGINAL.encode("latin-1"))
    first, note, beat = read_relations(tmp_path)
    assert (first.sample_id, first.reference, first.query) == ("S001", "T002", "T001")
    assert (first.kind, note.kind, beat.kind) == ("riff", "1-note", "beat")
    assert first.tempo_ratio is None and first.groups == {"kind": "riff", "tempo": "not known"}
    # It has a place, but no ends.
    assert first.places_s == ((0.0, 0.0),) and first.spans_s == ((3.0, math.inf),)
    assert first.sounding(10.0) == [(3.0, 10.0)]


def test_the_extended_table_has_times_and_tempo(folder: Path):
    one, two, three = read_relations(folder)
    assert one.spans_s == ((1.0, 2.5), (2.6, 4.0), (6.0, 8.0)) and one.places_s == ((0.5, 2.0),)
    assert one.sounding(7.0) == [(1.0, 2.5), (2.6, 4.0), (6.0, 7.0)]
    assert one.stretches(9.0) == [(1.0, 4.0), (6.0, 8.0)]
    assert (one.tempo_ratio, two.tempo_ratio, three.tempo_ratio) == (1.03, 0.75, None)
    assert [r.groups["tempo"] for r in (one, two)] == ["2-10 %", "over 10 %"]


def test_where_absences_are_marked_the_sample_sounds_in_between(folder: Path):
    two = read_relations(folder)[1]
    assert two.absences_s == ((0.0, 1.0), (3.0, 4.5)) and two.spans_s == ((1.0, 2.0),)
    assert two.sounding(9.0) == [(1.0, 3.0), (4.5, 9.0)]
    assert two.places_s == ((4.0, 5.0), (4.0, 6.0))


def test_audio_is_found_by_track_and_the_rest_is_noise(folder: Path):
    data = read_sample100(folder)
    assert [relation.sample_id for relation in data.relations] == ["S001", "S002"]
    assert list(data.queries) == ["T001"] and list(data.references) == ["T002", "T003"]
    assert [path.name for path in data.noise] == ["Some other song.wav"]
    assert data.missing == ["T004"]
    truth = data.truth("T001", 9.0)
    assert set(truth.sampled) == {"T002", "T003"} and truth.groups == {"kind": "several"}
    assert [(o.start_s, o.end_s) for o in truth.sampled["T002"]] == [(1.0, 4.0), (6.0, 8.0)]
    # Which moment of the sample it is, is not annotated: any within it is right.
    assert truth.sampled["T002"][0].error_s(3.0, 1.9) == 0


def test_what_cannot_be_used_is_refused_with_what_to_do(folder: Path, tmp_path: Path):
    (folder / "annotations" / "S001.json").write_text('{"query_time_annotations": [{"id": 1}]}')
    with pytest.raises(DataError, match=r"S001\.json: not an annotation"):
        read_sample100(folder)
    (folder / "annotations" / "S001.json").unlink()
    for path in (folder / "audio").glob("*.wav"):
        path.unlink()
    with pytest.raises(DataError, match=r"name the files by track, as T001\.mp3 and T002\.mp3"):
        read_sample100(folder)
    (folder / "samples.csv").write_text("sample_id,who\nS001,T001\n")
    with pytest.raises(DataError, match="no column target_track_id or original_track_id"):
        read_sample100(folder)
    (folder / "samples.csv").write_text(EXTENDED.replace("T002,T001,0,0,19", "T002,T001,x,0,19"))
    with pytest.raises(DataError, match="line 2"):
        read_sample100(folder)
    with pytest.raises(DataError, match="it comes with Sample100"):
        read_sample100(tmp_path / "nowhere")
