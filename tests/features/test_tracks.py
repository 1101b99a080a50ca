"""Catalogue columns: tag sets against plain lists of sets, and columns that stay in step."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import UNKNOWN_FLAG, UNKNOWN_YEAR, TagSets, TrackColumns

TAGS = ("rock", "pop", "jazz", "live", "80s", "chill out")
tag_lists = st.lists(st.lists(st.sampled_from(TAGS), max_size=5), max_size=8)


def sets_of(tags: TagSets) -> list[set[str]]:
    rows = [tags.row(index) for index in range(len(tags))]
    assert all(len(row) == len(set(row)) for row in rows)
    return [set(row) for row in rows]


@given(tag_lists)
def test_rows_are_the_sets_they_were_built_from(rows: list[list[str]]) -> None:
    tags = TagSets.from_lists(rows)

    assert sets_of(tags) == [set(row) for row in rows]
    assert {name: int(count) for name, count in zip(tags.names, tags.counts(), strict=True)} == {
        name: sum(name in row for row in rows) for name in tags.names
    }


@given(tag_lists, st.lists(st.sampled_from((*TAGS, "absent")), max_size=4))
def test_mask_and_matrix_ask_each_row(rows: list[list[str]], wanted: list[str]) -> None:
    tags = TagSets.from_lists(rows)

    assert tags.mask(wanted).tolist() == [bool(set(wanted) & set(row)) for row in rows]
    vocabulary = sorted(set(wanted))
    expected = [[float(name in row) for name in vocabulary] for row in rows]
    np.testing.assert_array_equal(tags.matrix(vocabulary), np.reshape(expected, (len(rows), len(vocabulary))))


@given(st.data(), tag_lists)
def test_take_picks_rows_in_any_order_and_more_than_once(data: st.DataObject, rows: list[list[str]]) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8)) if rows else []
    taken = TagSets.from_lists(rows).take(np.asarray(chosen, np.int64))

    assert sets_of(taken) == [set(rows[index]) for index in chosen]


@given(tag_lists, tag_lists)
def test_concat_appends_rows_and_joins_vocabularies(first: list[list[str]], second: list[list[str]]) -> None:
    joined = TagSets.from_lists(first).concat(TagSets.from_lists(second))

    assert sets_of(joined) == [set(row) for row in first + second]
    assert len(set(joined.names)) == len(joined.names)


def test_names_are_cleaned_once_for_all() -> None:
    tags = TagSets.from_lists([[" Rock", "rock", "", "  "], ["ROCK "]])

    assert tags.names == ("rock",)
    assert tags.mask(["  rOCk"]).tolist() == [True, True]


def test_what_a_source_lacks_is_unknown() -> None:
    tracks = TrackColumns.build(["a", "b"])

    assert tracks.titles.tolist() == tracks.artists.tolist() == tracks.albums.tolist() == ["", ""]
    assert sets_of(tracks.tags) == [set(), set()]
    assert tracks.audio.shape == (2, len(AUDIO_FEATURES))
    assert np.isnan(tracks.audio).all()
    assert np.isnan(tracks.popularity).all()
    assert tracks.release_years.tolist() == [UNKNOWN_YEAR] * 2
    assert tracks.explicit.tolist() == [UNKNOWN_FLAG] * 2
    assert tracks.durations_ms.tolist() == tracks.plays.tolist() == [0, 0]


def test_a_column_of_another_length_is_named() -> None:
    with pytest.raises(ValueError, match="column 'release_years' has 3 rows, but there are 2 track ids"):
        TrackColumns.build(["a", "b"], release_years=np.zeros(3, np.int16))


@pytest.fixture
def tracks() -> TrackColumns:
    rng = np.random.default_rng(0)
    n = 6
    return TrackColumns.build(
        [f"t{row}" for row in range(n)],
        titles=[f"Title {row}" for row in range(n)],
        artists=[f"Artist {row % 2}" for row in range(n)],
        albums=[f"Album {row}" for row in range(n)],
        tags=TagSets.from_lists([["rock"], [], ["pop", "live"], ["pop"], ["jazz"], ["rock", "80s"]]),
        audio=rng.random((n, len(AUDIO_FEATURES))),
        release_years=np.arange(1990, 1990 + n),
        explicit=np.asarray([0, 1, -1, 0, 1, -1]),
        durations_ms=np.arange(n) * 1000,
        popularity=rng.random(n),
        plays=np.arange(n, dtype=np.float32),
    )


def assert_equal(actual: TrackColumns, expected: TrackColumns) -> None:
    for field in fields(TrackColumns):
        value, wanted = getattr(actual, field.name), getattr(expected, field.name)
        if isinstance(wanted, TagSets):
            assert sets_of(value) == sets_of(wanted)
        else:
            np.testing.assert_array_equal(value, wanted)
            assert value.dtype == wanted.dtype


def test_parts_put_together_are_the_whole(tracks: TrackColumns) -> None:
    assert_equal(tracks.take(np.arange(2)).concat(tracks.take(np.arange(2, 6))), tracks)


def test_take_keeps_columns_in_step(tracks: TrackColumns) -> None:
    taken = tracks.take(np.asarray([5, 0]))

    assert taken.ids.tolist() == ["t5", "t0"]
    assert taken.titles.tolist() == ["Title 5", "Title 0"]
    assert sets_of(taken.tags) == [{"rock", "80s"}, {"rock"}]
    assert taken.release_years.tolist() == [1995, 1990]
    np.testing.assert_array_equal(taken.audio, tracks.audio[[5, 0]])


def test_with_plays_changes_nothing_else(tracks: TrackColumns) -> None:
    counted = tracks.with_plays(np.full(6, 9, np.float32))

    assert counted.plays.tolist() == [9] * 6
    assert_equal(counted.with_plays(tracks.plays), tracks)


def test_the_fingerprint_tells_ids_and_their_order_apart(tracks: TrackColumns) -> None:
    same = TrackColumns.build([f"t{row}" for row in range(6)])
    assert same.fingerprint() == tracks.fingerprint()

    others = [tracks.take(np.arange(5)), tracks.take(np.arange(6)[::-1]), TrackColumns.build(["t0t1"])]
    prints = {columns.fingerprint() for columns in (tracks, TrackColumns.build(["t0", "t1"]), *others)}
    assert len(prints) == 5


def everything_known() -> TrackColumns:
    """Two tracks of which everything is known."""
    return TrackColumns.build(
        ["a", "b"],
        titles=["A", "B"],
        artists=["X", "Y"],
        albums=["M", "N"],
        tags=TagSets.from_lists([["rock"], ["jazz", "live"]]),
        audio=np.full((2, len(AUDIO_FEATURES)), 0.5),
        release_years=np.asarray([1990, 2000]),
        explicit=np.asarray([0, 1]),
        durations_ms=np.asarray([1000, 2000]),
        popularity=np.asarray([0.1, 0.2]),
        plays=np.asarray([3.0, 4.0]),
    )


@pytest.mark.parametrize("name", [field.name for field in fields(TrackColumns)])
def test_the_digest_of_the_content_tells_any_change(name: str) -> None:
    columns = everything_known()
    assert columns.content_digest() == everything_known().content_digest()
    value = getattr(columns, name)
    other = replace(columns, **{name: value.take(np.asarray([1, 0])) if name == "tags" else value[::-1].copy()})
    if name == "audio":
        other.audio[0, 3] = 0.25
    assert other.content_digest() != columns.content_digest()


def test_the_digest_of_the_content_tells_whose_tags_they_are() -> None:
    """The same tags in the same order, of other tracks."""
    columns = everything_known()
    other = replace(columns, tags=TagSets.from_lists([["rock", "jazz"], ["live"]]))
    assert other.content_digest() != columns.content_digest()
