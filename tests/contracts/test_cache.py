"""What every cache has to do for the server, that of one process and Redis alike; and what each does besides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from audotics.server.storage.cache.cache import Cache, CacheError
from audotics.server.storage.cache.flights import Flights
from audotics.server.storage.cache.local import LocalCache
from audotics.server.storage.cache.redis import RedisCache
from tests.redis_server import RedisServer, running_redis

TTL_S = 100.0


class Clock:
    """A time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def redis_process() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def redis(redis_process: RedisServer) -> Iterator[RedisServer]:
    """An empty server that runs, whatever the test before did to it."""
    with redis_process.client() as client:
        client.flushall()
    yield redis_process
    redis_process.recover()


@pytest.fixture
async def open_redis(redis: RedisServer, clock: Clock) -> AsyncIterator[Callable[..., object]]:
    """Open a cache as another server would. No value is made anew early, unless a test draws otherwise."""
    async with AsyncExitStack() as stack:

        async def opened(*, timeout_s: float = 5.0, draw: Callable[[], float] = lambda: 0.0) -> RedisCache:
            return await stack.enter_async_context(
                RedisCache(redis.url, ttl_s=TTL_S, timeout_s=timeout_s, now=clock, draw=draw)
            )

        yield opened


@pytest.fixture(params=["local", "redis"])
async def cache(request: pytest.FixtureRequest, clock: Clock, open_redis: Callable) -> Cache[str, bytes]:
    if request.param == "local":
        return LocalCache(budget_bytes=2**20, ttl_s=TTL_S, size_of=len, now=clock)
    return await open_redis()


async def test_finds_what_was_put_and_nothing_else(cache: Cache[str, bytes]) -> None:
    assert await cache.find("u1", "a") is None
    cache.put("u1", "a", b"one \x00\xff", cost_s=0.1)
    cache.put("u1", "b", b"", cost_s=0.1)
    cache.put("u2", "a", b"other", cost_s=0.1)
    assert await cache.find("u1", "a") == b"one \x00\xff"
    assert await cache.find("u1", "b") == b""
    assert await cache.find("u2", "a") == b"other"
    assert await cache.find("u2", "b") is None
    assert (cache.statistics.hits, cache.statistics.misses, cache.statistics.lost) == (3, 2, 0)


async def test_a_later_value_takes_the_place_of_the_earlier(cache: Cache[str, bytes]) -> None:
    cache.put("u1", "a", b"one", cost_s=0.1)
    cache.put("u1", "a", b"two", cost_s=0.1)
    assert await cache.find("u1", "a") == b"two"
    assert await cache.drop("u1") == 1


async def test_a_value_is_found_until_its_time_is_over(cache: Cache[str, bytes], clock: Clock) -> None:
    cache.put("u1", "a", b"one", cost_s=0.1)
    clock.now_s += TTL_S - 0.001
    assert await cache.find("u1", "a") == b"one"
    clock.now_s += 0.001
    assert await cache.find("u1", "a") is None


async def test_a_dropped_group_is_gone_and_the_others_stay(cache: Cache[str, bytes]) -> None:
    for key in "abc":
        cache.put("u1", key, b"one", cost_s=0.1)
    cache.put("u2", "a", b"two", cost_s=0.1)
    assert await cache.drop("u1") == 3
    assert await cache.drop("u1") == 0
    assert [await cache.find("u1", key) for key in "abc"] == [None] * 3
    assert await cache.find("u2", "a") == b"two"


async def test_many_at_once_each_get_their_own(cache: Cache[str, bytes]) -> None:
    for number in range(1000):
        cache.put(f"u{number}", "a", str(number).encode(), cost_s=0.1)
    found = await asyncio.gather(*(cache.find(f"u{number}", "a") for number in range(1000)))
    assert found == [str(number).encode() for number in range(1000)]


async def test_the_local_cache_keeps_to_its_bytes_and_lets_go_what_was_not_used(clock: Clock) -> None:
    cache: LocalCache[str, bytes] = LocalCache(budget_bytes=100, ttl_s=TTL_S, size_of=len, now=clock)
    for key in "abc":
        cache.put("u", key, b"x" * 30, cost_s=0.1)
    assert await cache.find("u", "a") is not None
    cache.put("u", "d", b"x" * 30, cost_s=0.1)
    assert [await cache.find("u", key) is not None for key in "abcd"] == [True, False, True, True]
    cache.put("u", "e", b"x" * 101, cost_s=0.1)
    assert await cache.find("u", "e") is None
    assert (cache.size_bytes, cache.statistics.evicted) == (90, 1)
    cache.put("u", "a", b"x" * 100, cost_s=0.1)
    assert (cache.size_bytes, await cache.drop("u")) == (100, 1)
    assert cache.size_bytes == 0


async def test_servers_share_what_is_in_redis(open_redis: Callable) -> None:
    here, there = await open_redis(), await open_redis()
    here.put("u1", "a", b"one", cost_s=0.1)
    assert await here.find("u1", "a") == b"one"
    assert await there.find("u1", "a") == b"one"
    assert await there.drop("u1") == 1
    assert await here.find("u1", "a") is None


