"""Single flight: of all who want the same thing at once, one makes it while the others wait."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Flights:
    """What is being made now, by key. No result passes through here: those who waited look where it was put."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Future[None]] = {}

    async def wait(self, key: Hashable, *, timeout_s: float | None) -> bool:
        """Wait while somebody else makes it, `timeout_s` at most; whether anybody did. Whoever waited waits once."""
        flight = self._under_way.get(key)
        if flight is None:
            return False
        await asyncio.wait((flight,), timeout=timeout_s)
        return True

    @contextmanager
    def making(self, key: Hashable) -> Iterator[None]:
        """Let others wait until the block ends, in whatever way."""
        flight = asyncio.get_running_loop().create_future()
        first = self._under_way.setdefault(key, flight) is flight
        try:
            yield
        finally:
            flight.set_result(None)
            if first:
                del self._under_way[key]
