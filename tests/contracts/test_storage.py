"""What every database has to do for the server, SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select, text

from audotics.server.storage import migrations
from audotics.server.storage.database import Database
from audotics.server.storage.errors import StorageError
from audotics.server.storage.events import EventStore
from audotics.server.storage.exposures import StoredExposure
from audotics.server.storage.migrations import HEAD
from audotics.server.storage.receipts import ReceiptStore, StoredReceipt
from audotics.server.storage.retention import Expired, RetentionStore
from audotics.server.storage.schema import (
    DECISIONS,
    EXPERIMENT_OVERRIDES,
    EXPOSURES,
    METADATA,
    RECEIPTS,
    SESSION_LOG,
    SESSION_MEMBERS,
    SESSION_VOTES,
    TRACK_HISTORY,
    USERS,
)
from audotics.server.storage.tracks import Overlay, TrackStore
from audotics.server.storage.users import Erased, StoredUser, UserStore
from audotics.server.types import Event, Preferences, TrackRecord

EVENT = Event("e1", "u1", "t1", "play", 100.25)
FULL = TrackRecord(
    track_id="t1",
    title='“Title”, it\'s \\ "so"',
    artist="Björk",
    album="Album",
    tags=("rock", "live"),
    release_year=1999,
    explicit=False,
    duration_ms=1000,
    popularity=0.25,
    audio=(0.1, None, *[1.0] * 9),
)

Connect = Callable[[], Database]


@pytest.fixture
def events(database: Database) -> EventStore:
    return EventStore(database)


@pytest.fixture
def tracks(database: Database) -> TrackStore:
    return TrackStore(database)


@pytest.fixture
def user_store(database: Database) -> UserStore:
    return UserStore(database)


def users(database: Database) -> list[tuple[str, float, float]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(select(USERS).order_by(USERS.c.user_id))]


def test_keeps_every_field_of_an_event(events: EventStore) -> None:
    rated = Event("e2", "u1", "t“2”\\", "rating", 1_763_735_049.123457, recommendation_id="list 1", rating=4.5)
    local = replace(EVENT, event_id="e3", utc_offset_minutes=-570)
    assert events.append([EVENT, rated, local], received_at=200.0) == ["accepted", "accepted", "accepted"]
    assert events.history("u1") == [EVENT, rated, local]
    assert events.history("u2") == []


def test_events_come_back_in_the_order_of_arrival(events: EventStore) -> None:
    sent = [replace(EVENT, event_id=f"{number * 7919 % 1000}", occurred_at=float(number % 13)) for number in range(300)]
    events.append(sent[:200], received_at=1.0)
    events.append(sent[200:], received_at=2.0)
    assert events.history("u1") == sent


def test_a_known_id_is_a_duplicate_and_changes_nothing(events: EventStore, database: Database) -> None:
    changed = replace(EVENT, track_id="t9", occurred_at=900.0)
    assert events.append([EVENT, changed, EVENT], received_at=1.0) == ["accepted", "duplicate", "duplicate"]
    assert events.append([changed], received_at=2.0) == ["duplicate"]
    assert events.history("u1") == [EVENT]
    assert users(database) == [("u1", 100.25, 100.25)]


def test_users_keep_when_they_were_first_and_last_seen(events: EventStore, database: Database) -> None:
    for number, time in enumerate((100.0, 90.0, 95.0, 120.5)):
        events.append([replace(EVENT, event_id=f"e{number}", occurred_at=time)], received_at=200.0)
    events.append([Event("x", "u0", "t1", "play", 1.0)], received_at=200.0)
    assert users(database) == [("u0", 1.0, 1.0), ("u1", 90.0, 120.5)]


def test_one_of_two_servers_that_store_the_same_events_stores_them(connect: Connect) -> None:
    stores = [EventStore(connect()), EventStore(connect())]
    batches = [
        [Event(f"e{number}", f"u{number % 7}", "t1", "play", 1.0) for number in range(start, start + 50)]
        for start in range(0, 1000, 25)
    ]
    together = threading.Barrier(2)

    def send(store: EventStore, order: list[list[Event]]) -> int:
        together.wait()
        return sum(store.append(batch, received_at=1.0).count("accepted") for batch in order)

    with ThreadPoolExecutor(2) as threads:
        forwards = threads.submit(send, stores[0], batches)
        backwards = threads.submit(send, stores[1], batches[::-1])
        accepted = forwards.result() + backwards.result()
    assert accepted == len({event.event_id for batch in batches for event in batch})
    assert sum(len(stores[0].history(f"u{number}")) for number in range(7)) == accepted


def test_keeps_every_field_of_a_track_and_what_is_unknown(tracks: TrackStore) -> None:
    bare = TrackRecord("t2")
    tracks.write(upserts=[bare, FULL], updated_at=1.0)
    assert tracks.read() == Overlay((FULL, bare), ())


def test_a_deletion_leaves_a_tombstone_that_an_update_lifts(tracks: TrackStore) -> None:
    tracks.write(upserts=[FULL], updated_at=1.0)
    tracks.write(deletes=["t1", "t9"], updated_at=2.0)
    assert tracks.read() == Overlay((), ("t1", "t9"))
    tracks.write(upserts=[replace(FULL, title="New")], updated_at=3.0)
    assert tracks.read() == Overlay((replace(FULL, title="New"),), ("t9",))


def test_text_of_tracks_is_kept_to_the_letter(tracks: TrackStore) -> None:
    odd = TrackRecord("t\t1", 'a "title"\nin two lines', "back\\slash \\N", "", ("rock\t", "\\."), popularity=0.25)
    tracks.write(upserts=[odd], updated_at=10.0)
    tracks.write(upserts=[replace(odd, album="NULL")], deletes=["t\t2"], updated_at=11.0)
    assert tracks.read() == Overlay((replace(odd, album="NULL"),), ("t\t2",))


def test_text_that_a_database_cannot_hold_is_refused_and_changes_nothing(
    tracks: TrackStore, database: Database
) -> None:
    if database.dialect == "sqlite":
        pytest.skip("SQLite holds any text")
    with pytest.raises(StorageError):
        tracks.write(upserts=[TrackRecord("t1"), TrackRecord("t2", "\x00")], updated_at=10.0)
    assert tracks.read() == Overlay((), ())
    tracks.write(upserts=[TrackRecord("t1")], updated_at=10.0)
    assert tracks.read() == Overlay((TrackRecord("t1"),), ())


def test_a_large_import_is_whole(tracks: TrackStore) -> None:
    records = [replace(FULL, track_id=f"t{number:05d}", release_year=number) for number in range(12_000)]
    tracks.write(upserts=records, updated_at=1.0)
    assert tracks.read() == Overlay(tuple(records), ())


def test_preferences_are_replaced_by_what_is_made_of_them(user_store: UserStore) -> None:
    assert user_store.preferences("u1") == Preferences()
    first = Preferences(liked_genres=("rock",), blocked_tracks=("t“1”",))
    assert user_store.change_preferences("u1", lambda _: first, updated_at=1.0) == first
    second = user_store.change_preferences("u1", lambda before: replace(before, liked_genres=()), updated_at=2.0)
    assert user_store.preferences("u1") == second == Preferences(blocked_tracks=("t“1”",))
    assert user_store.preferences("u2") == Preferences()


def test_concurrent_changes_of_preferences_are_all_kept(connect: Connect) -> None:
    stores = [UserStore(connect()) for _ in range(2)]
    stores[0].change_preferences("u1", lambda _: Preferences(), updated_at=0.0)

    def add(number: int) -> None:
        stores[number % 2].change_preferences(
            "u1", lambda before: replace(before, liked_artists=(*before.liked_artists, str(number))), updated_at=1.0
        )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(20)))
    assert sorted(stores[0].preferences("u1").liked_artists, key=int) == [str(number) for number in range(20)]


def test_a_listener_is_read_whole(user_store: UserStore, events: EventStore) -> None:
    assert user_store.read("u1") == StoredUser()
    events.append([EVENT], received_at=1.0)
    user_store.change_preferences("u1", lambda _: Preferences(liked_moods=("chill",)), updated_at=1.0)
    assert user_store.read("u1") == StoredUser((EVENT,), Preferences(liked_moods=("chill",)))


def test_every_table_that_names_a_listener_is_erased(
    user_store: UserStore, events: EventStore, database: Database
) -> None:
    others = [replace(EVENT, event_id="e2"), replace(EVENT, event_id="e3", user_id="u2")]
    events.append([EVENT, *others], received_at=1.0)
    for user_id in ("u1", "u2"):
        user_store.change_preferences(user_id, lambda _: Preferences(), updated_at=1.0)
        with database.transaction() as connection:
            values = {"recommendation_id": user_id, "user_id": user_id, "created_at": 1.0, "content": b"x"}
            connection.execute(insert(RECEIPTS), values)
            drawn = {"arm": "", "segment": "new", "tilt": "as trained", "propensity": 0.5, "policy": 0}
            named = {name: values[name] for name in ("recommendation_id", "user_id", "created_at")}
            connection.execute(insert(DECISIONS), named | drawn)
            connection.execute(insert(EXPERIMENT_OVERRIDES), {"experiment": "x", "user_id": user_id, "arm": "a"})
            shown = StoredExposure(user_id, "x", "a", 0.5, user_id, 1.0, 3, "", 0.5)
            connection.execute(insert(EXPOSURES), asdict(shown))
            values = {"session_id": "s", "user_id": user_id, "weight": 1.0, "joined_at": 1.0}
            connection.execute(insert(SESSION_MEMBERS), values)
            values = {"session_id": "s", "user_id": user_id, "track_id": "t", "value": 1, "voted_at": 1.0}
            connection.execute(insert(SESSION_VOTES), values)
            entry = {"session_id": "s", "type": "vote", "user_id": user_id, "track_id": "t", "value": 1, "at": 1.0}
            connection.execute(insert(SESSION_LOG), entry)
    assert user_store.erase("u1", erased_at=5.0) == Erased(
        events=2, receipts=1, preferences=1, remaining=0, memberships=1, votes=1, session_entries=1
    )
    with database.reading() as connection:
        for table in METADATA.tables.values():
            if "user_id" in table.c:
                assert connection.scalars(select(table.c.user_id)).all() == ["u2"], table.name
    assert user_store.read("u1") == StoredUser(erased_at=5.0)
    assert user_store.erase("u1", erased_at=6.0) == Erased(0, 0, 0, 0)
    assert not user_store.read("u2").erased


def test_an_erased_listener_may_begin_anew(user_store: UserStore, events: EventStore) -> None:
    events.append([EVENT], received_at=1.0)
    user_store.erase("u1", erased_at=5.0)
    assert events.append([EVENT], received_at=6.0) == ["accepted"]
    assert user_store.read("u1") == StoredUser((EVENT,), erased_at=5.0)


def test_receipts_keep_their_bytes_and_the_first_counts(database: Database) -> None:
    store = ReceiptStore(database)
    receipt = StoredReceipt("r1", "u1", 1.5, bytes(range(256)))
    store.write([receipt, StoredReceipt("r2", "", 2.0, b"")])
    store.write([replace(receipt, content=b"other")])
    store.write([])
    assert store.read("r1") == receipt
    assert store.read("r2") == StoredReceipt("r2", "", 2.0, b"")
    assert store.read("r3") is None


def test_what_is_old_expires_in_steps_the_oldest_first(database: Database, events: EventStore) -> None:
    store = RetentionStore(database)
    for number in range(6):
        events.append([replace(EVENT, event_id=f"e{number}", user_id=f"u{number}")], received_at=float(number))
    assert store.expire_events(before=5.0, limit=3) == Expired(3, frozenset({"u0", "u1", "u2"}))
    assert store.expire_events(before=5.0, limit=3) == Expired(2, frozenset({"u3", "u4"}))
    assert store.expire_events(before=5.0, limit=3) == Expired(0, frozenset())
    assert [len(events.history(f"u{number}")) for number in range(6)] == [0, 0, 0, 0, 0, 1]
    assert store.expire_receipts(before=5.0, limit=3) == Expired(0, frozenset())


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.transaction() as connection:
            connection.execute(text("INSERT INTO users VALUES ('u', 1, 1)"))
            connection.execute(text("INSERT INTO users VALUES ('u', 1, 1)"))

    with pytest.raises(StorageError, match="try again later"):
        write_and_fail()
    assert users(database) == []


def test_what_another_server_committed_is_seen(connect: Connect) -> None:
    EventStore(connect()).append([EVENT], received_at=1.0)
    assert EventStore(connect()).history("u1") == [EVENT]


def test_a_reader_does_not_wait_for_a_writer(connect: Connect) -> None:
    writer, reader = connect(), connect()
    with writer.transaction() as connection:
        connection.execute(text("INSERT INTO users VALUES ('u', 1, 1)"))
        assert users(reader) == []
    assert users(reader) == [("u", 1.0, 1.0)]


def test_the_migrations_make_what_the_schema_says(database: Database) -> None:
    with database.transaction() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == HEAD


def test_tables_of_version_0_1_are_brought_up_to_date(connect: Connect, database: Database) -> None:
    """They are those of the first step, without a history, and with events in them."""
    with database.transaction() as connection:
        for table in inspect(connection).get_table_names():
            if table not in ("tracks", "users", "events"):
                connection.execute(text(f"DROP TABLE {table}"))
        for index in ("events_by_arrival", "events_by_followed_track", "events_by_list"):
            connection.execute(text(f"DROP INDEX {index}"))
        connection.execute(text("ALTER TABLE events DROP COLUMN utc_offset_minutes"))
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO events VALUES (1, 'e1', 'u1', 't1', 'play', 100.25, 1, '', NULL)"))
    later = connect()
    assert EventStore(later).history("u1") == [EVENT]
    with later.reading() as connection:
        assert set(METADATA.tables) <= set(inspect(connection).get_table_names())


def make_tables_of(connection: Connection, revision: str) -> None:
    """Leave the database as a server of that revision would, and empty."""
    METADATA.drop_all(connection)
    connection.execute(text("DROP TABLE alembic_version"))
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    steps = {"fn": lambda present, context: script._upgrade_revs(revision, present)}
    context = MigrationContext.configure(connection, opts=steps)
    with Operations.context(context):
        context.run_migrations()


def test_sessions_from_before_there_was_a_log_say_when_they_last_changed(connect: Connect, database: Database) -> None:
    with database.transaction() as connection:
        make_tables_of(connection, "group_arms")
        for statement in (
            "INSERT INTO group_sessions VALUES ('idle', 'average', 0, '', 10, NULL)",
            "INSERT INTO group_sessions VALUES ('ended', 'average', 0, '', 10, 40)",
            "INSERT INTO group_sessions VALUES ('played', 'average', 0, 't1', 10, NULL)",
            "INSERT INTO session_members VALUES ('played', 'u1', 1, 20)",
            "INSERT INTO session_plays (session_id, track_id, started_at, skipped) VALUES ('played', 't1', 30, false)",
        ):
            connection.execute(text(statement))
    with connect().reading() as connection:
        rows = connection.execute(text("SELECT session_id, changed_at FROM group_sessions ORDER BY changed_at"))
        assert [tuple(row) for row in rows] == [("idle", 10.0), ("played", 30.0), ("ended", 40.0)]


def test_what_a_track_was_is_kept_with_the_time_it_held(tracks: TrackStore, database: Database) -> None:
    tracks.write(upserts=[FULL, TrackRecord("t2")], updated_at=1.0)
    tracks.write(upserts=[replace(FULL, title="Second")], updated_at=2.0)
    tracks.write(deletes=["t1"], updated_at=3.0)
    tracks.write(upserts=[replace(FULL, title="Fourth")], updated_at=4.0)
    with database.reading() as connection:
        rows = connection.execute(select(TRACK_HISTORY).order_by(TRACK_HISTORY.c.sequence)).mappings().all()
    kept = [(row["track_id"], row["title"], row["deleted"], row["updated_at"], row["replaced_at"]) for row in rows]
    assert kept == [("t1", FULL.title, False, 1.0, 2.0), ("t1", "Second", False, 2.0, 3.0), ("t1", "", True, 3.0, 4.0)]
    assert (tuple(rows[0]["tags"]), tuple(rows[0]["audio"]), rows[0]["popularity"]) == (FULL.tags, FULL.audio, 0.25)


def test_several_servers_may_make_the_tables_at_once(database_url: str) -> None:
    def open_and_close(_: int) -> None:
        Database.open(database_url).close()

    with ThreadPoolExecutor(4) as threads:
        assert len(list(threads.map(open_and_close, range(4)))) == 4


def test_tables_of_a_newer_version_are_left_alone(connect: Connect, database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match=r"newer version of Audotics \(tables 9999.*update Audotics"):
        connect()


def test_json_of_a_track_is_json(tracks: TrackStore, database: Database) -> None:
    tracks.write(upserts=[FULL], updated_at=1.0)
    with database.reading() as connection:
        stored = connection.scalar(text("SELECT CAST(tags AS text) FROM tracks"))
    assert json.loads(stored) == ["rock", "live"]
