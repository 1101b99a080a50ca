"""Deleting a listener: nothing of them is left, in memory or in any file, and what was there is counted."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.event_log import EventLog
from audotics.server.services.listeners import Listeners
from audotics.server.services.privacy import Deletion, PrivacyService
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.database import Database
from audotics.server.storage.errors import StorageError
from audotics.server.storage.receipts import ReceiptStore
from audotics.server.storage.users import Erased, UserStore
from audotics.server.types import DegradationReason, Event, Preferences, RecommendQuery, Subject

USER_ID = "u00-a-listener-with-a-name-that-can-be-found"


@pytest.fixture
def privacy(
    registry: Registry,
    users: UserStore,
    log: EventLog,
    listeners: Listeners,
    recommender: Recommender,
    receipts: ReceiptWriter,
    uninterrupted: Uninterrupted,
) -> PrivacyService:
    return PrivacyService(
        registry=registry,
        users=users,
        log=log,
        listeners=listeners,
        recommenders=[recommender],
        receipts=receipts,
        uninterrupted=uninterrupted,
        now=lambda: 1000.0,
    )


def play(number: int, user_id: str = USER_ID) -> Event:
    return Event(f"e{number}", user_id, f"t{number:03d}", "play", float(number))


async def test_a_deleted_listener_is_a_stranger(
    privacy: PrivacyService,
    users: UserStore,
    log: EventLog,
    listeners: Listeners,
    recommender: Recommender,
    receipts: ReceiptWriter,
    registry: Registry,
) -> None:
    snapshot, subject = registry.snapshot, Subject("user", user_id="u00")
    await log.append([play(number, "u00") for number in range(3)], received_at=1.0)
    users.change_preferences("u00", lambda _: Preferences(), updated_at=1.0)
    listener, _ = await listeners.resolve(subject, snapshot.catalog)
    await recommender.recommend(snapshot, listener, RecommendQuery(subject, limit=10))
    await log.append([play(4, "u00")], received_at=1.0)
    again, _ = await listeners.resolve(subject, snapshot.catalog)
    await recommender.recommend(snapshot, again, RecommendQuery(subject, limit=100))
    await receipts.flush()
    assert await privacy.delete("u00") == Deletion(
        Erased(events=4, receipts=2, preferences=1, remaining=0), dropped_lists=2, masked_history_tracks=12
    )
    stranger, degraded = await listeners.resolve(subject, snapshot.catalog)
    assert (len(stranger.history), len(stranger.seen), stranger.known) == (0, 0, False)
    assert [part.reason for part in degraded] == [DegradationReason.UNKNOWN_USER]
    assert (await privacy.delete("u00")).erased == Erased(0, 0, 0, 0)


async def test_no_file_of_the_database_holds_the_id(
    privacy: PrivacyService, log: EventLog, users: UserStore, tmp_path: Path
) -> None:
    await log.append([play(number) for number in range(200)], received_at=1.0)
    users.change_preferences(USER_ID, lambda _: Preferences(liked_artists=("x",)), updated_at=1.0)
    await log.append([play(500, "somebody else")], received_at=1.0)

    def found(name: str) -> int:
        return sum(path.read_bytes().count(name.encode()) for path in tmp_path.glob("state.db*"))

    assert found(USER_ID) > 200
    await privacy.delete(USER_ID)
    assert found(USER_ID) == 0
    assert found("somebody else") > 0


async def test_events_count_by_whether_they_were_sent_before_or_after(
    privacy: PrivacyService, log: EventLog, listeners: Listeners, registry: Registry
) -> None:
    before = asyncio.create_task(log.append([play(1)], received_at=1.0))
    await asyncio.sleep(0)
    deleting = asyncio.create_task(privacy.delete(USER_ID))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    after = asyncio.create_task(log.append([play(2)], received_at=1.0))
    assert (await deleting).erased.events == 1
    assert (await before, await after) == (["accepted"], ["accepted"])
    catalog = registry.snapshot.catalog
    listener, _ = await listeners.resolve(Subject("user", user_id=USER_ID), catalog)
    assert list(catalog.columns.ids[listener.history]) == ["t002"]


async def test_a_list_that_was_under_way_leaves_no_receipt(
    privacy: PrivacyService,
    listeners: Listeners,
    recommender: Recommender,
    receipts: ReceiptWriter,
    stored_receipts: ReceiptStore,
    registry: Registry,
) -> None:
    snapshot, subject = registry.snapshot, Subject("user", user_id="u00")
    listener, _ = await listeners.resolve(subject, snapshot.catalog)
    await privacy.delete("u00")
    late = await recommender.recommend(snapshot, listener, RecommendQuery(subject, limit=10))
    other = await recommender.recommend(snapshot, listener, RecommendQuery(Subject("user", user_id="u01"), limit=10))
    await receipts.flush()
    assert stored_receipts.read(late.recommendation_id) is None
    assert stored_receipts.read(other.recommendation_id) is not None


async def test_lists_of_who_comes_back_leave_receipts_though_the_clock_was_ahead_at_the_deletion(
    privacy: PrivacyService,
    listeners: Listeners,
    recommender: Recommender,
    receipts: ReceiptWriter,
    stored_receipts: ReceiptStore,
    executor: ThreadPoolExecutor,
    log: EventLog,
    registry: Registry,
) -> None:
    """By the clock of the server that made the list, the deletion is yet to come."""
    snapshot, subject = registry.snapshot, Subject("user", user_id="u00")
    before, _ = await listeners.resolve(subject, snapshot.catalog)
    await privacy.delete("u00")
    async with (
        ReceiptWriter(stored_receipts, log=log, executor=executor, now=lambda: 10.0) as restarted,
        Recommender(executor=executor, on_listed=restarted.add) as anew,
    ):
        after, _ = await listeners.resolve(subject, snapshot.catalog)
        late = await anew.recommend(snapshot, before, RecommendQuery(subject, limit=10))
        back = await anew.recommend(snapshot, after, RecommendQuery(subject, limit=5))
        await restarted.flush()
        assert stored_receipts.read(late.recommendation_id) is None
        assert stored_receipts.read(back.recommendation_id) is not None


async def test_a_database_that_fails_deletes_nothing(
    privacy: PrivacyService, database: Database, log: EventLog, users: UserStore
) -> None:
    await log.append([play(1)], received_at=1.0)
    with database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE erasures RENAME TO elsewhere")
    with pytest.raises(StorageError):
        await privacy.delete(USER_ID)
    with database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO erasures")
    assert len(users.read(USER_ID).events) == 1
