"""Work on a stream: items go in, are worked on side by side, and results come out in the order of the items."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

LIMIT: Final = 64
"""Items under way at once. Behind them the stream waits, and with it, by flow control, its sender."""


async def in_order(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[R]], *, limit: int = LIMIT
) -> AsyncIterator[R]:
    """Results of `work` for each of `items`. What it raises ends the stream in its place."""
    results: asyncio.Queue[asyncio.Future[R] | None] = asyncio.Queue(limit)

    async def start() -> None:
        try:
            async for item in items:
                result = asyncio.ensure_future(work(item))
                try:
                    await results.put(result)
                except asyncio.CancelledError:
                    result.cancel()
                    raise
        finally:
            # In place of a result that failed to come: the reader must not wait for ever.
            await results.put(None)

    starting = asyncio.create_task(start())
    try:
        while (result := await results.get()) is not None:
            yield await result
        await starting
    finally:
        starting.cancel()
        while not results.empty():
            if (result := results.get_nowait()) is not None:
                result.cancel()
