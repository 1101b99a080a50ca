"""Indexes take up what changed while they serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from audotics.bundle.store import BundleStore
from audotics.server.repository.compactor import Compactor
from audotics.server.repository.registry import Registry
from audotics.server.types import TrackRecord


@pytest.fixture
async def registry(repository) -> AsyncIterator[Registry]:
    with ThreadPoolExecutor(1) as executor:
        async with Registry(BundleStore(repository.path), executor=executor) as registry:
            await registry.start()
            yield registry


def tracks(n: int, *, first: int = 0) -> list[TrackRecord]:
    return [TrackRecord(track_id=f"new{i}", title=f"New {i}") for i in range(first, first + n)]


async def test_many_new_tracks_go_into_the_index(registry):
    await registry.apply_tracks(upserts=tracks(2001), deletes=["t003"])
    before = registry.snapshot.content.index
    assert before.delta_size == 2001

    with ThreadPoolExecutor(1) as executor:
        compactor = Compactor(registry, executor=executor)
        assert await compactor.compact() == 1
        assert await compactor.compact() == 0

    after = registry.snapshot.content.index
    assert after.delta_size == 0
    assert after.size == before.size == registry.snapshot.content.rows.size
    row = registry.snapshot.catalog.row_of("new7")
    vector = registry.snapshot.content.vectors(registry.snapshot.catalog.rows_of(["new7"]))
    assert row in registry.snapshot.content.nearest(vector, 2100)[1]
    await registry.apply_tracks(upserts=tracks(3, first=5000), deletes=["new7"])
    assert registry.snapshot.content.index.delta_size == 3
    assert row not in registry.snapshot.content.nearest(vector, 2100)[1]


async def test_a_few_changes_stay_beside_it(registry):
    await registry.apply_tracks(upserts=tracks(20))
    with ThreadPoolExecutor(1) as executor:
        assert await Compactor(registry, executor=executor).compact() == 0
    assert registry.snapshot.content.index.delta_size == 20


async def test_the_compactor_works_on_its_own(registry):
    await registry.apply_tracks(upserts=tracks(2001))
    with ThreadPoolExecutor(1) as executor:
        async with Compactor(registry, executor=executor, interval_s=0.01):
            for _ in range(1000):
                if registry.snapshot.content.index.delta_size == 0:
                    break
                await asyncio.sleep(0.01)
    assert registry.snapshot.content.index.delta_size == 0
