"""A registry that serves the small repository, and stores in a real database file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pytest

from audotics.bundle.store import BundleStore
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.event_log import EventLog
from audotics.server.services.listeners import Listeners
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.database import Database
from audotics.server.storage.events import EventStore
from audotics.server.storage.receipts import ReceiptStore
from audotics.server.storage.users import UserStore
from tests.server.services.house import house_of


class RepositoryFiles(Protocol):
    store: BundleStore


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/state.db")
    yield opened
    opened.close()


@pytest.fixture
def events(database: Database) -> EventStore:
    return EventStore(database)


@pytest.fixture
def users(database: Database) -> UserStore:
    return UserStore(database)


@pytest.fixture
def listeners(users: UserStore, executor: ThreadPoolExecutor) -> Listeners:
    return Listeners(users=users, executor=executor, cache_size=3)


@pytest.fixture
async def log(events: EventStore, listeners: Listeners, executor: ThreadPoolExecutor) -> AsyncIterator[EventLog]:
    async with EventLog(
        events,
        executor=executor,
        on_stored=listeners.record,
        on_failed=lambda lost: listeners.forget(event.user_id for event in lost),
    ) as opened:
        yield opened


@pytest.fixture
def stored_receipts(database: Database) -> ReceiptStore:
    return ReceiptStore(database)


@pytest.fixture
async def receipts(
    stored_receipts: ReceiptStore, log: EventLog, executor: ThreadPoolExecutor
) -> AsyncIterator[ReceiptWriter]:
    async with ReceiptWriter(stored_receipts, log=log, executor=executor) as opened:
        yield opened


@pytest.fixture
async def recommender(executor: ThreadPoolExecutor, receipts: ReceiptWriter) -> AsyncIterator[Recommender]:
    async with Recommender(executor=executor, on_listed=receipts.add) as opened:
        yield opened


@pytest.fixture
async def registry(repository: RepositoryFiles, executor: ThreadPoolExecutor) -> AsyncIterator[Registry]:
    async with Registry(repository.store, executor=executor) as opened:
        await opened.start()
        yield opened


@pytest.fixture
async def uninterrupted() -> AsyncIterator[Uninterrupted]:
    async with Uninterrupted() as opened:
        yield opened


@pytest.fixture
def open_house(repository: RepositoryFiles, listeners: Listeners, uninterrupted: Uninterrupted) -> Callable[..., Any]:
    """`open_house(**limits)`: a registry with its shadow, which compares every request, and its gate with `limits`."""
    return house_of(repository, listeners, uninterrupted)
