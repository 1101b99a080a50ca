"""A small bounded cache that several threads may use: keys go in, values made once come out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class LruCache(Generic[KeyT, ValueT]):
    """Keeps the `capacity` values that were used last."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[KeyT, ValueT] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: KeyT) -> ValueT | None:
        """The value of `key`, None when it is not there."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: KeyT, value: ValueT) -> None:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._capacity:
                self._values.popitem(last=False)

    def get(self, key: KeyT, make: Callable[[], ValueT]) -> ValueT:
        """The value of `key`, made by `make` when it is not there. Two threads may make it at once."""
        value = self.find(key)
        if value is None:
            value = make()
            self.put(key, value)
        return value
