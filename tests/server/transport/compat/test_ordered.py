"""Work on a stream: side by side, in order, not too much at once, and none of it after the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from audotics.server.transport.compat.ordered import in_order


class Work:
    """Items under way, and what became of them; each goes on until `go` has its number."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.cancelled: list[int] = []
        self.go = [asyncio.Event() for _ in range(10)]

    async def __call__(self, item: int) -> int:
        self.started.append(item)
        try:
            await self.go[item].wait()
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        if item == 7:
            raise ValueError("seven")
        return 10 * item

    async def until_idle(self) -> None:
        """Everything that can go on without more events has."""
        for _ in range(20):
            await asyncio.sleep(0)


async def numbers(start: int, end: int, *, error: Exception | None = None) -> AsyncIterator[int]:
    for number in range(start, end):
        yield number
    if error is not None:
        raise error


async def test_results_come_in_the_order_of_the_items() -> None:
    work = Work()
    results = in_order(numbers(0, 3), work)
    first = asyncio.ensure_future(anext(results))
    work.go[2].set()
    work.go[1].set()
    await work.until_idle()
    assert work.started == [0, 1, 2]
    assert not first.done()
    work.go[0].set()
    assert [await first, *[result async for result in results]] == [0, 10, 20]


async def test_no_more_than_the_limit_wait() -> None:
    """Beside those that wait, one is awaited and one has been taken from the stream."""
    work = Work()
    results = in_order(numbers(0, 10), work, limit=2)
    first = asyncio.ensure_future(anext(results))
    await work.until_idle()
    assert work.started == [0, 1, 2, 3]
    work.go[0].set()
    assert await first == 0
    await results.aclose()


async def test_nothing_goes_on_after_the_end() -> None:
    work = Work()
    results = in_order(numbers(0, 10), work, limit=2)
    first = asyncio.ensure_future(anext(results))
    await work.until_idle()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await work.until_idle()
    assert work.started == sorted(work.cancelled)


@pytest.mark.parametrize("end", [8, 7])
async def test_what_fails_is_raised_in_its_place(end: int) -> None:
    """Work that fails, or the stream that the items come from."""
    work = Work()
    for event in work.go:
        event.set()
    results = in_order(numbers(5, end, error=ValueError("seven")), work)
    assert [await anext(results), await anext(results)] == [50, 60]
    with pytest.raises(ValueError, match="seven"):
        await anext(results)
