"""The catalogue in service: look-ups, changes that keep rows, and what is derived from the columns."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audotics.bundle.catalog import Histories
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.genres import GENRES, genre_matrix
from audotics.features.moods import MOODS
from audotics.features.tracks import TagSets, TrackColumns
from audotics.server.repository.catalog import UNKNOWN_ARTIST, Catalog
from audotics.server.repository.signals import Signals
from audotics.server.types import TrackRecord

FULL = TrackRecord(
    track_id="new",
    title="New Song",
    artist="Somebody",
    album="First",
    tags=("jazz", "late night"),
    release_year=2020,
    explicit=False,
    duration_ms=180_000,
    popularity=0.5,
    audio=tuple(0.5 if index % 2 else None for index in range(len(AUDIO_FEATURES))),
)


@pytest.fixture
def catalog() -> Catalog:
    tracks = TrackColumns.build(
        ["a", "b", "c", "d"],
        titles=["A", "B", "C", "D"],
        artists=["One", "Two", "One", ""],
        tags=TagSets.from_lists([["rock"], ["Jazz", "live"], [], ["hip hop"]]),
        audio=np.linspace(0, 1, 44).reshape(4, 11),
        release_years=np.asarray([1990, 2000, 0, 2010]),
        plays=np.asarray([5.0, 9.0, 0.0, 5.0]),
        popularity=np.asarray([0.1, np.nan, 0.3, 0.9]),
    )
    histories = Histories(np.asarray(["u", "v"], object), np.asarray([0, 3, 3]), np.asarray([2, 0, 1], np.int32))
    return Catalog.build(tracks, histories, version=3, generation=7)


def test_rows_are_found_by_id(catalog):
    assert catalog.row_of("c") == 2
    assert catalog.row_of("nope") == -1
    assert catalog.rows_of(["d", "nope", "a"]).tolist() == [3, -1, 0]
    assert catalog.rows_of([]).tolist() == []


def test_training_histories_are_found_by_user(catalog):
    assert catalog.history_rows("u").tolist() == [2, 0, 1]
    assert catalog.history_rows("v").tolist() == []
    assert catalog.history_rows("w") is None


def test_derived_columns_follow_from_the_tracks(catalog):
    assert catalog.artist_codes.tolist() == [0, 1, 0, UNKNOWN_ARTIST]
    assert catalog.genres[1, GENRES.index("jazz")]
    assert catalog.genres[3, GENRES.index("hip-hop")]
    assert catalog.moods.shape == (4, len(MOODS))
    assert catalog.signals.popular_order.tolist() == [1, 3, 0, 2]  # d before a: as many plays, more popular elsewhere
    assert catalog.signals.cold.tolist() == [False, False, True, False]
    assert catalog.signals.freshness[2] == 0.0
    assert np.argmax(catalog.signals.freshness) == 3
    assert catalog.signals.exposure[0] == catalog.signals.exposure[2] == catalog.signals.exposure[3]


def test_a_record_reads_as_it_was_written(catalog):
    changed = catalog.with_changes(upserts=[FULL])
    assert changed.record(changed.row_of("new")) == FULL
    bare = TrackRecord("bare")
    changed = catalog.with_changes(upserts=[bare])
    assert changed.record(changed.row_of("bare")) == bare


def test_a_new_track_is_appended_and_an_update_keeps_its_row_and_plays(catalog):
    update = TrackRecord("b", title="B again", artist="Three", tags=("classical",))
    changed = catalog.with_changes(upserts=[FULL, update])
    assert changed.columns.ids.tolist() == ["a", "b", "c", "d", "new"]
    assert changed.record(1) == update
    assert changed.columns.plays.tolist() == [5.0, 9.0, 0.0, 5.0, 0.0]
    assert changed.genres[1, GENRES.index("classical")]
    assert not changed.genres[1, GENRES.index("jazz")]
    assert changed.artist_codes.tolist() == [0, 3, 0, UNKNOWN_ARTIST, 2]
    assert changed.artist_codes_of(["Three", "Nobody"]).tolist() == [3]
    assert changed.generation == catalog.generation + 1
    for untouched in (0, 2, 3):
        assert changed.record(untouched) == catalog.record(untouched)
        np.testing.assert_array_equal(changed.moods[untouched], catalog.moods[untouched])
    assert catalog.record(1).title == "B"
    assert len(catalog) == 4


def test_what_an_update_leaves_as_it_is_is_not_copied(catalog):
    renamed = replace(catalog.record(1), title="B, live")
    changed = catalog.with_changes(upserts=[renamed])
    assert changed.record(1) == renamed
    assert catalog.record(1).title == "B"
    copied = {field.name for field in fields(TrackColumns)} - {
        field.name
        for field in fields(TrackColumns)
        if getattr(changed.columns, field.name) is getattr(catalog.columns, field.name)
    }
    assert copied == {"titles"}
    for name in ("moods", "genres", "genre_fits", "artist_codes", "signals"):
        assert getattr(changed, name) is getattr(catalog, name)


def test_the_last_of_two_records_of_a_track_counts(catalog):
    changed = catalog.with_changes(upserts=[TrackRecord("x", title="first"), TrackRecord("x", title="last")])
    assert len(changed) == 5
    assert changed.record(4).title == "last"


def test_a_deleted_track_keeps_its_row_and_can_come_back(catalog):
    gone = catalog.with_changes(deletes=["b", "nope"])
    assert gone.row_of("b") == -1
    assert gone.rows_of(["a", "b"]).tolist() == [0, -1]
    assert gone.all_rows_of(["a", "b"]).tolist() == [0, 1]
    assert gone.live_count == 3
    assert gone.history_rows("u").tolist() == [2, 0, 1]
    back = gone.with_changes(upserts=[TrackRecord("b", title="back")])
    assert back.row_of("b") == 1
    assert back.record(1).title == "back"
    assert back.live_count == 4


def test_changes_lead_from_the_bundle_to_the_catalogue(catalog):
    changed = catalog.with_changes(upserts=[FULL, TrackRecord("b", title="B again")], deletes=["c"])
    changed = changed.with_changes(upserts=[TrackRecord("brief")]).with_changes(deletes=["brief"])
    upserts, deletes = changed.changes()
    again = catalog.with_changes(upserts=upserts, deletes=deletes)
    assert again.columns.ids.tolist() == ["a", "b", "c", "d", "new"]
    ids = ["a", "b", "c", "d", "new", "brief"]
    for track_id in ids:
        row, other = again.row_of(track_id), changed.row_of(track_id)
        assert (row < 0) == (other < 0)
        assert row < 0 or again.record(row) == changed.record(other)


PUBLIC = [field.name for field in fields(Signals) if not field.name.startswith("_")]

RECORDS = st.builds(
    TrackRecord,
    track_id=st.sampled_from([*"abcdef", "new1", "new2", "new3"]),
    title=st.sampled_from(["", "Song"]),
    artist=st.sampled_from(["", "One", "Two", "Three", "Four"]),
    tags=st.lists(st.sampled_from(["rock", "jazz", "live", "new"]), max_size=3, unique=True).map(tuple),
    release_year=st.sampled_from([None, 1990, 2020]),
    popularity=st.sampled_from([None, 0.0, 0.3, 1.0]),
)


@given(
    batches=st.lists(
        st.tuples(st.lists(RECORDS, max_size=5), st.lists(st.sampled_from(["a", "b", "new1", "nope"]), max_size=2)),
        max_size=5,
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_changes_leave_is_what_would_be_derived_from_all_columns(catalog, batches):
    """Changes touch what they have to; everything derived must be as if it were made anew."""
    for upserts, deletes in batches:
        before, catalog = catalog, catalog.with_changes(upserts=upserts, deletes=deletes)
        ids = list(before.columns.ids)
        ids += [track_id for track_id in dict.fromkeys(record.track_id for record in upserts) if track_id not in ids]
        assert catalog.columns.ids.tolist() == ids
        last = {record.track_id: record for record in upserts}
        for row, track_id in enumerate(ids):
            expected = last.get(track_id) or before.record(row)
            found = catalog.record(row)
            assert (found.title, found.artist, sorted(found.tags)) == (
                expected.title,
                expected.artist,
                sorted(expected.tags),
            )
            assert found.release_year == expected.release_year
        gone = {track_id for track_id in ids if track_id in deletes and track_id not in last}
        was = set(before.columns.ids[before.deleted].tolist()) - last.keys()
        assert set(catalog.columns.ids[catalog.deleted].tolist()) == gone | was
        anew = Signals.measure(catalog.columns, catalog.artist_codes)
        for name in PUBLIC:
            np.testing.assert_array_equal(getattr(catalog.signals, name), getattr(anew, name), name)
        np.testing.assert_array_equal(catalog.genres, genre_matrix(catalog.columns.tags))
        names = [catalog.artist_name(code) if code != UNKNOWN_ARTIST else "" for code in catalog.artist_codes.tolist()]
        assert names == catalog.columns.artists.tolist()
        assert catalog.all_rows_of(ids).tolist() == list(range(len(ids)))


def test_signals_are_measured_anew_only_where_their_columns_change(catalog):
    record = catalog.record(0)
    for same in (replace(record, title="Other"), replace(record, tags=(*record.tags, "live"))):
        assert catalog.with_changes(upserts=[same]).signals is catalog.signals
    assert catalog.with_changes(deletes=["a"]).signals is catalog.signals
    for other in (
        replace(record, popularity=0.123),
        replace(record, release_year=1901),
        replace(record, artist="Somebody else"),
        replace(record, track_id="new"),  # one more in every column
    ):
        changed = catalog.with_changes(upserts=[other])
        assert changed.signals is not catalog.signals
        anew = Signals.measure(changed.columns, changed.artist_codes)
        for name in PUBLIC:
            np.testing.assert_array_equal(getattr(changed.signals, name), getattr(anew, name), name)


def test_new_tracks_are_found_however_many_came_at_once_or_after(catalog):
    many = [TrackRecord(f"many{number}", f"Song {number}") for number in range(5000)]
    catalog = catalog.with_changes(upserts=many).with_changes(upserts=[FULL]).with_changes(deletes=["many7"])
    ids = ["a", "many0", "many4999", "new", "many7", "nope"]
    assert catalog.rows_of(ids).tolist() == [0, 4, 5003, 5004, -1, -1]
    assert [catalog.row_of(track_id) for track_id in ids] == [0, 4, 5003, 5004, -1, -1]
    anew = Signals.measure(catalog.columns, catalog.artist_codes)
    np.testing.assert_array_equal(catalog.signals.popular_order, anew.popular_order)