async def test_nothing_is_put_into_a_group_that_was_just_dropped(open_redis: Callable, redis: RedisServer) -> None:
    here, there = await open_redis(), await open_redis()
    here.put("u1", "a", b"one", cost_s=0.1)
    await here.drop("u1")
    there.put("u1", "b", b"made before, come too late", cost_s=0.1)
    assert await there.find("u1", "b") is None
    with redis.client() as client:
        assert b"".join(client.keys()).count(b"u1") == 1  # what says that it was dropped, and nothing else
        assert 0 < client.ttl("audotics:1:gone:u1") <= 60


async def test_a_value_leaves_redis_by_itself_and_a_group_does_not_grow_for_ever(
    open_redis: Callable, redis: RedisServer
) -> None:
    cache = await open_redis()
    for number in range(150):
        cache.put("u1", f"{number}", b"x", cost_s=0.1)
    assert await cache.find("u1", "149") == b"x"
    with redis.client() as client:
        assert client.hlen("audotics:1:u1") <= 64
        assert 0 < client.pttl("audotics:1:u1") <= TTL_S * 1000


async def test_a_value_is_made_anew_early_the_likelier_the_longer_it_takes(open_redis: Callable, clock: Clock) -> None:
    # By XFetch, -cost * ln(1 - draw) seconds early: 2 s * ln 10 = 4.6 s for a draw of 0.9.
    cache = await open_redis(draw=lambda: 0.9)
    cache.put("u1", "a", b"one", cost_s=2.0)
    clock.now_s += TTL_S - 4.7
    assert await cache.find("u1", "a") == b"one"
    clock.now_s += 0.2
    assert await cache.find("u1", "a") is None
    assert (cache.statistics.hits, cache.statistics.early) == (1, 1)
    assert await (await open_redis(draw=lambda: 0.5)).find("u1", "a") == b"one"


async def test_without_redis_look_ups_find_nothing_until_it_is_back(
    open_redis: Callable, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="audotics.server.storage.cache.redis")
    cache = await open_redis()
    cache.put("u1", "a", b"one", cost_s=0.1)
    assert await cache.find("u1", "a") == b"one"
    redis.kill()
    for _ in range(20):
        assert await cache.find("u1", "a") is None
        cache.put("u1", "a", b"two", cost_s=0.1)
    with pytest.raises(CacheError, match="cannot be reached; start it, and try again later"):
        await cache.drop("u1")
    assert not cache.available
    redis.start()
    await cache.wait_available()
    cache.put("u1", "a", b"three", cost_s=0.1)
    assert await cache.find("u1", "a") == b"three"
    assert cache.statistics.outages == 1
    assert cache.statistics.lost >= 40
    told = [record.levelname for record in caplog.records]
    assert told == ["WARNING", "INFO"]


async def test_a_redis_that_hangs_is_waited_for_once(open_redis: Callable, redis: RedisServer) -> None:
    cache = await open_redis(timeout_s=0.05)
    cache.put("u1", "a", b"one", cost_s=0.1)
    await cache.drop("u2")
    redis.pause()
    found = await asyncio.gather(*(cache.find("u1", "a") for _ in range(50)))
    assert found == [None] * 50
    assert not cache.available
    assert cache.statistics.outages == 1
    redis.resume()
    await cache.wait_available()
    assert await cache.find("u1", "a") == b"one"


async def test_a_server_starts_and_ends_without_redis(clock: Clock, tmp_path: object) -> None:
    async with RedisCache(f"unix://{tmp_path}/nothing", ttl_s=1.0, timeout_s=1.0, now=clock) as cache:
        assert await cache.find("u1", "a") is None
        cache.put("u1", "a", b"one", cost_s=0.1)
    assert cache.statistics.outages == 1


def test_a_url_that_is_none_says_what_to_write() -> None:
    with pytest.raises(CacheError, match=r"'localhost:6379' is not the URL of a cache; expected redis://"):
        RedisCache("localhost:6379", ttl_s=1.0)
    with pytest.raises(CacheError) as caught:
        RedisCache("http://:secret@localhost", ttl_s=1.0)
    assert "secret" not in str(caught.value)


async def test_one_makes_what_several_want_at_once() -> None:
    flights, may_go, log = Flights(), asyncio.Event(), []

    async def want(name: str) -> None:
        if await flights.wait("list", timeout_s=None):
            log.append(f"{name} waited")
            return
        with flights.making("list"):
            await may_go.wait()
            log.append(f"{name} made")

    wanting = [asyncio.create_task(want(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert not await flights.wait("another list", timeout_s=None)
    may_go.set()
    await asyncio.gather(*wanting)
    assert log == ["a made", "b waited", "c waited"]
    assert not await flights.wait("list", timeout_s=None)


async def test_those_who_wait_go_on_when_the_maker_fails_or_time_is_up() -> None:
    flights, may_fail = Flights(), asyncio.Event()

    async def fail() -> None:
        with flights.making("list"):
            await may_fail.wait()
            raise ValueError

    failing = asyncio.create_task(fail())
    await asyncio.sleep(0)
    assert await flights.wait("list", timeout_s=0.0)
    waiting = asyncio.create_task(flights.wait("list", timeout_s=None))
    may_fail.set()
    assert await waiting
    with pytest.raises(ValueError):  # noqa: PT011
        await failing
    assert not await flights.wait("list", timeout_s=None)
