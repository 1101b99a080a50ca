"""News among servers through a real Redis: what is told, what is not, and what comes of being away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from audotics.server.storage.cache.feed import NewsFeed
from tests.redis_server import RedisServer, running_redis

GAP = "gap"


class Server:
    """One end: what it hears stands in a queue, GAP where it may have missed something."""

    def __init__(self, url: str) -> None:
        self.heard: asyncio.Queue[list[str] | str] = asyncio.Queue()
        self.sessions: asyncio.Queue[list[str]] = asyncio.Queue()
        self.feed = NewsFeed(
            url,
            hearers={
                "listeners": lambda user_ids: self.heard.put_nowait(list(user_ids)),
                "sessions": lambda names: self.sessions.put_nowait(list(names)),
            },
            on_gap=lambda: self.heard.put_nowait(GAP),
            timeout_s=5.0,
        )


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
async def open_server(redis: RedisServer) -> AsyncIterator[Callable]:
    async with AsyncExitStack() as stack:

        async def opened() -> Server:
            server = Server(redis.url)
            await stack.enter_async_context(server.feed)
            return server

        yield opened


async def connected(*servers: Server) -> None:
    """Return when each of the servers hears the others: what is told to nobody is lost."""
    for teller in servers:
        others = [server for server in servers if server is not teller]
        while any(server.heard.empty() for server in others):
            teller.feed.tell("listeners", ["hello"])
            await asyncio.sleep(0)
        for server in others:
            await drained(server)


async def drained(server: Server) -> None:
    """Take everything up to a word that was told last."""
    while not server.heard.empty():
        server.heard.get_nowait()


async def next_news(server: Server) -> list[str] | str:
    """The next thing heard that is no greeting."""
    while (heard := await server.heard.get()) == ["hello"]:
        pass
    return heard


async def test_others_hear_and_the_teller_does_not(open_server: Callable) -> None:
    here, there, elsewhere = [await open_server() for _ in range(3)]
    await connected(here, there, elsewhere)
    here.feed.tell("listeners", ["u1", "u2"])
    for server in (there, elsewhere):
        heard = await next_news(server)
        assert set(heard) - {"hello"} == {"u1", "u2"}
    there.feed.tell("listeners", ["u3"])
    assert await next_news(here) == ["u3"]  # and nothing of its own before


async def test_news_of_one_kind_are_not_heard_as_another(open_server: Callable) -> None:
    here, there = await open_server(), await open_server()
    await connected(here, there)
    here.feed.tell("sessions", ["sessions/party"])
    here.feed.tell("listeners", ["u1"])
    assert await there.sessions.get() == ["sessions/party"]
    assert await next_news(there) == ["u1"]


async def test_more_than_can_wait_is_told_as_everybody(open_server: Callable) -> None:
    here, there = await open_server(), await open_server()
    await connected(here, there)
    here.feed.tell("listeners", (f"u{number}" for number in range(10_001)))
    assert await next_news(there) == GAP


async def test_what_others_say_on_the_channel_is_passed_over(open_server: Callable, redis: RedisServer) -> None:
    here, there = await open_server(), await open_server()
    await connected(here, there)
    with redis.client() as client:
        for message in ("no json", "[1]", "7", '{"a": 1}'):
            assert client.publish("audotics:1:listeners", message) == 2
    here.feed.tell("listeners", ["u1"])
    assert await next_news(there) == ["u1"]


async def test_who_was_away_is_told_so(open_server: Callable, redis: RedisServer) -> None:
    here, there = await open_server(), await open_server()
    await connected(here, there)
    await asyncio.to_thread(redis.kill)
    here.feed.tell("listeners", ["u1"])
    await asyncio.to_thread(redis.start)
    assert await next_news(there) == GAP
    await connected(here, there)
    here.feed.tell("listeners", ["u2"])
    heard = await next_news(there)
    while "u2" not in heard:
        heard = await next_news(there)


async def test_a_server_may_start_before_redis(tmp_path: Path) -> None:
    server = Server(f"unix://{tmp_path}/nothing")
    async with server.feed:
        server.feed.tell("listeners", ["u1"])
        await asyncio.sleep(0)
    assert server.heard.empty()
