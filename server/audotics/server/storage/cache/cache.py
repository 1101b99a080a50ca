"""What every cache does: a value goes in under a group and a key, and comes out until it is too old or dropped."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from audotics.server.storage.errors import StorageError

KeyT = TypeVar("KeyT", bound=Hashable, contravariant=True)
ValueT = TypeVar("ValueT")


class CacheError(StorageError):
    """The cache cannot be reached where that must be said: what should be dropped may still be in it."""


@dataclass(slots=True)
class CacheStatistics:
    """What became of look-ups and values since the start. `lost` counts both, while the cache was away or too slow."""

    hits: int = 0
    misses: int = 0
    early: int = 0
    """Hits that were passed over, so that the value is made anew before it is too old."""
    evicted: int = 0
    lost: int = 0
    outages: int = 0


class Cache(Protocol[KeyT, ValueT]):
    """A look-up after `put` finds the value, unless room or time has run out. Nothing is found that was not put."""

    statistics: CacheStatistics

    async def find(self, group: str, key: KeyT) -> ValueT | None:
        """The value, None when there is none or the cache is away. Never raises."""

    def put(self, group: str, key: KeyT, value: ValueT, *, cost_s: float) -> None:
        """Keep a value that took `cost_s` seconds to make, in place of the one before. Never waits, never raises."""

    async def drop(self, group: str) -> int:
        """Drop all values of a group, and say how many there were. Raises CacheError when some may be left."""
