"""News among servers: names of what has changed, each of some kind, go in at one, and come out at all others.

A kind, such as "listeners", is a channel of its own. Names travel by Redis's publish and subscribe, and are kept
nowhere. What cannot be sent waits until Redis is back. A server that was not connected cannot know what it missed, and
is told so.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from audotics.server.storage.cache.connection import connect, without_password

_LOG: Final = logging.getLogger(__name__)
_CHANNELS: Final = "audotics:1:"
_MOST_WAITING: Final = 10_000
"""Names of a kind that wait to be told; with more, the others are told that anything may have changed."""

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0
_SILENCE_S: Final = 1.0
"""How long to wait for news before looking whether the connection is still there."""


class NewsFeed:
    """Tells and hears. Use it as an async context manager; opening it does not wait for Redis."""

    def __init__(
        self,
        url: str,
        *,
        hearers: Mapping[str, Callable[[Sequence[str]], object]],
        on_gap: Callable[[], object],
        timeout_s: float = 1.0,
    ) -> None:
        """Each kind's hearer learns what other servers told of it, `on_gap` that they may have told what was not heard.

        Raises CacheError for a malformed URL.
        """
        self._client, self._failures = connect(url, timeout_s=timeout_s)
        self._shown = without_password(url)
        self._timeout_s = timeout_s
        self._hearers = dict(hearers)
        self._on_gap = on_gap
        self._name = uuid.uuid4().hex
        self._waiting: dict[str, set[str]] = {kind: set() for kind in hearers}
        self._overflowed: set[str] = set()
        self._told = asyncio.Event()
        self._closing = False
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        self._tasks = (asyncio.create_task(self._send()), asyncio.create_task(self._hear()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True  # what a cancellation is for: the client may take one for a lost connection
        self._told.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    def tell(self, kind: str, names: Iterable[str]) -> None:
        """Let the other servers know. Never waits."""
        waiting = self._waiting[kind]
        waiting.update(names)
        if len(waiting) > _MOST_WAITING:
            waiting.clear()
            self._overflowed.add(kind)
        self._told.set()

    async def _send(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._closing:
            await self._told.wait()
            self._told.clear()
            try:
                for kind in self._waiting:
                    await self._send_kind(kind)
            except self._failures:
                await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                pause_s = _FIRST_PAUSE_S

    async def _send_kind(self, kind: str) -> None:
        """Send what waits; what could not be sent waits again."""
        names, overflowed = list(self._waiting[kind]), kind in self._overflowed
        if not names and not overflowed:
            return
        self._waiting[kind].clear()
        self._overflowed.discard(kind)
        message = json.dumps([self._name, None if overflowed else names])
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._client.publish(_CHANNELS + kind, message)
        except self._failures:
            self._overflowed |= {kind} if overflowed else set()
            self.tell(kind, names)
            raise

    async def _hear(self) -> None:
        pause_s, first = _FIRST_PAUSE_S, True
        while not self._closing:
            try:
                async with self._client.pubsub() as subscription:
                    async with asyncio.timeout(self._timeout_s):
                        await subscription.subscribe(*(_CHANNELS + kind for kind in self._hearers))
                    if not first:
                        self._on_gap()
                        _LOG.info("news of other servers come from %s again; all is read anew", self._shown)
                    first, pause_s = False, _FIRST_PAUSE_S
                    while not self._closing:
                        self._take(await subscription.get_message(ignore_subscribe_messages=True, timeout=_SILENCE_S))
            except self._failures:
                first = False
                await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _take(self, message: Any) -> None:
        if message is None:
            return
        try:
            kind = message["channel"].decode().removeprefix(_CHANNELS)
            sender, names = json.loads(message["data"])
        except (ValueError, TypeError):
            return  # somebody else speaks on our channel
        if sender == self._name:
            return
        if names is None:
            self._on_gap()
        else:
            self._hearers[kind]([str(name) for name in names])
