"""A registry that serves the small repository, and stores in a real database file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pytest

from audotics.bundle.store import BundleStore
from audotics.server.repository.registry import Registry
from audotics.server.services.listeners import Listeners
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.database import Database
from audotics.server.storage.events import EventStore


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
def listeners(events: EventStore, executor: ThreadPoolExecutor) -> Listeners:
    return Listeners(events=events, executor=executor, cache_size=3)


@pytest.fixture
async def registry(repository: RepositoryFiles, executor: ThreadPoolExecutor) -> AsyncIterator[Registry]:
    async with Registry(repository.store, executor=executor) as opened:
        await opened.start()
        yield opened


@pytest.fixture
async def uninterrupted() -> AsyncIterator[Uninterrupted]:
    async with Uninterrupted() as opened:
        yield opened
