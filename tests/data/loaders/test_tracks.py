"""Files of tracks alone, of every suffix: what is read, what is not known, and what is said of a broken one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audotics.data.dataset import DataError, LoadReport
from audotics.data.loaders.tracks import load_tracks
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TrackColumns

ENERGY = AUDIO_FEATURES.index("energy")


def written(path: Path) -> Path:
    """Two tracks in a file of the kind that the suffix names."""
    match path.suffix:
        case ".csv":
            path.write_text('id,title,tags,year,explicit,energy\na,"One, two",Rock|live,1999,true,0.5\nb,,,,,\n')
        case ".parquet":
            columns = {
                "track_id": ["a", "b"],
                "title": ["One, two", None],
                "tags": [["Rock", "live"], []],
                "year": [1999, None],
                "explicit": [True, None],
                "energy": [0.5, None],
            }
            pq.write_table(pa.table(columns), path)
        case _:
            first = {"track_id": "a", "title": "One, two", "tags": ["Rock", "live"], "release_year": 1999}
            first |= {"explicit": True, "audio_features": {"energy": 0.5}}
            path.write_text(f"{json.dumps(first)}\n\n{json.dumps({'track_id': 'b', 'title': None})}\n")
    return path


def read(path: Path, **options: bool) -> tuple[TrackColumns, LoadReport]:
    report = LoadReport(str(path))
    return load_tracks(path, report=report, **options), report


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl"])
def test_every_kind_of_file_says_the_same(tmp_path: Path, name: str) -> None:
    tracks, report = read(written(tmp_path / name))
    assert list(tracks.ids) == ["a", "b"]
    assert list(tracks.titles) == ["One, two", ""]
    assert [tracks.tags.row(row) for row in range(2)] == [["rock", "live"], []]
    assert tracks.release_years.tolist() == [1999, 0]
    assert tracks.explicit.tolist() == [1, -1]
    assert tracks.audio[0, ENERGY] == np.float32(0.5)
    assert np.isnan(tracks.audio[1]).all()
    assert +report.dropped == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"t.jsonl:2: no JSON"),
        ("[1]", r"t.jsonl:2: no object"),
        ('{"id": "b", "energy": 7}', r"t.jsonl:2: energy is out of range"),
        ('{"title": "x"}', r"t.jsonl:2: id is missing"),
    ],
)
def test_a_broken_line_is_named_or_left_out(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"id": "a", "energy": 0.1}}\n{line}\n')
    with pytest.raises(DataError, match=message):
        read(path)
    tracks, report = read(path, skip_bad_rows=True)
    assert list(tracks.ids) == ["a"]
    assert sum(report.dropped.values()) == 1


def test_a_file_that_cannot_be_read_says_what_can(tmp_path: Path) -> None:
    for name, content, message in (
        ("t.txt", "x", r"known file suffixes: .csv, .tsv, .parquet, .jsonl"),
        ("t.jsonl", "", "no column for 'id'"),
        ("u.jsonl", '{"name": 1}', "no column for 'id'"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=message):
            read(tmp_path / name)
    with pytest.raises(DataError, match="there is no such file"):
        read(tmp_path / "nothing.csv")
