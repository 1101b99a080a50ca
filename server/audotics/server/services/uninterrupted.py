"""Work that must not stop halfway: a coroutine goes in, and it finishes even when its caller gives up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from audotics.server.errors import AudoticsError

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)


class Uninterrupted:
    """Shields coroutines from the cancellation of those who await them. Leaving the context waits for all of them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`. A cancellation reaches the caller at once, and `work` goes on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise
        finally:
            task.add_done_callback(self._tasks.discard)


def _log_failure(task: asyncio.Task[Any]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    if isinstance(error, AudoticsError):  # what the caller would have been told
        _LOG.warning("refused after its caller had left: %s", error)
    else:
        _LOG.error("work whose caller had left failed: %s", error, exc_info=error)
