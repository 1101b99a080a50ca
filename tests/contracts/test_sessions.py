"""What every database has to do for sessions of groups, SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select

from audotics.server.storage.database import Database
from audotics.server.storage.retention import Expired, RetentionStore
from audotics.server.storage.schema import GROUP_SESSIONS, SESSION_LOG, SESSION_MEMBERS, SESSION_PLAYS, SESSION_VOTES
from audotics.server.storage.sessions import (
    SessionChange,
    SessionStore,
    StoredMember,
    StoredPlay,
    StoredSession,
    StoredVote,
)
from audotics.server.storage.users import UserStore

ANA, BEN = StoredMember("ana", 1.0, 10.0), StoredMember("ben“2”", 0.5, 11.0)
SESSION = StoredSession("s-1", "fairness", 0.25, created_at=10.0, members=(ANA, BEN))

Connect = Callable[[], Database]


@pytest.fixture
def store(database: Database) -> SessionStore:
    return SessionStore(database)


def test_a_session_is_kept_whole_for_the_next_server(store: SessionStore, connect: Connect) -> None:
    assert store.create(SESSION)

    def work(change: SessionChange) -> None:
        assert change.session == SESSION
        change.put_vote(StoredVote("ana", "t1", 1), voted_at=12.0)
        change.put_vote(StoredVote("ana", "t2", -1), voted_at=13.0)
        change.play("t3", started_at=14.0)

    expected = replace(
        SESSION,
        now_playing="t3",
        votes=(StoredVote("ana", "t1", 1), StoredVote("ana", "t2", -1)),
        plays=(StoredPlay("t3", 14.0, False),),
    )
    assert store.change("s-1", work) == expected
    assert SessionStore(connect()).read("s-1") == expected
    assert store.read("s-2") is None
    assert store.change("s-2", work) is None


def test_an_id_is_taken_once(store: SessionStore) -> None:
    assert store.create(SESSION)
    assert not store.create(replace(SESSION, strategy="average", members=()))
    assert store.read("s-1") == SESSION


def test_members_come_change_and_go_with_their_votes(store: SessionStore) -> None:
    store.create(SESSION)
    store.change("s-1", lambda change: change.put_member(StoredMember("cleo", 2.0, 12.0)))
    store.change("s-1", lambda change: change.put_member(StoredMember("ana", 3.0, 99.0)))
    store.change("s-1", lambda change: change.put_vote(StoredVote(BEN.user_id, "t1", 1), voted_at=13.0))
    session = store.change("s-1", lambda change: change.remove_member(BEN.user_id, left_at=14.0))
    assert session is not None
    assert session.members == (replace(ANA, weight=3.0), StoredMember("cleo", 2.0, 12.0))
    assert session.votes == ()
    assert store.change("s-1", lambda change: change.remove_member("nobody", left_at=15.0)) == session


def test_the_latest_vote_counts_until_it_is_withdrawn_or_the_track_plays(store: SessionStore) -> None:
    store.create(SESSION)

    def votes(*cast: StoredVote) -> tuple[StoredVote, ...]:
        for number, vote in enumerate(cast):
            store.change("s-1", lambda change, vote=vote, at=number: change.put_vote(vote, voted_at=float(at)))
        session = store.read("s-1")
        assert session is not None
        return session.votes

    up, down = StoredVote("ana", "t1", 1), StoredVote("ana", "t1", -1)
    assert votes(up, down) == (down,)
    assert votes(replace(up, value=0)) == ()
    other = StoredVote(BEN.user_id, "t2", 1)
    assert votes(up, other) == (up, other)
    session = store.change("s-1", lambda change: change.play("t1", started_at=1.0))
    assert session is not None
    assert session.votes == (other,)


def test_plays_keep_their_order_and_the_last_is_skipped(store: SessionStore) -> None:
    store.create(SESSION)
    for number, track_id in enumerate(("t2", "t1", "t2")):
        store.change("s-1", lambda change, track=track_id, at=number: change.play(track, started_at=float(at)))
    session = store.change("s-1", lambda change: change.skip(skipped_at=3.0))
    assert session is not None
    assert session.now_playing == ""
    assert [(play.track_id, play.skipped) for play in session.plays] == [("t2", False), ("t1", False), ("t2", True)]
    ended = store.change("s-1", lambda change: change.end(ended_at=50.0))
    assert ended == replace(session, ended_at=50.0)


def test_what_is_refused_changes_nothing(store: SessionStore) -> None:
    store.create(SESSION)

    def refuse(change: SessionChange) -> None:
        change.play("t1", started_at=1.0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.change("s-1", refuse)
    assert store.read("s-1") == SESSION


def test_changes_of_two_servers_come_one_after_the_other(connect: Connect) -> None:
    stores = [SessionStore(connect()), SessionStore(connect())]
    stores[0].create(replace(SESSION, members=()))

    def join(number: int) -> None:
        def work(change: SessionChange) -> None:
            if len(change.session.members) < 10:
                change.put_member(StoredMember(f"u{number:02d}", 1.0, 1.0))

        stores[number % 2].change("s-1", work)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(join, range(24)))
    session = stores[0].read("s-1")
    assert session is not None
    assert len(session.members) == 10


def test_the_log_says_what_changed_and_not_what_was_said_again(store: SessionStore, database: Database) -> None:
    up, down = StoredVote("ana", "t1", 1), StoredVote("ana", "t1", -1)
    changes: list[Callable[[SessionChange], None]] = [
        lambda change: change.put_member(StoredMember("cleo", 2.0, 12.0)),
        lambda change: change.put_member(StoredMember("cleo", 3.0, 13.0)),
        lambda change: change.put_vote(up, voted_at=14.0),
        lambda change: change.put_vote(up, voted_at=15.0),
        lambda change: change.put_vote(down, voted_at=16.0),
        lambda change: change.put_vote(replace(up, value=0), voted_at=17.0),
        lambda change: change.put_vote(replace(up, value=0), voted_at=18.0),
        lambda change: change.play("t2", started_at=19.0),
        lambda change: change.skip(skipped_at=20.0),
        lambda change: change.play("", started_at=21.0),
        lambda change: change.remove_member("cleo", left_at=22.0),
        lambda change: change.remove_member("cleo", left_at=23.0),
        lambda change: change.end(ended_at=24.0),
    ]
    store.create(SESSION)
    for work in changes:
        store.change("s-1", work)
    with database.reading() as connection:
        rows = connection.execute(select(SESSION_LOG).order_by(SESSION_LOG.c.sequence)).all()
        assert connection.scalar(select(GROUP_SESSIONS.c.changed_at)) == 24.0
    assert [tuple(row)[1:] for row in rows] == [
        ("s-1", "join", "ana", "", 0, 10.0),
        ("s-1", "join", BEN.user_id, "", 0, 11.0),
        ("s-1", "join", "cleo", "", 0, 12.0),
        ("s-1", "vote", "ana", "t1", 1, 14.0),
        ("s-1", "vote", "ana", "t1", -1, 16.0),
        ("s-1", "withdraw", "ana", "t1", 0, 17.0),
        ("s-1", "play", "", "t2", 0, 19.0),
        ("s-1", "skip", "", "t2", 0, 20.0),
        ("s-1", "leave", "cleo", "", 0, 22.0),
        ("s-1", "end", "", "", 0, 24.0),
    ]


def test_a_deleted_listener_is_in_no_log(store: SessionStore, database: Database) -> None:
    store.create(SESSION)
    store.change("s-1", lambda change: change.put_vote(StoredVote("ana", "t1", 1), voted_at=12.0))
    erased = UserStore(database).erase("ana", erased_at=20.0)
    assert (erased.memberships, erased.votes, erased.session_entries, erased.remaining) == (1, 1, 2, 0)
    with database.reading() as connection:
        assert list(connection.scalars(select(SESSION_LOG.c.user_id))) == [BEN.user_id]


def test_sessions_expire_whole_the_oldest_change_first(store: SessionStore, database: Database) -> None:
    for number in range(4):
        store.create(replace(SESSION, session_id=f"s-{number}", created_at=float(number), members=(ANA, BEN)))
        store.change(f"s-{number}", lambda change: change.put_vote(StoredVote("ana", "t1", 1), voted_at=20.0))
        store.change(f"s-{number}", lambda change, at=30.0 + number: change.play("t2", started_at=at))
    retention = RetentionStore(database)
    assert retention.expire_sessions(before=33.0, limit=2).rows == 2
    assert retention.expire_sessions(before=33.0, limit=2) == Expired(1, frozenset({"ana", BEN.user_id}))
    assert retention.expire_sessions(before=33.0, limit=2) == Expired(0, frozenset())
    assert store.read("s-2") is None
    left = store.read("s-3")
    assert left is not None
    assert (len(left.members), len(left.votes), len(left.plays)) == (2, 1, 1)
    with database.reading() as connection:
        for table in (SESSION_MEMBERS, SESSION_VOTES, SESSION_PLAYS, SESSION_LOG):
            assert set(connection.scalars(select(table.c.session_id))) == {"s-3"}, table.name
    assert retention.expire_session_log(before=25.0, limit=10).rows == 3  # two joins and a vote
    assert store.read("s-3") == left
