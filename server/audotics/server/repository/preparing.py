"""Versions that are loaded before their turn: names and numbers go in, and a change finds them ready.

Changes to what serves happen one after the other, and loading takes the longest of what they do. So versions are loaded
first, several at a time, on threads of their own: one that takes long holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from audotics.server.repository.loader import Loader
from audotics.server.repository.loading import CATALOG
from audotics.server.repository.state import Key

_LOG: Final = logging.getLogger(__name__)

VERSIONS_AT_ONCE: Final = 4
"""Loading is work for processors and disks, and those that requests need; waiting is not."""


class Preparing:
    """Loads versions on `executor`, and keeps them for as long as somebody is about to use them."""

    def __init__(self, loader: Loader, *, executor: Executor, loaded: Callable[[], AbstractSet[Key]]) -> None:
        """`loaded` says what need not be loaded."""
        self._loader = loader
        self._executor = executor
        self._loaded = loaded
        self._under_way: dict[Key, asyncio.Future[None]] = {}
        self._users: Counter[Key] = Counter()
        self._taking_in: dict[Key, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def ready(self, key: Key) -> AsyncIterator[None]:
        """Have a version loaded, a hybrid with its parts; inside, the loader has what became of each."""
        async with AsyncExitStack() as stack:
            wanted = [] if key[0] == CATALOG else [key]
            while wanted := [each for each in wanted if each not in self._loaded()]:
                for each in wanted:
                    self._users[each] += 1
                    stack.callback(self._leave, each)
                await asyncio.wait([self._load(each) for each in wanted])
                wanted = [part for each in wanted for part in self._loader.parts_of(each)]
            yield

    def take_in(self, keys: Iterable[Key], follow: Callable[[], Awaitable[None]]) -> None:
        """Prepare versions in the background, and `follow` the repository again as soon as one of them is ready."""
        for key in keys:
            if key not in self._taking_in:
                task = self._taking_in[key] = asyncio.create_task(self._take_in(key, follow))
                task.add_done_callback(partial(self._taken_in, key))

    async def settled(self) -> None:
        """Wait for what is in the background."""
        while self._taking_in:
            await asyncio.wait(self._taking_in.values())

    async def end(self) -> None:
        """Take in no more."""
        for task in self._taking_in.values():
            task.cancel()
        await self.settled()

    async def _take_in(self, key: Key, follow: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self.ready(key):
                await follow()
        except Exception:
            _LOG.exception("%s/%d could not be taken in; it is tried again at the next look", *key)

    def _taken_in(self, key: Key, _: object) -> None:
        del self._taking_in[key]

    def _load(self, key: Key) -> asyncio.Future[None]:
        known = self._under_way.get(key)
        if known is None:
            loop = asyncio.get_running_loop()
            known = self._under_way[key] = loop.run_in_executor(self._executor, self._loader.prepare, key)
        return known

    def _leave(self, key: Key) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key]
            # What is still being loaded, for somebody who has left, is dropped as soon as it is there.
            self._under_way.pop(key).add_done_callback(lambda _: self._drop(key))

    def _drop(self, key: Key) -> None:
        if key not in self._under_way:
            self._loader.drop(key)
