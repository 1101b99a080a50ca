"""Who is told of what changed: names of listeners and sessions go in, and those who watch them wake up.

A watcher is told that something changed, and not what or how often: the latest is all that counts to them, so nothing
can pile up for one who is slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from audotics.server.errors import NotReadyError, OverloadedError

_RETRY_AFTER_S: Final = 5.0


def listener_topic(user_id: str) -> str:
    return f"users/{user_id}"


class Subscription:
    """One watcher. `about` says what it is told of."""

    def __init__(self) -> None:
        self.about: frozenset[str] = frozenset()
        self.closing = False
        self._changed = asyncio.Event()

    def watch(self, topics: Iterable[str]) -> None:
        """Be told of changes of these from now on, and forget those before."""
        self.about = frozenset(topics)
        self._changed.clear()

    def wake(self) -> None:
        self._changed.set()

    async def changed(self) -> None:
        """Return when one of them has changed since the last `watch`. Raises NotReadyError when the server stops."""
        await self._changed.wait()
        if self.closing:
            raise NotReadyError("the server is stopping; watch again, and another one answers")


class Changes:
    """Tells watchers. Use it as an async context manager; leaving it ends every watch. Lives on the event loop."""

    def __init__(self, *, limit: int) -> None:
        """At most `limit` watch at a time."""
        self._limit = limit
        self._subscriptions: dict[Subscription, None] = {}
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for subscription in self._subscriptions:
            subscription.closing = True
            subscription.wake()

    def __len__(self) -> int:
        """Watchers now."""
        return len(self._subscriptions)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """A watcher for as long as the block lasts. Raises OverloadedError, or NotReadyError when the server stops."""
        if self._closed:
            raise NotReadyError("the server is stopping; watch again, and another one answers")
        if len(self._subscriptions) >= self._limit:
            raise OverloadedError(
                f"{self._limit} lists are watched already; watch again later", retry_after_s=_RETRY_AFTER_S
            )
        subscription = Subscription()
        self._subscriptions[subscription] = None
        try:
            yield subscription
        finally:
            del self._subscriptions[subscription]

    def publish_all(self) -> None:
        """Wake everybody: anything may have changed."""
        for subscription in self._subscriptions:
            subscription.wake()

    def publish(self, topics: Iterable[str]) -> None:
        """Wake those who watch any of these."""
        changed = frozenset(topics)
        for subscription in self._subscriptions:
            if not subscription.about.isdisjoint(changed):
                subscription.wake()
