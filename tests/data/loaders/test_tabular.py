"""Plain CSV, TSV and Parquet: column mapping, track files, times, equal results from all, and broken rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audotics.data.dataset import DataError, Dataset
from audotics.data.loaders import load
from audotics.data.loaders.tabular import load_tabular
from audotics.features.audio import AUDIO_FEATURES

WriteFiles = Callable[[dict[str, str]], Path]

INTERACTIONS = "user_id,track_id,plays,timestamp\nann,x,2,300\nann,y,1,100\nbob,x,5,200\nann,x,1,50\nbob,z,1,250\n"
TRACKS = (
    "id,title,artist,album,tags,release_year,explicit,duration_ms,popularity,energy,tempo\n"
    "x,The X,Ex,First,Rock| pop,1999,true,200000,0.5,0.9,120\n"
    "y,The Y,Why,,,,,,,,0\n"
    "x,Again,Ex,,,,,,,,\n"
)


def assert_is_the_example(dataset: Dataset) -> None:
    assert list(dataset.user_ids) == ["ann", "bob"]
    assert list(dataset.tracks.ids) == ["x", "y", "z"]
    assert [history.tolist() for history in dataset.interactions.histories(2)] == [[0, 1], [0, 2]]
    assert dataset.interactions.weights.tolist() == [3, 1, 5, 1]
    assert dataset.interactions.timestamps.tolist() == [50, 100, 200, 250]
    assert list(dataset.tracks.titles) == ["The X", "The Y", ""]
    assert [dataset.tracks.tags.row(row) for row in range(3)] == [["rock", "pop"], [], []]
    assert dataset.tracks.release_years.tolist() == [1999, 0, 0]
    assert dataset.tracks.explicit.tolist() == [1, -1, -1]
    assert dataset.tracks.durations_ms.tolist() == [200_000, 0, 0]
    assert dataset.tracks.popularity[0] == 0.5
    assert np.isnan(dataset.tracks.popularity[1:]).all()
    assert dataset.tracks.audio[0, AUDIO_FEATURES.index("energy")] == np.float32(0.9)
    assert np.isnan(dataset.tracks.audio[1:]).all()
    assert dataset.report.read["tracks without a row in the track table"] == 1
    assert dataset.report.dropped == {
        "repeated rows of the track table": 1,
        "repeats of a user and a track, joined": 1,
    }


def test_csv_folder(write_files: WriteFiles) -> None:
    assert_is_the_example(load(write_files({"interactions.csv": INTERACTIONS, "tracks.csv": TRACKS})))


def test_tsv_folder_with_byte_order_mark_and_other_line_ends(write_files: WriteFiles) -> None:
    tsv = "\ufeff" + INTERACTIONS.replace(",", "\t").replace("\n", "\r\n")
    assert_is_the_example(load(write_files({"interactions.tsv": tsv, "tracks.tsv": TRACKS.replace(",", "\t")})))


def test_parquet_folder(tmp_path: Path) -> None:
    moments = [datetime.fromtimestamp(second, UTC) for second in (300, 100, 200, 50, 250)]
    listens = pa.table(
        {
            "user_id": ["ann", "ann", "bob", "ann", "bob"],
            "track_id": pa.array(["x", "y", "x", "x", "z"]).dictionary_encode(),
            "plays": [2, 1, 5, 1, 1],
            "timestamp": pa.array(moments, pa.timestamp("us", tz="UTC")),
        }
    )
    tracks = pa.table(
        {
            "id": ["x", "y", "x"],
            "title": ["The X", "The Y", "Again"],
            "tags": [["Rock", "pop"], None, []],
            "release_year": [1999, None, None],
            "explicit": [True, None, None],
            "duration_ms": [200_000, None, None],
            "popularity": [0.5, None, None],
            "energy": pa.array([0.9, None, None], pa.float32()),
            "tempo": [120.0, 0.0, None],
        }
    )
    pq.write_table(listens, tmp_path / "interactions.parquet")
    pq.write_table(tracks, tmp_path / "tracks.parquet")
    assert_is_the_example(load(tmp_path))


def test_a_column_mapping_names_any_columns(write_files: WriteFiles) -> None:
    folder = write_files({"listens.csv": "when,who,what\n20,ann,x\n10,ann,y\n", "songs.csv": "what,called\nx,The X\n"})
    columns = {"user": "who", "track": "what", "timestamp": "when"}
    dataset = load(folder / "listens.csv", columns=columns)
    assert dataset.name == "listens.csv"
    assert dataset.interactions.tracks.tolist() == [1, 0]
    described = load_tabular(
        folder / "listens.csv", tracks=folder / "songs.csv", columns=columns | {"id": "what", "title": "called"}
    )
    assert list(described.tracks.titles) == ["The X", ""]


def test_without_times_the_order_of_the_file_counts(write_files: WriteFiles) -> None:
    folder = write_files({"interactions.csv": "user,track\nb,y\na,x\nb,x\n"})
    assert [history.tolist() for history in load(folder).interactions.histories(2)] == [[0, 1], [1]]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("978300760", 978_300_760),
        ("978300760.9", 978_300_760),
        ("1970-01-02", 86_400),
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T02:00:00+02:00", 0),
    ],
)
def test_times(write_files: WriteFiles, time: str, seconds: int) -> None:
    folder = write_files({"interactions.csv": f"user,track,timestamp\na,x,{time}\n"})
    assert load(folder).interactions.timestamps.tolist() == [seconds]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("cid,x,1", "wrong number of fields: expected 4, found 3"),
        ("cid,x,1,2,3", "wrong number of fields: expected 4, found 5"),
        (",x,1,2", "user_id is missing: the cell is blank"),
        ("cid,x,,2", "plays is not a number: ''"),
        ("cid,x,nan,2", "plays is not a number: 'nan'"),
        ("cid,x,1_0,2", "plays is not a number: '1_0'"),
        ("cid,x,-1,2", "plays is out of range: -1 is outside 0 .. inf"),
        ("cid,x,1,noon", "timestamp is neither seconds since the epoch nor an ISO 8601 time: 'noon'"),
        ("cid,x,1,", "timestamp is neither seconds since the epoch nor an ISO 8601 time: ''"),
    ],
)
def test_a_broken_row_is_named_or_skipped(write_files: WriteFiles, row: str, reason: str) -> None:
    folder = write_files({"interactions.csv": f"{INTERACTIONS}\n{row}\ndan,x,1,7\n", "tracks.csv": TRACKS})
    with pytest.raises(DataError) as caught:
        load(folder)
    assert str(caught.value).startswith(f"{folder / 'interactions.csv'}:8: {reason}; ")
    dataset = load(folder, skip_bad_rows=True)
    assert list(dataset.user_ids) == ["ann", "bob", "dan"]
    assert dataset.report.dropped[f"rows of interactions.csv: {reason.partition(':')[0]}"] == 1


def test_rows_beside_a_broken_one_are_read_as_without_it(write_files: WriteFiles) -> None:
    files = {"interactions.csv": f"{INTERACTIONS}cid,x,many,2\n", "tracks.csv": f"{TRACKS}w,W,A,,,,,,9,,\n"}
    dataset = load(write_files(files), skip_bad_rows=True)
    assert dataset.report.dropped.pop("rows of interactions.csv: plays is not a number") == 1
    assert dataset.report.dropped.pop("rows of tracks.csv: popularity is out of range") == 1
    assert_is_the_example(dataset)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("w,W,A,,,x,,,,,", "release_year is not a number: 'x'"),
        ("w,W,A,,,,maybe,,,,", "explicit is not true or false: 'maybe'"),
        ("w,W,A,,,,,,2,,", "popularity is out of range: 2 is outside 0 .. 1"),
        ("w,W,A,,,,,,,-0.1,", "energy is out of range: -0.1 is outside 0 .. 1"),
    ],
)
def test_a_broken_track_is_named(write_files: WriteFiles, row: str, reason: str) -> None:
    folder = write_files({"interactions.csv": INTERACTIONS, "tracks.csv": f"{TRACKS}{row}\n"})
    with pytest.raises(DataError) as caught:
        load(folder)
    assert str(caught.value).startswith(f"{folder / 'tracks.csv'}:5: {reason}; ")


def test_a_stray_quotation_mark_is_a_broken_row(write_files: WriteFiles) -> None:
    folder = write_files({"interactions.csv": 'user,track\na,"x\nx"\nb,"y\nc,z\nd,z\n'})
    with pytest.raises(DataError, match=r"interactions\.csv:4: quotation marks or line ends are wrong"):
        load(folder)
    dataset = load(folder, skip_bad_rows=True)
    assert list(dataset.user_ids) == ["a", "c", "d"]
    assert list(dataset.tracks.ids) == ["x\nx", "z"]
    assert dataset.report.dropped == {"rows of interactions.csv: quotation marks or line ends are wrong": 1}


def test_a_broken_row_of_parquet_is_counted_from_1(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": ["a", None, "b"], "track": ["x", "y", "z"]}), tmp_path / "interactions.parquet")
    with pytest.raises(DataError, match=r"interactions.parquet:2: user is missing: the cell is blank"):
        load(tmp_path)
    assert list(load(tmp_path, skip_bad_rows=True).user_ids) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("", None, "is empty"),
        ("user,track\n", None, "holds no usable interactions"),
        ("listener,track\na,x\n", None, r":1: has no column for 'user': looked for user, .*, found listener, track;"),
        ("user,track\na,x\n", {"user": "who"}, "has no column for 'user': looked for who, found user, track"),
        ("user,track\na,x\n", {"weight": "w"}, "has no column for 'weight': looked for w"),
        ("user,track\na,x\n", {"listener": "user"}, "unknown key 'listener' in the column mapping; known keys: user,"),
    ],
)
def test_files_that_cannot_be_used(
    write_files: WriteFiles, text: str, columns: dict[str, str] | None, message: str
) -> None:
    folder = write_files({"interactions.csv": text})
    with pytest.raises(DataError, match=message):
        load(folder, columns=columns)


def test_a_file_that_is_no_parquet(write_files: WriteFiles) -> None:
    folder = write_files({"interactions.parquet": "user,track\na,x\n"})
    with pytest.raises(DataError, match=r"interactions\.parquet: is not a Parquet file"):
        load(folder)
