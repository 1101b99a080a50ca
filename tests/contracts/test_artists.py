"""Artists on both databases: however tracks come, go and change hands, the counts are those of a count made anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text

from audotics.server.storage.artists import ArtistStore, StoredArtist
from audotics.server.storage.database import Database
from audotics.server.storage.errors import StorageError
from audotics.server.storage.events import EventStore
from audotics.server.storage.schema import ARTISTS, FOLLOWS, TRACK_HISTORY, TRACKS
from audotics.server.storage.tracks import TrackStore
from audotics.server.storage.users import UserStore
from audotics.server.types import Event, TrackRecord
from tests.postgres import Postgres

Connect = Callable[[], Database]

NAMES = ("", "Björk", "björk", "“A” \\ B", "A", "x" * 1000)
IDS = [f"t{number}" for number in range(8)]


def counted(database: Database) -> dict[str, int]:
    """What is stored of artists."""
    with database.reading() as connection:
        return {row.name: row.track_count for row in connection.execute(select(ARTISTS))}


def counted_anew(database: Database) -> dict[str, int]:
    with database.reading() as connection:
        artists = connection.scalars(select(TRACKS.c.artist).where(~TRACKS.c.deleted, TRACKS.c.artist != ""))
        return dict(Counter(artists))


def by(artist: str, *track_ids: str) -> list[TrackRecord]:
    return [TrackRecord(track_id, artist=artist) for track_id in track_ids]


@pytest.fixture
def tracks(database: Database) -> TrackStore:
    return TrackStore(database)


@pytest.fixture
def artists(database: Database) -> ArtistStore:
    return ArtistStore(database)


def test_an_artist_comes_with_the_first_track_and_goes_with_the_last(tracks: TrackStore, artists: ArtistStore) -> None:
    tracks.write(upserts=[*by("Björk", "t1", "t2"), *by("", "t3")], updated_at=10.0)
    assert artists.read(["Björk", "björk", ""]) == {"Björk": StoredArtist(2, 10.0, 10.0)}
    tracks.write(upserts=[*by("Björk", "t2", "t4")], updated_at=20.0)
    assert artists.read(["Björk"]) == {"Björk": StoredArtist(3, 10.0, 20.0)}
    tracks.write(deletes=["t1", "t2", "t3", "unknown"], updated_at=30.0)
    assert artists.read(["Björk"]) == {"Björk": StoredArtist(1, 10.0, 30.0)}
    tracks.write(deletes=["t4"], updated_at=40.0)
    assert artists.read(["Björk"]) == {}
    tracks.write(upserts=by("Björk", "t4"), updated_at=50.0)
    assert artists.read(["Björk"]) == {"Björk": StoredArtist(1, 50.0, 50.0)}


def test_a_track_that_changes_hands_is_counted_at_one_artist(tracks: TrackStore, artists: ArtistStore) -> None:
    tracks.write(upserts=by("A", "t1", "t2"), updated_at=1.0)
    tracks.write(upserts=[*by("B", "t1"), *by("A", "t3")], updated_at=2.0)
    assert artists.read("AB") == {"A": StoredArtist(2, 1.0, 2.0), "B": StoredArtist(1, 2.0, 2.0)}
    tracks.write(upserts=by("B", "t2", "t3"), updated_at=3.0)
    assert artists.read("AB") == {"B": StoredArtist(3, 2.0, 3.0)}


def test_what_fails_counts_nothing(tracks: TrackStore, database: Database) -> None:
    tracks.write(upserts=by("A", "t1"), updated_at=1.0)
    with database.transaction() as connection:
        connection.execute(text("ALTER TABLE artists RENAME TO elsewhere"))
    with pytest.raises(StorageError):
        tracks.write(upserts=by("B", "t1", "t2"), updated_at=2.0)
    with database.transaction() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO artists"))
    assert tracks.read().upserts == tuple(by("A", "t1"))
    assert counted(database) == {"A": 1}


def test_a_large_import_is_counted_whole(tracks: TrackStore, database: Database) -> None:
    records = [TrackRecord(f"t{number:05d}", artist=f"Artist {number % 700}") for number in range(12_000)]
    tracks.write(upserts=records, updated_at=1.0)
    moved = [replace(record, artist="Artist 0") for record in records[:6000]]
    tracks.write(upserts=moved, deletes=[record.track_id for record in records[6000:9000]], updated_at=2.0)
    assert counted(database) == counted_anew(database)
    assert sum(counted(database).values()) == 9000


changes = st.lists(
    st.dictionaries(st.sampled_from(IDS), st.one_of(st.none(), st.sampled_from(NAMES)), max_size=6), max_size=8
)
"""Each step gives tracks an artist, or with None deletes them."""


def apply(store: TrackStore, database: Database, steps: list[dict[str, str | None]]) -> None:
    for number, step in enumerate(steps):
        upserts = [TrackRecord(track_id, artist=name) for track_id, name in step.items() if name is not None]
        deletes = [track_id for track_id, name in step.items() if name is None]
        store.write(upserts=upserts, deletes=deletes, updated_at=float(number))
        assert counted(database) == counted_anew(database)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("artists")
    with closing(Database.open(f"sqlite:///{folder}/state.db?timeout=5")) as opened:
        yield opened


@pytest.fixture(scope="module")
def postgresql(postgres: Postgres) -> Iterator[Database]:
    with closing(Database.open(postgres.empty())) as opened:
        yield opened


def emptied(database: Database) -> Database:
    with database.transaction() as connection:
        for table in (TRACKS, TRACK_HISTORY, ARTISTS):
            connection.execute(delete(table))
    return database


@settings(deadline=None, max_examples=40)
@given(steps=changes)
def test_any_changes_leave_the_counts_of_a_count_made_anew_on_sqlite(
    sqlite: Database, steps: list[dict[str, str | None]]
) -> None:
    apply(TrackStore(sqlite), emptied(sqlite), steps)


@settings(deadline=None, max_examples=40)
@given(steps=changes)
def test_any_changes_leave_the_counts_of_a_count_made_anew_on_postgresql(
    postgresql: Database, steps: list[dict[str, str | None]]
) -> None:
    apply(TrackStore(postgresql), emptied(postgresql), steps)


def test_servers_that_write_the_same_tracks_at_once_count_each_once(connect: Connect) -> None:
    databases = [connect() for _ in range(2)]

    def write(number: int) -> None:
        ids = [f"t{(number * 7 + step) % 20}" for step in range(12)]
        ids = ids if number % 2 else ids[::-1]
        store = TrackStore(databases[number % 2])
        store.write(upserts=by(f"Artist {number % 5}", *ids[:9]), deletes=ids[9:], updated_at=float(number))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(40)))
    assert counted(databases[0]) == counted_anew(databases[0])


def test_followers_are_listeners_who_followed_at_any_of_the_tracks(database: Database, artists: ArtistStore) -> None:
    followed = [("u1", "t1"), ("u1", "t2"), ("u1", "t1"), ("u2", "t2"), ("u3", "t9"), ("u4", "t3")]
    events = [
        Event(f"f{number}", user_id, track_id, "follow_artist", 1.0)
        for number, (user_id, track_id) in enumerate(followed)
    ]
    events.append(Event("liked", "u5", "t1", "like", 1.0))
    EventStore(database).append(events, received_at=1.0)
    known = [["t1", "t2"], [], ["t3"], ["t4", "t“\\", "t\0"]]
    assert artists.followers(known) == [2, 0, 1, 0]
    assert artists.followers([]) == []
    UserStore(database).erase("u1", erased_at=2.0)
    assert artists.followers(known) == [1, 0, 1, 0]


def test_followers_are_found_by_an_index(database: Database) -> None:
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    with database.transaction() as connection:
        if database.dialect == "postgresql":  # its planner reads a small table whole
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = connection.execute(
            text(f"{explain} SELECT user_id FROM events WHERE track_id = 't' AND events.{FOLLOWS}")
        )
        assert "events_by_followed_track" in str(plan.all())


def test_tables_from_before_there_were_artists_are_counted(connect: Connect, database: Database) -> None:
    store = TrackStore(database)
    store.write(upserts=[*by("A", "t1", "t2"), *by("B", "t3"), *by("C", "t4")], updated_at=10.0)
    store.write(upserts=by("A", "t1"), deletes=["t4"], updated_at=20.0)
    store.write(upserts=by("A", "t3"), updated_at=30.0)
    store.write(deletes=["t2"], updated_at=40.0)
    with database.transaction() as connection:
        connection.execute(text("DROP TABLE artists"))
        connection.execute(text("DROP INDEX events_by_followed_track"))
        connection.execute(text("UPDATE alembic_version SET version_num = 'model_records'"))
    later = connect()
    assert ArtistStore(later).read(["A", "B", "C"]) == {"A": StoredArtist(2, 10.0, 30.0)}
    TrackStore(later).write(deletes=["t1", "t3"], updated_at=50.0)
    assert counted(later) == {}
