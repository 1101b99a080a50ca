"""The Arrow files of a bundle give back the columns that were written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audotics.bundle.catalog import (
    IDS_FILE,
    TRACKS_FILE,
    Histories,
    read_histories,
    read_ids,
    read_tracks,
    write_histories,
    write_ids,
    write_tracks,
)
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TagSets, TrackColumns

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def same(actual: TrackColumns, expected: TrackColumns) -> bool:
    for field in fields(TrackColumns):
        left, right = getattr(actual, field.name), getattr(expected, field.name)
        if isinstance(left, TagSets):
            assert [left.row(i) for i in range(len(left))] == [right.row(i) for i in range(len(right))]
            assert left.names == right.names
        else:
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)
    return True


@pytest.fixture
def tracks() -> TrackColumns:
    audio = np.random.default_rng(0).random((3, len(AUDIO_FEATURES)))
    audio[1] = np.nan
    return TrackColumns.build(
        ["t1", "t2", "ключ 3"],
        titles=["Blue Train", "", "日本"],
        artists=["John Coltrane", "", "x"],
        albums=["a", "b", ""],
        tags=TagSets.from_lists([["jazz", "hard bop"], [], ["jazz"]]),
        audio=audio,
        release_years=np.asarray([1957, 0, 2020]),
        explicit=np.asarray([0, -1, 1]),
        durations_ms=np.asarray([640_000, 0, 1]),
        popularity=np.asarray([0.5, np.nan, 1.0]),
        plays=np.asarray([3.0, 0.0, 7.0]),
    )


def test_all_columns_of_tracks_come_back(tmp_path, tracks):
    write_tracks(tmp_path, tracks)

    loaded = read_tracks(tmp_path)

    assert same(loaded, tracks)
    assert loaded.fingerprint() == tracks.fingerprint()
    assert loaded.tags.mask(["jazz"]).tolist() == [True, False, True]


@pytest.mark.parametrize("n_tracks", [0, 1, 5])
def test_a_catalogue_without_tags_or_without_tracks_comes_back(tmp_path, n_tracks):
    tracks = TrackColumns.build([f"t{row}" for row in range(n_tracks)])
    write_tracks(tmp_path, tracks)

    assert same(read_tracks(tmp_path), tracks)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(words, st.lists(words, max_size=4)), max_size=8))
def test_any_text_and_any_tags_come_back(tmp_path, rows):
    tracks = TrackColumns.build(
        [name for name, _ in rows],
        titles=[name for name, _ in rows],
        tags=TagSets.from_lists([tags for _, tags in rows]),
    )
    write_tracks(tmp_path, tracks)

    assert same(read_tracks(tmp_path), tracks)


def test_columns_may_be_altered_without_touching_the_file(tmp_path, tracks):
    write_tracks(tmp_path, tracks)
    loaded = read_tracks(tmp_path).take(np.asarray([2, 0]))
    loaded.titles[0] = "changed"
    loaded.plays[0] = 99.0

    assert same(read_tracks(tmp_path), tracks)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lists=st.lists(st.tuples(words, st.lists(st.integers(0, 2**31 - 1), max_size=6)), max_size=6))
def test_histories_come_back(tmp_path, lists):
    user_ids = np.empty(len(lists), object)
    user_ids[:] = [name for name, _ in lists]
    offsets = np.cumsum([0, *(len(rows) for _, rows in lists)]).astype(np.int64)
    rows = np.asarray([row for _, rows in lists for row in rows], np.int32)
    write_histories(tmp_path, Histories(user_ids, offsets, rows))

    loaded = read_histories(tmp_path)

    assert loaded.user_ids.tolist() == user_ids.tolist()
    assert loaded.offsets.dtype == np.int64
    assert loaded.rows.dtype == np.int32
    np.testing.assert_array_equal(loaded.offsets, offsets)
    np.testing.assert_array_equal(loaded.rows, rows)


def test_ids_come_back_in_order(tmp_path):
    write_ids(tmp_path, np.asarray(["b", "a", "ü"], object))

    assert read_ids(tmp_path).tolist() == ["b", "a", "ü"]


def overwrite(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def beyond_the_end() -> pa.Array:
    texts = pa.array(["t1", "t2", "t3"])
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[:4].copy()
    offsets[2] = 2**31 - 1
    return pa.Array.from_buffers(pa.string(), 3, [None, pa.py_buffer(offsets), texts.buffers()[2]])


def no_text() -> pa.Array:
    return pa.Array.from_buffers(pa.string(), 2, pa.array([b"t1", b"\xff\xfe"]).buffers())


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (beyond_the_end, "out of bounds"),
        (no_text, "UTF8"),
        (lambda: pa.array(["t1", None]), "'track_id' has empty places"),
        (lambda: pa.nulls(2), "'track_id' is null, not string"),
        (lambda: pa.array([1, 2]), "'track_id' is int64, not string"),
        (lambda: pa.array([["t1"]]), "'track_id' is list"),
    ],
)
def test_ids_that_are_none_are_refused(tmp_path: Path, column: Callable[[], pa.Array], reason: str) -> None:
    overwrite(tmp_path / IDS_FILE, pa.table({"track_id": column()}))
    with pytest.raises(ValueError, match=reason):
        read_ids(tmp_path)


@pytest.mark.parametrize("data", [b"", b"no table", b"ARROW1\0\0" + b"\xff" * 300 + b"ARROW1"])
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / IDS_FILE).write_bytes(data)
    with pytest.raises(pa.ArrowInvalid) as refusal:
        read_ids(tmp_path)
    assert isinstance(refusal.value, ValueError)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("plays", pa.array([1.0, 2.0, 3.0]), "'plays' is double, not float"),
        ("plays", pa.array([1.0, None, 3.0], pa.float32()), "'plays' has empty places"),
        ("release_years", pa.array([10**9] * 3), "'release_years' is int64, not int16"),
        ("audio.tempo", pa.array(["fast"] * 3), "'audio.tempo' is string"),
        ("tags", pa.array([["rock"]] * 3), "'tags' is list"),
        ("tags", pa.array([None] * 3, pa.large_list(pa.dictionary(pa.int32(), pa.string()))), "empty places"),
        ("titles", pa.array([None, "b", "c"]), "'titles' has empty places"),
    ],
)
def test_a_column_of_something_else_is_named(tmp_path: Path, tracks: TrackColumns, name, values, reason) -> None:
    write_tracks(tmp_path, tracks)
    table = pa.ipc.open_file(pa.BufferReader((tmp_path / TRACKS_FILE).read_bytes())).read_all()
    overwrite(tmp_path / TRACKS_FILE, table.set_column(table.column_names.index(name), name, values))
    with pytest.raises(ValueError, match=reason):
        read_tracks(tmp_path)
    overwrite(tmp_path / TRACKS_FILE, table.drop_columns([name]))
    with pytest.raises(ValueError, match=f"it has no column '{name}'"):
        read_tracks(tmp_path)


def test_what_was_read_outlives_its_file(tmp_path: Path, tracks: TrackColumns) -> None:
    write_tracks(tmp_path, tracks)
    loaded = read_tracks(tmp_path)
    (tmp_path / TRACKS_FILE).write_bytes(b"")  # in place, which would end a process that has the file mapped

    assert loaded.fingerprint() == tracks.fingerprint()
    assert loaded.plays.tolist() == tracks.plays.tolist()
