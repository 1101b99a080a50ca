"""Drawn tilts and records of learning, in SQLite and PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace

from audotics.server.storage.database import Database
from audotics.server.storage.decisions import DecisionStore, Settlement, StoredDecision
from audotics.server.storage.events import EventStore
from audotics.server.storage.receipts import ReceiptStore, StoredReceipt
from audotics.server.storage.retention import Expired, RetentionStore
from audotics.server.storage.schema import NAMES_A_LIST
from audotics.server.storage.sessions import SessionStore, StoredMember, StoredSession, StoredVote
from audotics.server.storage.tilt_updates import StoredUpdate, TiltUpdateStore
from audotics.server.storage.users import UserStore
from audotics.server.types import Event

OVERLAP = {"of": 2, "tracks": ["t0"], "tilts": [3], "chances": [1.0]}
DECISION = StoredDecision("r1", "u1", 100.5, "", "new", "more ncf", 0.25, 3, hybrid=2, overlap=OVERLAP)
UPDATE = StoredUpdate("", 1, "published", 50.5, 0, "why", {"new": {"more ncf": 1.0}}, {"decisions": 5, "low": 0.1}, 2)


def write(database: Database, *decisions: StoredDecision) -> None:
    receipts = [StoredReceipt(one.recommendation_id, one.user_id, one.created_at, b"") for one in decisions]
    ReceiptStore(database).write(receipts, decisions=decisions)


def said(number: int, user_id: str, list_id: str) -> Event:
    return Event(f"e{number}", user_id, f"t{number}", "rating", 0.0, list_id, 4.5)


def test_decisions_are_settled_once_by_what_was_said_in_time(database: Database) -> None:
    store, events = DecisionStore(database), EventStore(database)
    stranger = replace(DECISION, recommendation_id="r2", user_id="", created_at=101.0)
    write(database, DECISION, stranger)
    write(database, replace(DECISION, propensity=0.9))
    for number, (user_id, list_id, received_at) in enumerate(
        [("u1", "r1", 100.5), ("u1", "r1", 110.0), ("u1", "r1", 110.5), ("u2", "r1", 105.0), ("u2", "r2", 110.9)]
    ):
        events.append([said(number, user_id, list_id)], received_at=received_at)
    events.append([replace(said(9, "u1", "r1"), recommendation_id="")], received_at=105.0)
    waiting = store.unsettled(before=200.0, limit=5)
    assert waiting == [DECISION, stranger]
    assert store.unsettled(before=101.0, limit=5) == [DECISION]
    assert store.unsettled(before=200.0, limit=1) == [DECISION]
    assert store.said_of(waiting, window_s=10.0) == {
        "r1": [("u1", "t0", "rating", 4.5), ("u1", "t1", "rating", 4.5)],
        "r2": [("u2", "t4", "rating", 4.5)],
    }
    assert store.said_of([], window_s=10.0) == {}
    store.settle({"r1": Settlement(0.5, [0.25, 0.75])})
    store.settle({"r1": Settlement(9.0), "nowhere": Settlement(1.0)})
    store.settle({})
    assert store.unsettled(before=200.0, limit=5) == [stranger]
    settled = replace(DECISION, reward=0.5, overlap=None, credits=[0.25, 0.75])
    assert store.latest("", hybrid=2, since=0.0, limit=5) == [settled]
    store.settle({"r2": Settlement(0.0, [])})
    assert [one.credits for one in store.latest("", hybrid=2, since=101.0, limit=5)] == [[]]


def test_what_a_session_did_counts_for_the_list_before_it(database: Database) -> None:
    store, sessions = DecisionStore(database), SessionStore(database)
    for name in ("s", "other"):
        assert sessions.create(StoredSession(name, "average", 0.0, 90.0, members=(StoredMember("ana", 1.0, 90.0),)))
    first = replace(DECISION, recommendation_id="r1", user_id="", created_at=100.0, group_key="sessions/s")
    second = replace(first, recommendation_id="r2", created_at=110.0)
    alone = replace(first, recommendation_id="r3", group_key="groups/0123")
    write(database, first, second, alone)

    def vote(user_id: str, track_id: str, value: int, at: float) -> None:
        sessions.change("s", lambda change: change.put_vote(StoredVote(user_id, track_id, value), voted_at=at))

    vote("ana", "before", 1, 99.0)
    vote("ana", "t1", -1, 101.0)
    vote("ana", "t1", 1, 102.0)
    vote("ben", "t1", -1, 103.0)
    vote("ben", "t2", 1, 104.0)
    vote("ben", "t2", 0, 105.0)
    sessions.change("s", lambda change: change.play("t3", started_at=109.0))
    sessions.change("other", lambda change: change.play("t9", started_at=109.0))
    sessions.change("s", lambda change: change.skip(skipped_at=111.0))
    sessions.change("s", lambda change: change.play("late", started_at=130.0))
    EventStore(database).append([said(1, "cleo", "r3")], received_at=105.0)
    found = store.said_of([first, second, alone], window_s=20.0)
    assert {name: sorted(each) for name, each in found.items()} == {
        "r1": [("", "t3", "play", None), ("ana", "t1", "like", None), ("ben", "t1", "dislike", None)],
        "r2": [("", "t3", "skip", None)],
        "r3": [("cleo", "t1", "rating", 4.5)],
    }
    assert store.said_of([first], window_s=20.0) == {"r1": found["r1"]}  # the other one is known all the same


def test_decisions_of_an_arm_are_counted_and_listed(database: Database) -> None:
    store = DecisionStore(database)
    lists = [
        replace(DECISION, recommendation_id=f"r{n}", created_at=float(n), tilt=("more ncf", "less ncf")[n % 2])
        for n in range(6)
    ]
    write(database, *lists, replace(DECISION, recommendation_id="other", arm="b"), replace(lists[0], policy=4))
    write(database, replace(lists[4], recommendation_id="newer", hybrid=3))
    earned = {f"r{n}": float(n) for n in range(5)} | {"other": 9.0, "newer": 9.0}
    store.settle({name: Settlement(reward) for name, reward in earned.items()})
    assert [one.recommendation_id for one in store.latest("", hybrid=3, since=0.0, limit=5)] == ["newer"]
    assert store.arms(since=0.0) == ["", "b"]
    write(database, replace(lists[5], recommendation_id="last", created_at=9.0, hybrid=4))
    assert (store.hybrid(""), store.hybrid("b"), store.hybrid("c")) == (4, 2, None)
    assert store.arms(since=50.0) == ["b"]
    assert [one.reward for one in store.latest("", hybrid=2, since=0.0, before=4.0, limit=2)] == [2.0, 3.0]
    assert store.latest("", hybrid=2, since=4.0, before=4.0, limit=5) == []
    assert store.settled_count("", hybrid=2, since=2.0) == 3
    assert [one.reward for one in store.latest("", hybrid=2, since=1.0, limit=3)] == [2.0, 3.0, 4.0]
    assert store.latest("", hybrid=2, since=0.0, limit=3, policy=4) == []


def test_decisions_go_with_their_listener_and_their_period(database: Database) -> None:
    write(database, DECISION, replace(DECISION, recommendation_id="r2", user_id="u2", created_at=300.0))
    assert RetentionStore(database).expire_decisions(before=200.0, limit=9) == Expired(1, frozenset({"u1"}))
    assert [one.user_id for one in DecisionStore(database).unsettled(before=999.0, limit=9)] == ["u2"]
    UserStore(database).erase("u2", erased_at=1.0)
    assert DecisionStore(database).unsettled(before=999.0, limit=9) == []


def test_records_are_appended_once_a_number(database: Database) -> None:
    store = TiltUpdateStore(database)
    assert store.in_force() == {}
    assert store.append(UPDATE)
    assert not store.append(replace(UPDATE, outcome="dropped", reason="by a slower server"))
    dropped = replace(UPDATE, number=2, outcome="dropped", evidence=None)
    assert store.append(dropped)
    assert store.append(replace(UPDATE, arm="b", outcome="dropped"))
    assert store.latest("", limit=5) == [dropped, UPDATE]
    assert store.latest("", limit=1) == [dropped]
    assert (store.find("", 1), store.find("", 9)) == (UPDATE, None)
    assert store.in_force() == {("", 2): UPDATE}
    reverted = replace(UPDATE, number=3, outcome="reverted")
    assert store.append(reverted)
    assert store.in_force() == {("", 2): reverted}
    restarted = replace(UPDATE, number=4, outcome="restarted", hybrid=3)
    assert store.append(restarted)
    assert store.in_force() == {("", 2): reverted, ("", 3): restarted}


def test_lists_are_looked_up_by_their_index(database: Database) -> None:
    wanted = f"recommendation_id IN ('a') AND {NAMES_A_LIST}"
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    with database.reading() as connection:
        if database.dialect == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql(f"{explain} SELECT * FROM events WHERE {wanted}").all()
    assert "events_by_list" in str(plan)
