"""The cache that servers share: values go into Redis as bytes, and come out for every server that asks.

A group is a Redis hash, and its keys are the fields, so that a group is dropped by one command. Everything that waits
while a pipeline is on its way goes with the next one. When Redis is away or too slow, look-ups find nothing at once,
values are not kept, and a task of its own tries with growing pauses until Redis is back.

Stampedes are kept off by probabilistic early expiration: of the servers that read a value shortly before it is too old,
some make it anew, the likelier the longer it takes to make (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic
Cache Stampede Prevention, VLDB 2015, "XFetch").
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from audotics.server.storage.cache.cache import CacheError, CacheStatistics
from audotics.server.storage.cache.connection import connect, without_password

_LOG: Final = logging.getLogger(__name__)
_PREFIX: Final = "audotics:1:"
"""Before every name in Redis; the number is that of the format of what stands there."""

_HEADER: Final = struct.Struct("<df")
"""When the value was made, UTC seconds, and how many seconds that took."""

_EARLINESS: Final = 1.0
"""XFetch's beta: 1 is the optimum for a value whose cost does not change."""

_PIPELINE_COMMANDS: Final = 256
_MOST_WAITING: Final = 4096
_MOST_KEYS: Final = 64
"""Values of one group: a listener who is asked about in ever new ways begins anew."""

_LATE_S: Final = 60
"""For so long after a group was dropped nothing is put into it: another server may have made it before."""

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0
_NOT_NOW: Final = ("BusyLoadingError", "ReadOnlyError", "AuthenticationError", "NoPermissionError")

_PUT: Final = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  redis.call('UNLINK', KEYS[1])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Find:
    group: str
    key: str
    found: asyncio.Future[bytes | None]


@dataclass(frozen=True, slots=True, eq=False)
class _Put:
    group: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Drop:
    group: str
    dropped: asyncio.Future[int]


_Command = _Find | _Put | _Drop


