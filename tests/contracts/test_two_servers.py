"""Two servers that share a PostgreSQL and a Redis: what a group does on one reaches the lists of the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from audotics.client import AsyncRecommenderClient, GroupRecommendation
from audotics.server.app import open_app
from audotics.server.settings import load_settings
from tests.postgres import Postgres
from tests.redis_server import RedisServer, running_redis
from tests.small_repository import write_repository

PATIENCE_S = 30.0
TASTE_1 = {f"t{number:03d}" for number in range(1, 200, 4)}
CHANNEL = "audotics:1:sessions"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
async def servers(
    redis: RedisServer, postgres: Postgres, tmp_path: Path
) -> AsyncIterator[tuple[AsyncRecommenderClient, AsyncRecommenderClient]]:
    """Clients of two servers, each of which hears the other."""
    repository, database_url = write_repository(tmp_path / "repository").path, postgres.empty()
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(2):
            settings = load_settings(
                repository=repository, port=0, threads=2, database_url=database_url, cache_url=redis.url
            )
            app = await stack.enter_async_context(open_app(settings))
            clients.append(await stack.enter_async_context(AsyncRecommenderClient(app.address, timeout_s=30.0)))
        await asyncio.to_thread(until_both_hear, redis)
        yield clients[0], clients[1]


def until_both_hear(redis: RedisServer) -> None:
    with redis.client() as observer:
        while observer.pubsub_numsub(CHANNEL)[0][1] < 2:
            pass


def ids(answer: GroupRecommendation) -> list[str]:
    return [track.track_id for track in answer.tracks]


async def test_what_a_group_does_here_reaches_who_watches_there(
    servers: tuple[AsyncRecommenderClient, AsyncRecommenderClient],
) -> None:
    here, there = servers
    session = await here.create_session(["u00", "u04"], session_id="party")
    watching = there.watch_group(session=session.name, limit=10)

    async def following() -> list[str]:
        return ids(await asyncio.wait_for(anext(watching), PATIENCE_S))

    assert "t102" not in await following()
    await here.vote_track(session.name, "u00", "t102", "up")  # of another taste than theirs
    await here.vote_track(session.name, "u04", "t102", "up")
    while "t102" not in await following():
        pass  # a list between the two votes
    await here.set_now_playing(session.name, "t102")
    assert "t102" not in (playing := await following())
    assert not TASTE_1 & set(playing)
    for user_id in ("u01", "u05"):
        await here.join_session(session.name, user_id)
    while not TASTE_1 & set(await following()):
        pass
    await watching.aclose()


async def test_lists_there_are_made_of_what_happened_here(
    servers: tuple[AsyncRecommenderClient, AsyncRecommenderClient],
) -> None:
    here, there = servers
    await here.create_session(["u00", "u04"], session_id="quiet")
    (first, *_) = ids(await there.recommend_group(session="sessions/quiet", limit=10))
    await here.set_now_playing("sessions/quiet", first)
    assert first not in ids(await there.recommend_group(session="sessions/quiet", limit=10))
    for user_id in ("u00", "u04"):
        await there.vote_track("sessions/quiet", user_id, "t102", "up")
    assert "t102" in ids(await here.recommend_group(session="sessions/quiet", limit=10))
