"""The compactor: a registry goes in; its indexes take up what changed, one after the other, for as long as it lives."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from types import TracebackType
from typing import Final, Self

from audotics.server.errors import RefusedModelError
from audotics.server.repository.registry import Registry
from audotics.server.repository.state import Key
from audotics.server.retrieval.compaction import needs_compaction

_LOG: Final = logging.getLogger(__name__)


class Compactor:
    """Looks for indexes with many changes every `interval_s`. Use it as an async context manager."""

    def __init__(self, registry: Registry, *, executor: Executor, interval_s: float = 5.0) -> None:
        """Compactions run on `executor`, which should have one thread of its own."""
        self._registry = registry
        self._executor = executor
        self._interval_s = interval_s
        self._blocked: dict[Key, int] = {}
        """Of indexes whose compaction was refused: the changes that they had."""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work(), name="compactor")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def compact(self) -> int:
        """Put changed vectors into the indexes that have many beside them, and count these indexes.

        One that would find too little is not put in service, and is tried again when twice as much has changed.
        """
        done = 0
        for status in self._registry.indexes():
            key, index = (status.name, status.version), status.index
            if not needs_compaction(index) or index.delta_size < 2 * self._blocked.get(key, 0):
                continue
            try:
                done += await self._registry.compact(key, index, executor=self._executor)
            except RefusedModelError as error:
                _LOG.warning("not compacted: %s", error)
                self._blocked[key] = index.delta_size
        return done

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.compact()
            except Exception:
                _LOG.exception("an index could not be compacted; it is tried again")
