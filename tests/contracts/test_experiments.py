"""Experiments and the log of exposures in every database: changes one after the other, and what followed each list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from audotics.server.storage.database import Database
from audotics.server.storage.events import EventStore
from audotics.server.storage.experiments import ExperimentStore, StoredExperiment, StoredRecord
from audotics.server.storage.exposures import DiversitySums, ExposureStore, StoredExposure
from audotics.server.storage.receipts import ReceiptStore
from audotics.server.storage.retention import RetentionStore
from audotics.server.storage.sessions import SessionStore, StoredMember, StoredSession, StoredVote
from audotics.server.types import Event

CREATED = StoredRecord(10.5, "created", "", "100.00% of layer default")
EXPERIMENT = StoredExperiment(
    "x", {"arms": ["“a”", 1, None]}, "salt", [[0, 10], [20, 30]], "running", 10.5, None, (("u1", "a"),), (CREATED,)
)


def exposure(list_id: str, user_id: str = "u1", at: float = 0.0, **changes: object) -> StoredExposure:
    shown = StoredExposure(list_id, "x", "a", 0.5, user_id, at, 7, "chill", 0.25)
    return replace(shown, **changes)  # type: ignore[arg-type]


def test_an_experiment_comes_back_and_changes_keep_what_was_recorded(database: Database) -> None:
    store = ExperimentStore(database)
    store.change(lambda _: EXPERIMENT)
    assert store.read() == [EXPERIMENT]
    stop = StoredRecord(11.0, "stopped", "", "enough")
    stopped = replace(EXPERIMENT, state="stopped", stopped_at=11.0, records=(CREATED, stop), overrides=())
    store.change(lambda before: replace(before[0], state="stopped", stopped_at=11.0, records=(CREATED, stop)))
    assert store.read() == [stopped]
    newer = replace(EXPERIMENT, name="y", created_at=12.0, overrides=(), records=())
    store.change(lambda _: newer)
    assert store.read() == [newer, stopped]


def test_what_decides_may_refuse_and_then_nothing_has_changed(database: Database) -> None:
    store = ExperimentStore(database)

    def refuse(_: Sequence[StoredExperiment]) -> StoredExperiment:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.change(refuse)
    store.change(lambda _: None)
    assert store.read() == []


def test_servers_change_experiments_one_after_the_other(connect: Callable[[], Database]) -> None:
    stores = [ExperimentStore(connect()) for _ in range(2)]
    together = threading.Barrier(2)

    def add(store: ExperimentStore, first: int) -> None:
        together.wait()
        for number in range(first, first + 10):

            def decide(known: Sequence[StoredExperiment], number: int = number) -> StoredExperiment:
                return replace(EXPERIMENT, name=f"e{number}", slots=[[len(known), len(known) + 1]], overrides=())

            store.change(decide)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(add, stores, (0, 10)))
    assert sorted(experiment.slots[0][0] for experiment in stores[0].read()) == list(range(20))


def test_outcomes_join_the_events_of_each_list_within_the_window(database: Database) -> None:
    events, exposures = EventStore(database), ExposureStore(database)
    ReceiptStore(database).write(
        [],
        exposures=[
            exposure("r1", at=100.0),
            exposure("r2", at=105.0, diversity=0.75),
            exposure("r3", "u2", 101.0, arm="b"),
            exposure("r4", "u3", 102.0, propensity=1.0),
            exposure("r5", "u4", 103.0, experiment="other"),
            exposure("g1", "", 104.0, group_key="groups/1"),
            exposure("g2", "", 106.0, group_key="sessions/s"),
        ],
    )

    def event(number: int, list_id: str, kind: str, track: str = "t1", **changes: object) -> Event:
        return replace(Event(f"e{number}", "u1", track, kind, 1.0, list_id), **changes)  # type: ignore[arg-type]

    within = [
        event(1, "r1", "play"),
        event(2, "r1", "complete"),
        event(3, "r1", "skip", "t2"),
        event(4, "r1", "rating", "t2", rating=4.5),
        event(5, "r1", "dislike", "t3"),
        event(6, "r1", "impression", "t4"),
        event(7, "r2", "rating", "t5", rating=1.0),
        event(8, "r3", "like", user_id="u1"),  # somebody else's list
        event(9, "", "like"),
        event(11, "g1", "like"),
        event(12, "g1", "skip", user_id="u2"),
    ]
    events.append(within, received_at=110.0)
    events.append([event(10, "r2", "add_to_playlist", "t5")], received_at=110.1)  # after the window of ten seconds
    rows = exposures.outcomes("x", window_s=10.0)
    assert [tuple(row) for row in rows] == [
        ("u1", "", "a", 0.5, 100.0, 7, "chill", 0.25, 100.0, 1, 2, 1, 1, 0, 0, pytest.approx(0.9), 2),
        ("u2", "", "b", 0.5, 101.0, 7, "chill", 0.25, 101.0, 0, 0, 0, 0, 0, 0, 0.0, 0),
        ("", "groups/1", "a", 0.5, 104.0, 7, "chill", 0.25, 104.0, 1, 1, 0, 1, 0, 0, 1.0, 1),  # by whoever is in it
        ("u1", "", "a", 0.5, 105.0, 7, "chill", 0.75, 100.0, 0, 0, 0, 0, 0, 0, pytest.approx(0.2), 1),
        ("", "sessions/s", "a", 0.5, 106.0, 7, "chill", 0.25, 106.0, 0, 0, 0, 0, 0, 0, 0.0, 0),
    ]
    later = exposures.outcomes("x", window_s=11.0, since=104.5)
    assert [(row.user_id, row.engaged, row.added, row.opinion) for row in later] == [
        ("u1", 1, 1, pytest.approx(1.2)),
        ("", 0, 0, 0.0),
    ]
    assert exposures.diversity("x") == {
        "a": {
            False: DiversitySums(3, pytest.approx(1.25), pytest.approx(0.6875)),
            True: DiversitySums(2, pytest.approx(0.5), pytest.approx(0.125)),
        },
        "b": {False: DiversitySums(1, 0.25, 0.0625)},
    }
    assert exposures.outcomes("nothing", window_s=1.0) == []


def test_held_out_listeners_count_however_many_they_are(database: Database) -> None:
    held_out = exposure("r1", experiment="", arm="holdout", propensity=1.0)
    ReceiptStore(database).write([], exposures=[held_out, held_out])
    assert [row.arm for row in ExposureStore(database).outcomes("", window_s=1.0)] == ["holdout"]


def test_exposures_expire_the_oldest_first(database: Database) -> None:
    ReceiptStore(database).write([], exposures=[exposure(f"r{n}", f"u{n}", float(n)) for n in range(4)])
    store = RetentionStore(database)
    assert store.expire_exposures(before=3.0, limit=2).user_ids == {"u0", "u1"}
    assert store.expire_exposures(before=3.0, limit=2).user_ids == {"u2"}
    assert [row.user_id for row in ExposureStore(database).outcomes("x", window_s=1.0)] == ["u3"]


def test_activity_in_sessions_counts_for_the_list_before_it(database: Database) -> None:
    """Lists at 100 and 105 with a window of ten seconds; what happens in a session counts for the session alone."""
    ReceiptStore(database).write(
        [],
        exposures=[
            exposure("r1", "ana", 100.0),
            exposure("r2", "ana", 105.0),
            exposure("r3", "ben", 100.0),
            exposure("g1", "", 100.0, group_key="sessions/s-1"),
            exposure("g2", "", 105.0, group_key="sessions/s-1"),
            exposure("g3", "", 100.0, group_key="groups/s-1"),
        ],
    )
    sessions = SessionStore(database)
    sessions.create(StoredSession("s-1", "average", 0.0, created_at=90.0, members=(StoredMember("ana", 1.0, 90.0),)))
    sessions.create(StoredSession("s-2", "average", 0.0, created_at=101.0, members=(StoredMember("ben", 1.0, 101.0),)))
    for at, work in (
        (100.0, lambda change, at: change.put_vote(StoredVote("ana", "t1", 1), voted_at=at)),
        (104.0, lambda change, at: change.play("t1", started_at=at)),
        (105.0, lambda change, at: change.skip(skipped_at=at)),
        (106.0, lambda change, at: change.put_vote(StoredVote("ana", "t2", -1), voted_at=at)),
        (107.0, lambda change, at: change.put_vote(StoredVote("ana", "t2", 0), voted_at=at)),
        (110.5, lambda change, at: change.put_vote(StoredVote("ana", "t3", 1), voted_at=at)),
    ):
        sessions.change("s-1", lambda change, work=work, at=at: work(change, at))
    rows = ExposureStore(database).outcomes("x", window_s=10.0)
    assert [(row.user_id or row.group_key, row.created_at, row.group_events) for row in rows] == [
        ("sessions/s-1", 100.0, 2),
        ("groups/s-1", 100.0, 0),
        ("ana", 100.0, 1),
        ("ben", 100.0, 1),
        ("sessions/s-1", 105.0, 2),
        ("ana", 105.0, 1),
    ]
