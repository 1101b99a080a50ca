"""The cache of one process: values go in, and those used last come out, as many as a budget of bytes allows."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from audotics.server.storage.cache.cache import CacheStatistics

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True, eq=False)
class _Entry(Generic[ValueT]):
    value: ValueT
    size_bytes: int
    expires_at: float


class LocalCache(Generic[KeyT, ValueT]):
    """A `Cache` for the event loop's thread alone; nothing in it takes longer than a look-up in a dict."""

    def __init__(
        self,
        *,
        budget_bytes: int,
        ttl_s: float,
        size_of: Callable[[ValueT], int],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget_bytes = budget_bytes
        self._ttl_s = ttl_s
        self._size_of = size_of
        self._now = now
        self._entries: OrderedDict[tuple[str, KeyT], _Entry[ValueT]] = OrderedDict()
        self._groups: dict[str, set[KeyT]] = {}
        self.size_bytes = 0
        self.statistics = CacheStatistics()

    async def find(self, group: str, key: KeyT) -> ValueT | None:
        return self.find_now(group, key)

    def find_now(self, group: str, key: KeyT) -> ValueT | None:
        """As `find`, for a caller that need not give way."""
        entry = self._entries.get((group, key))
        if entry is None:
            self.statistics.misses += 1
            return None
        if self._now() >= entry.expires_at:
            self._remove(group, key)
            self.statistics.misses += 1
            return None
        self._entries.move_to_end((group, key))
        self.statistics.hits += 1
        return entry.value

    def put(self, group: str, key: KeyT, value: ValueT, *, cost_s: float) -> None:
        """A value larger than the whole budget is not kept. What it cost to make plays no part here."""
        if (group, key) in self._entries:
            self._remove(group, key)
        size_bytes = self._size_of(value)
        if size_bytes > self._budget_bytes:
            return
        self._entries[group, key] = _Entry(value, size_bytes, self._now() + self._ttl_s)
        self._groups.setdefault(group, set()).add(key)
        self.size_bytes += size_bytes
        while self.size_bytes > self._budget_bytes:
            self._remove(*next(iter(self._entries)))
            self.statistics.evicted += 1

    async def drop(self, group: str) -> int:
        return self.drop_now(group)

    def drop_now(self, group: str) -> int:
        """As `drop`, for a caller that need not give way."""
        keys = list(self._groups.get(group, ()))
        for key in keys:
            self._remove(group, key)
        return len(keys)

    def _remove(self, group: str, key: KeyT) -> None:
        self.size_bytes -= self._entries.pop((group, key)).size_bytes
        keys = self._groups[group]
        keys.remove(key)
        if not keys:
            del self._groups[group]
