"""The catalogue overlay: the latest change of each track comes back."""

from __future__ import annotations

import pytest

from audotics.server.storage.database import Database
from audotics.server.storage.tracks import Overlay, TrackStore
from audotics.server.types import TrackRecord

FULL = TrackRecord(
    track_id="t1",
    title="Title",
    artist="Artist",
    album="Album",
    tags=("rock", "live"),
    release_year=1999,
    explicit=False,
    duration_ms=1000,
    popularity=0.25,
    audio=(0.5, None, *[1.0] * 9),
)


@pytest.fixture
def tracks(database: Database) -> TrackStore:
    return TrackStore(database)


def test_starts_empty(tracks: TrackStore) -> None:
    assert tracks.read() == Overlay((), ())


def test_keeps_every_field_and_what_is_unknown(tracks: TrackStore) -> None:
    bare = TrackRecord("t2")
    tracks.write(upserts=[FULL, bare], updated_at=1.0)
    assert tracks.read() == Overlay((FULL, bare), ())


def test_an_update_replaces_the_whole_track(tracks: TrackStore) -> None:
    tracks.write(upserts=[FULL], updated_at=1.0)
    tracks.write(upserts=[TrackRecord("t1", title="New")], updated_at=2.0)
    assert tracks.read() == Overlay((TrackRecord("t1", title="New"),), ())


def test_a_deletion_leaves_a_tombstone_that_an_update_lifts(tracks: TrackStore) -> None:
    tracks.write(upserts=[FULL], updated_at=1.0)
    tracks.write(deletes=["t1", "t9"], updated_at=2.0)
    assert tracks.read() == Overlay((), ("t1", "t9"))
    tracks.write(upserts=[FULL], updated_at=3.0)
    assert tracks.read() == Overlay((FULL,), ("t9",))


def test_nothing_to_write_is_nothing(tracks: TrackStore) -> None:
    tracks.write(updated_at=1.0)
    assert tracks.read() == Overlay((), ())
