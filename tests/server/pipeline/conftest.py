"""Fixtures for the pipeline's tests: an open registry and recommender on a small repository."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from audotics.bundle.store import BundleStore
from audotics.server.pipeline.list_memory import ListMemory
from audotics.server.pipeline.made_list import MadeList
from audotics.server.pipeline.options import PipelineOptions
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Listener, Recommendation, RecommendQuery, Subject

OpenStage = Callable[..., AbstractAsyncContextManager["Stage"]]


@dataclass
class Stage:
    """A registry and a recommender at work."""

    registry: Registry
    recommender: Recommender
    executor: ThreadPoolExecutor
    made: list[MadeList]
    """Every list that was answered, with what it was made from."""

    @property
    def snapshot(self) -> Snapshot:
        return self.registry.snapshot

    def listener(self, user_id: str) -> Listener:
        """A training listener, or one without history."""
        rows = self.snapshot.catalog.history_rows(user_id)
        rows = np.empty(0, np.int64) if rows is None else rows
        return Listener(history=rows, seen=rows)

    async def recommend(self, user_id: str, limit: int = 10, **query: object) -> Recommendation:
        subject = Subject("user", user_id=user_id)
        listener = self.listener(user_id)
        return await self.recommender.recommend(self.snapshot, listener, RecommendQuery(subject, limit, **query))


@pytest.fixture
def open_stage() -> OpenStage:
    """`open_stage(repository_folder, memory=…, **options)` as an async context manager."""

    @asynccontextmanager
    async def open_stage(path: Path, memory: ListMemory | None = None, **options: object) -> AsyncIterator[Stage]:
        made: list[MadeList] = []
        with ThreadPoolExecutor(2) as executor:
            async with (
                Registry(BundleStore(path), executor=executor) as registry,
                Recommender(
                    executor=executor, options=PipelineOptions(**options), memory=memory, on_listed=made.append
                ) as recommender,
            ):
                await registry.start()
                yield Stage(registry, recommender, executor, made)

    return open_stage


@pytest.fixture
async def stage(repository, open_stage: OpenStage) -> AsyncIterator[Stage]:
    """On the complete repository with default options."""
    async with open_stage(repository.path) as stage:
        yield stage
