"""The compactor: a registry goes in; its indexes take up what changed, one after the other, for as long as it lives."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from types import TracebackType
from typing import Final, Self

from audotics.server.repository.registry import Registry

_LOG: Final = logging.getLogger(__name__)


class Compactor:
    """Looks for indexes with many changes every `interval_s`. Use it as an async context manager."""

    def __init__(self, registry: Registry, *, executor: Executor, interval_s: float = 5.0) -> None:
        """Compactions run on `executor`, which should have one thread of its own."""
        self._registry = registry
        self._executor = executor
        self._interval_s = interval_s
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

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self._registry.compact(executor=self._executor)
            except Exception:
                _LOG.exception("an index could not be compacted; it is tried again")
