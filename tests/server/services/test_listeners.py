"""Who is being served: training histories, stored events, and tracks that stand for a taste, on one catalogue."""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from audotics.server.errors import NotFoundError
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.registry import Registry
from audotics.server.services.listeners import Listeners
from audotics.server.storage.database import Database
from audotics.server.storage.events import EventStore
from audotics.server.types import DegradationReason, Event, Listener, Subject

NUMBERS = itertools.count()


def event(user_id: str, track_id: str, kind: str = "play") -> Event:
    number = next(NUMBERS)
    return Event(f"e{number}", user_id, track_id, kind, float(number))


def user(user_id: str) -> Subject:
    return Subject("user", user_id=user_id)


@pytest.fixture
def catalog(registry: Registry) -> Catalog:
    return registry.snapshot.catalog


def ids(catalog: Catalog, listener: Listener) -> list[str]:
    return list(catalog.columns.ids[listener.history])


async def test_a_training_listener_has_the_training_history(listeners: Listeners, catalog: Catalog) -> None:
    trained = catalog.history_rows("u00")
    assert trained is not None
    listener, degraded = await listeners.resolve(user("u00"), catalog)
    assert degraded == ()
    assert listener.known
    assert listener.history.tolist() == trained.tolist()
    assert listener.seen.tolist() == sorted(trained)


async def test_a_stranger_is_served_and_the_answer_says_so(listeners: Listeners, catalog: Catalog) -> None:
    listener, degraded = await listeners.resolve(user("stranger"), catalog)
    assert not listener.known
    assert len(listener.history) == len(listener.seen) == 0
    assert [(part.part, part.reason) for part in degraded] == [("user", DegradationReason.UNKNOWN_USER)]
    assert "stranger" in degraded[0].detail


async def test_events_come_after_the_training_history(
    listeners: Listeners, events: EventStore, catalog: Catalog
) -> None:
    trained = catalog.history_rows("u00")
    assert trained is not None
    liked, again, disliked = "t199", str(catalog.columns.ids[trained[0]]), str(catalog.columns.ids[trained[1]])
    stored = [event("u00", liked), event("u00", "t198", "skip"), event("u00", again), event("u00", disliked, "dislike")]
    events.append(stored, received_at=1.0)
    listener, _ = await listeners.resolve(user("u00"), catalog)
    assert ids(catalog, listener) == [*catalog.columns.ids[trained[2:]], liked, again]
    assert set(listener.seen) == {*trained, catalog.row_of("t198"), catalog.row_of("t199")}


async def test_recorded_events_change_a_listener_in_memory(listeners: Listeners, catalog: Catalog) -> None:
    await listeners.resolve(user("new"), catalog)
    listeners.record([event("new", "t005"), event("someone else", "t006")])
    listener, degraded = await listeners.resolve(user("new"), catalog)
    assert ids(catalog, listener) == ["t005"]
    assert degraded == ()


async def test_events_acknowledged_while_a_listener_is_read_are_not_lost(
    listeners: Listeners, catalog: Catalog, executor: ThreadPoolExecutor
) -> None:
    held = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Both threads of the executor wait, so the read of the listener stands in the queue behind them.
    blocked = [executor.submit(lambda: asyncio.run_coroutine_threadsafe(held.wait(), loop).result()) for _ in range(2)]
    resolving = asyncio.create_task(listeners.resolve(user("new"), catalog))
    await asyncio.sleep(0)
    listeners.record([event("new", "t005")])
    held.set()
    listener, _ = await resolving
    assert ids(catalog, listener) == ["t005"]
    assert all([await asyncio.wrap_future(future) for future in blocked])


async def test_a_listener_who_left_memory_is_read_again(
    listeners: Listeners, events: EventStore, catalog: Catalog
) -> None:
    events.append([event("first", "t001")], received_at=1.0)
    for name in ("first", "second", "third", "fourth", "first"):
        listener, _ = await listeners.resolve(user(name), catalog)
    assert ids(catalog, listener) == ["t001"]


async def test_a_deleted_track_is_in_no_history_until_it_comes_back(
    listeners: Listeners, registry: Registry, catalog: Catalog
) -> None:
    trained = catalog.history_rows("u00")
    assert trained is not None
    gone = str(catalog.columns.ids[trained[0]])
    await listeners.resolve(user("u00"), catalog)
    listeners.record([event("u00", "t199"), event("u00", "t198")])
    record = catalog.record(catalog.row_of("t199"))

    await registry.apply_tracks(deletes=[gone, "t199"])
    changed = registry.snapshot.catalog
    listener, _ = await listeners.resolve(user("u00"), changed)
    assert ids(changed, listener) == [*catalog.columns.ids[trained[1:]], "t198"]

    await registry.apply_tracks(upserts=[record])
    restored = registry.snapshot.catalog
    listener, _ = await listeners.resolve(user("u00"), restored)
    assert ids(restored, listener) == [*catalog.columns.ids[trained[1:]], "t199", "t198"]


async def test_a_session_keeps_its_order_and_each_track_once(listeners: Listeners, catalog: Catalog) -> None:
    subject = Subject("session", track_ids=("t003", "t001", "t003", "t002"))
    listener, degraded = await listeners.resolve(subject, catalog)
    assert ids(catalog, listener) == ["t001", "t003", "t002"]
    assert set(listener.seen) == set(listener.history)
    assert (listener.known, degraded) == (True, ())


async def test_unknown_seed_tracks_are_all_named(listeners: Listeners, registry: Registry) -> None:
    await registry.apply_tracks(deletes=["t004"])
    subject = Subject("seed_tracks", track_ids=("t001", "nope", "t004", "nope", "neither"))
    with pytest.raises(NotFoundError) as caught:
        await listeners.resolve(subject, registry.snapshot.catalog)
    assert (caught.value.resource_type, caught.value.names) == ("track", ("nope", "t004", "neither"))


async def test_a_broken_database_leaves_the_training_history(
    listeners: Listeners, database: Database, catalog: Catalog
) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE events")
    listener, degraded = await listeners.resolve(user("u00"), catalog)
    assert np.array_equal(listener.history, catalog.history_rows("u00"))
    assert [(part.part, part.reason) for part in degraded] == [("user", DegradationReason.FAILED)]