class RedisCache:
    """A `Cache[str, bytes]`. Use it as an async context manager; opening it does not wait for Redis."""

    def __init__(
        self,
        url: str,
        *,
        ttl_s: float,
        timeout_s: float = 0.1,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`timeout_s` bounds every exchange; `draw` gives numbers of [0, 1). Raises CacheError for a malformed URL."""
        self._client, _ = connect(url, timeout_s=timeout_s)
        self._shown = without_password(url)
        self._ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._now = now
        self._draw = draw
        self._waiting: deque[_Command] = deque()
        self._arrived = asyncio.Event()
        self._available = asyncio.Event()
        self._available.set()
        self._worker: asyncio.Task[None] | None = None
        self._closing = False
        self.statistics = CacheStatistics()

    @property
    def available(self) -> bool:
        """Whether the last exchange went well."""
        return self._available.is_set()

    async def wait_available(self) -> None:
        """Return when Redis answers."""
        await self._available.wait()

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Send what waits, if Redis takes it, and hang up."""
        self._closing = True  # what a cancellation is for: the client may take one for a lost connection
        self._arrived.set()
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        last = list(self._waiting)
        self._waiting.clear()
        if self.available:
            await self._exchange(last)
        else:
            self._give_up(last)
        await self._client.aclose()

    async def find(self, group: str, key: str) -> bytes | None:
        if not self._take_more():
            return None
        found: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._send(_Find(group, key, found))
        return self._in_time(await found)

    def put(self, group: str, key: str, value: bytes, *, cost_s: float) -> None:
        if self._take_more():
            self._send(_Put(group, key, _HEADER.pack(self._now(), cost_s) + value))

    async def drop(self, group: str) -> int:
        """Also what other servers put into the group within the next minute."""
        if not self.available:
            raise self._unreachable()
        dropped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._send(_Drop(group, dropped))
        return await dropped

    def _take_more(self) -> bool:
        if self.available and len(self._waiting) < _MOST_WAITING:
            return True
        self.statistics.lost += 1
        return False

    def _send(self, command: _Command) -> None:
        self._waiting.append(command)
        self._arrived.set()

    def _in_time(self, stored: bytes | None) -> bytes | None:
        """The value, unless it is too old, or so near to it that it falls to this caller to make it anew."""
        if stored is None or len(stored) < _HEADER.size:
            self.statistics.misses += 1
            return None
        made_at, cost_s = _HEADER.unpack_from(stored)
        expires_at, now = made_at + self._ttl_s, self._now()
        if now >= expires_at:
            self.statistics.misses += 1
            return None
        if now - cost_s * _EARLINESS * math.log(1.0 - self._draw()) >= expires_at:
            self.statistics.early += 1
            return None
        self.statistics.hits += 1
        return stored[_HEADER.size :]

    async def _work(self) -> None:
        while not self._closing:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting and not self._closing:
                count = min(len(self._waiting), _PIPELINE_COMMANDS)
                await self._exchange([self._waiting.popleft() for _ in range(count)])
                if not self.available:
                    self._give_up([self._waiting.popleft() for _ in range(len(self._waiting))])
                    await self._reconnect()

    async def _exchange(self, commands: Sequence[_Command]) -> None:
        """Send commands in one pipeline and hand out what comes back."""
        if not commands:
            return
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            self._add(pipeline, command)
        try:
            async with asyncio.timeout(self._timeout_s):
                answers = iter(_checked(await pipeline.execute(raise_on_error=False)))
        except asyncio.CancelledError:
            self._give_up(commands)
            raise
        except Exception as error:  # whatever it is: nobody may wait for an answer that never comes
            self._give_up(commands)
            self._available.clear()
            self.statistics.outages += 1
            _LOG.warning(
                "the cache %s is away (%s); requests go on without it", self._shown, str(error) or "it did not answer"
            )
            return
        for command in commands:
            match command:
                case _Find():
                    found = next(answers)
                    _settle(command.found, found if isinstance(found, bytes) else None)
                case _Put():
                    self.statistics.lost += isinstance(next(answers), Exception)
                case _Drop():
                    _, count, _, left = (next(answers) for _ in range(4))
                    _settle(command.dropped, count if left == 0 else self._unreachable())

    def _add(self, pipeline: Any, command: _Command) -> None:
        name, gone = f"{_PREFIX}{command.group}", f"{_PREFIX}gone:{command.group}"
        match command:
            case _Find():
                pipeline.hget(name, command.key)
            case _Put():
                ttl_ms = max(1, int(self._ttl_s * 1000))
                pipeline.eval(_PUT, 2, name, gone, command.key, command.value, ttl_ms, _MOST_KEYS)
            case _Drop():
                pipeline.set(gone, 1, ex=_LATE_S)
                pipeline.hlen(name)
                pipeline.unlink(name)
                pipeline.hlen(name)

    def _give_up(self, commands: Sequence[_Command]) -> None:
        for command in commands:
            match command:
                case _Find():
                    _settle(command.found, None)
                case _Drop():
                    _settle(command.dropped, self._unreachable())
            self.statistics.lost += 1

    async def _reconnect(self) -> None:
        """Try with growing pauses until Redis answers; each a little different, so that servers do not try together."""
        pause_s = _FIRST_PAUSE_S
        while not self._closing:
            await self._client.connection_pool.disconnect()
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.25))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._client.ping()
            except Exception:  # as in `_exchange`; it was told of once
                continue
            self._available.set()
            _LOG.info("the cache %s is back; %d exchanges went without it", self._shown, self.statistics.lost)
            return

    def _unreachable(self) -> CacheError:
        return CacheError(f"the cache {self._shown} cannot be reached; start it, and try again later")


def _checked(answers: list[Any]) -> list[Any]:
    """Answers of a pipeline. One that says that Redis takes nothing now is raised; others are of one command each."""
    for answer in answers:
        if isinstance(answer, Exception) and type(answer).__name__ in _NOT_NOW:
            raise answer
    return answers


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    """Hand out a result or an error, unless its caller has left."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
