"""News among servers: ids of listeners of whom something is known anew go in at one, and come out at all others.

They travel by Redis's publish and subscribe, and are kept nowhere. What cannot be sent waits until Redis is back. A
server that was not connected cannot know what it missed, and is told so.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from audotics.server.storage.cache.connection import connect, without_password

_LOG: Final = logging.getLogger(__name__)
_CHANNEL: Final = "audotics:1:listeners"
_MOST_WAITING: Final = 10_000
"""Listeners that wait to be told of; with more, the others are told to read everybody anew."""

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0
_SILENCE_S: Final = 1.0
"""How long to wait for news before looking whether the connection is still there."""


class ListenerFeed:
    """Tells and hears. Use it as an async context manager; opening it does not wait for Redis."""

    def __init__(
        self,
        url: str,
        *,
        on_changed: Callable[[Sequence[str]], object],
        on_gap: Callable[[], object],
        timeout_s: float = 1.0,
    ) -> None:
        """`on_changed` learns what other servers told, `on_gap` that they may have told what was not heard.

        Raises CacheError for a malformed URL.
        """
        self._client, self._failures = connect(url, timeout_s=timeout_s)
        self._shown = without_password(url)
        self._timeout_s = timeout_s
        self._on_changed = on_changed
        self._on_gap = on_gap
        self._name = uuid.uuid4().hex
        self._waiting: set[str] = set()
        self._everybody = False
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

    def tell(self, user_ids: Iterable[str]) -> None:
        """Let the other servers know. Never waits, never raises."""
        self._waiting.update(user_ids)
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.clear()
            self._everybody = True
        self._told.set()

    async def _send(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._closing:
            await self._told.wait()
            self._told.clear()
            user_ids, everybody = list(self._waiting), self._everybody
            if not user_ids and not everybody:
                continue
            self._waiting.clear()
            self._everybody = False
            message = json.dumps([self._name, None if everybody else user_ids])
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._client.publish(_CHANNEL, message)
            except self._failures:
                self._everybody = self._everybody or everybody
                self.tell(user_ids)
                await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                pause_s = _FIRST_PAUSE_S

    async def _hear(self) -> None:
        pause_s, first = _FIRST_PAUSE_S, True
        while not self._closing:
            try:
                async with self._client.pubsub() as subscription:
                    async with asyncio.timeout(self._timeout_s):
                        await subscription.subscribe(_CHANNEL)
                    if not first:
                        self._on_gap()
                        _LOG.info("news of listeners come from %s again; all are read anew", self._shown)
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
            sender, user_ids = json.loads(message["data"])
        except (ValueError, TypeError):
            return  # somebody else speaks on our channel
        if sender == self._name:
            return
        if user_ids is None:
            self._on_gap()
        else:
            self._on_changed([str(user_id) for user_id in user_ids])
