"""The catalogue's administration: what is written is served, and is there at the next start."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest

from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError
from audotics.server.repository.registry import Registry
from audotics.server.services.catalog import CatalogService, DeleteCount, UpsertCount
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.database import Database
from audotics.server.storage.errors import StorageError
from audotics.server.storage.tracks import TrackStore
from audotics.server.types import TrackRecord


class RepositoryFiles(Protocol):
    store: BundleStore


NEW = TrackRecord("new", title="New", artist="Somebody", tags=("rock",), audio=(0.5,) * 11)


@pytest.fixture
def make_service(
    database: Database, executor: ThreadPoolExecutor, uninterrupted: Uninterrupted
) -> Callable[[Registry], CatalogService]:
    def make(registry: Registry) -> CatalogService:
        return CatalogService(
            registry=registry, tracks=TrackStore(database), executor=executor, uninterrupted=uninterrupted
        )

    return make


@pytest.fixture
def catalog(make_service: Callable[[Registry], CatalogService], registry: Registry) -> CatalogService:
    return make_service(registry)


async def test_counts_what_is_new_and_what_is_replaced(catalog: CatalogService) -> None:
    assert await catalog.upsert([NEW, TrackRecord("t000", title="Other")]) == UpsertCount(created=1, updated=1)
    assert await catalog.upsert([NEW]) == UpsertCount(created=0, updated=1)
    assert [record.title for record in catalog.get(["t000", "new", "t001"])] == ["Other", "New", "Title 001"]


async def test_counts_what_is_deleted_and_what_is_unknown(catalog: CatalogService) -> None:
    assert await catalog.delete(["t000", "nope", "t000"]) == DeleteCount(deleted=1, unknown=1)
    assert await catalog.delete(["t000"]) == DeleteCount(deleted=0, unknown=1)
    with pytest.raises(NotFoundError) as caught:
        catalog.get(["t001", "t000", "nope"])
    assert caught.value.names == ("t000", "nope")


async def test_a_deleted_track_that_is_written_again_is_new(catalog: CatalogService) -> None:
    await catalog.delete(["t000"])
    assert await catalog.upsert([TrackRecord("t000", title="Back")]) == UpsertCount(created=1, updated=0)
    assert catalog.get(["t000"])[0].title == "Back"


async def test_changes_are_there_at_the_next_start(
    catalog: CatalogService,
    make_service: Callable[[Registry], CatalogService],
    repository: RepositoryFiles,
    registry: Registry,
    executor: ThreadPoolExecutor,
) -> None:
    await catalog.upsert([NEW])
    await catalog.delete(["t000"])
    async with Registry(repository.store, executor=executor) as restarted:
        await restarted.start()
        service = make_service(restarted)
        await service.restore()
        assert service.get(["new"]) == catalog.get(["new"])
        with pytest.raises(NotFoundError):
            service.get(["t000"])


async def test_a_failed_write_changes_nothing(catalog: CatalogService, database: Database) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE tracks")
    with pytest.raises(StorageError):
        await catalog.upsert([NEW])
    with pytest.raises(NotFoundError):
        catalog.get(["new"])
