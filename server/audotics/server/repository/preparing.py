"""Versions that are loaded before their turn: names and numbers go in, and a change finds them ready.

Changes to what serves happen one after the other, and loading takes the longest of what they do. So versions are loaded
first, on threads of their own.

They take turns, since loading is work for the processors that requests need. One that takes long does not keep its
turn, so that it holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
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
_TURN_S: Final = 1.0


class Preparing:
    """Loads versions on `executor`, and keeps them for as long as somebody is about to use them."""

    def __init__(self, loader: Loader, *, executor: Executor, loaded: Callable[[], AbstractSet[Key]]) -> None:
        """`loaded` says what need not be loaded."""
        self._loader = loader
        self._executor = executor
        self._loaded = loaded
        self._under_way: dict[Key, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._loads: set[asyncio.Task[None]] = set()
        self._users: Counter[Key] = Counter()
        self._taking_in: dict[str, asyncio.Task[None]] = {}
        self._unprepared: frozenset[Key] = frozenset()

    @asynccontextmanager
    async def ready(self, keys: Collection[Key]) -> AsyncIterator[None]:
        """Have versions loaded, hybrids with their parts; inside, the loader has what became of each."""
        async with AsyncExitStack() as stack:
            wanted = [key for key in keys if key[0] != CATALOG]
            while wanted := [each for each in wanted if each not in self._loaded()]:
                for each in wanted:
                    self._users[each] += 1
                    stack.callback(self._leave, each)
                loads = [self._load(each) for each in wanted]
                await asyncio.wait(loads)
                for load in loads:
                    load.result()  # what became of the versions is the loader's; this fails when the server stops
                wanted = [part for each in wanted for part in self._loader.parts_of(each)]
            yield

    def take_in(self, keys: frozenset[Key], follow: Callable[[], Awaitable[None]]) -> None:
        """Prepare these versions in the background, and `follow` the repository again when those of a model are ready.

        They are all that are not prepared, and `follow` calls this again.
        """
        self._unprepared = keys
        for name in {name for name, _ in keys} - self._taking_in.keys():
            task = self._taking_in[name] = asyncio.create_task(self._take_in(name, follow))
            task.add_done_callback(partial(self._taken_in, name))

    async def settled(self) -> None:
        """Wait for what is in the background."""
        while self._taking_in:
            await asyncio.wait(self._taking_in.values())

    async def end(self) -> None:
        """Take in no more, and let go of what is being loaded."""
        for task in (*self._taking_in.values(), *self._loads):
            task.cancel()
        await self.settled()
        if self._loads:
            await asyncio.wait(self._loads)

    async def _take_in(self, name: str, follow: Callable[[], Awaitable[None]]) -> None:
        try:
            async with AsyncExitStack() as stack:
                kept: set[Key] = set()
                while more := {key for key in self._unprepared if key[0] == name} - kept:
                    await stack.enter_async_context(self.ready(sorted(more)))
                    kept |= more  # until all are taken in together
                    await follow()
        except Exception:
            _LOG.exception("%s: its new versions could not be taken in; that is tried again at the next look", name)

    def _taken_in(self, name: str, _: object) -> None:
        del self._taking_in[name]

    def _load(self, key: Key) -> asyncio.Task[None]:
        known = self._under_way.get(key)
        if known is None:
            known = self._under_way[key] = asyncio.create_task(self._load_in_turn(key))
            self._loads.add(known)
            known.add_done_callback(self._loads.discard)
        return known

    async def _load_in_turn(self, key: Key) -> None:
        async with self._turn:
            loading = asyncio.get_running_loop().run_in_executor(self._executor, self._loader.prepare, key)
            await asyncio.wait([loading], timeout=_TURN_S)
        await loading

    def _leave(self, key: Key) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key]
            # What is still being loaded, for somebody who has left, is dropped as soon as it is there.
            self._under_way.pop(key).add_done_callback(lambda _: self._drop(key))

    def _drop(self, key: Key) -> None:
        if key not in self._under_way:
            self._loader.drop(key)
