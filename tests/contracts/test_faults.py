"""Redis that is killed under load and comes back: nobody notices, but who wants something deleted."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from audotics.client import AsyncRecommenderClient, FeedbackEvent, FeedbackStatus, UnavailableError
from audotics.server.app import open_app
from audotics.server.settings import load_settings
from audotics.server.storage.cache.cache import CacheError
from tests.redis_server import RedisServer, running_redis
from tests.small_repository import write_repository

USERS = tuple(f"u{number:02d}" for number in range(6))


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
async def servers(redis: RedisServer, tmp_path: Path) -> AsyncIterator[list[AsyncRecommenderClient]]:
    """Clients of two servers that share a Redis, each with a database of its own."""
    repository = write_repository(tmp_path / "repository").path
    async with AsyncExitStack() as stack:
        clients = []
        for name in ("one", "two"):
            settings = load_settings(
                repository=repository, port=0, threads=2, state_dir=tmp_path / name, cache_url=redis.url
            )
            app = await stack.enter_async_context(open_app(settings))
            clients.append(await stack.enter_async_context(AsyncRecommenderClient(app.address, timeout_s=30.0)))
        yield clients


class Load:
    """Listeners who ask for lists and play what they get; counts what went wrong."""

    def __init__(self, client: AsyncRecommenderClient) -> None:
        self._client = client
        self.ended = False
        self._turned = asyncio.Condition()
        self.rounds: Counter[str] = Counter()
        self.seen_again: list[tuple[str, str]] = []

    async def run(self, user_id: str) -> None:
        heard: set[str] = set()
        for number in itertools.count():
            if self.ended:
                return
            answer = await self._client.recommend(user_id, limit=10)
            assert [part.part for part in answer.degraded if part.part != "candidates"] == []
            self.seen_again += [(user_id, track.track_id) for track in answer.tracks if track.track_id in heard]
            track_id = answer.tracks[0].track_id
            event = FeedbackEvent(user_id, track_id, "play", event_id=f"{user_id}-{number}")
            (result,) = await self._client.record_feedback([event])
            assert result.status is FeedbackStatus.ACCEPTED
            heard.add(track_id)
            self.rounds[user_id] += 1
            async with self._turned:
                self._turned.notify_all()

    async def rounds_more(self, count: int) -> None:
        """Return when every listener has done so many more rounds; a failure of one comes out in `run`."""
        wanted = {user_id: self.rounds[user_id] + count for user_id in USERS}
        async with self._turned:
            await self._turned.wait_for(lambda: all(self.rounds[name] >= number for name, number in wanted.items()))


async def test_lists_and_events_go_on_while_redis_is_killed_and_comes_back(
    servers: list[AsyncRecommenderClient], redis: RedisServer
) -> None:
    client, other = servers
    load = Load(client)

    async def interfere() -> None:
        try:
            await load.rounds_more(3)
            await asyncio.to_thread(redis.kill)
            await load.rounds_more(3)
            with pytest.raises(
                UnavailableError, match=r"the cache .* cannot be reached; start it, and try again later"
            ):
                await client.delete_user("u20")
            await asyncio.to_thread(redis.start)
            await load.rounds_more(3)
        finally:
            load.ended = True

    await asyncio.gather(interfere(), *(load.run(user_id) for user_id in USERS))
    assert load.seen_again == []
    for server in servers:
        await until_deleted(server, "u20")
    # Both servers are connected again: what one makes is dropped by the other.
    await client.recommend("u21", limit=10)
    await client.delete_user("u20")  # goes to Redis after that list
    assert (await other.delete_user("u21")).dropped_lists == 1


async def until_deleted(client: AsyncRecommenderClient, user_id: str) -> Any:
    """Send a deletion until the server is connected to Redis again."""
    while True:
        try:
            return await client.delete_user(user_id)
        except UnavailableError:
            await asyncio.sleep(0.05)


async def test_a_list_of_one_server_answers_at_another_and_an_event_ends_that(
    servers: list[AsyncRecommenderClient], redis: RedisServer
) -> None:
    one, two = servers
    made = await one.recommend("u03", limit=10)
    again = await two.recommend("u03", limit=10)
    assert [(track.track_id, track.score) for track in again.tracks] == [
        (track.track_id, track.score) for track in made.tracks
    ]
    await two.record_feedback([FeedbackEvent("u03", made.tracks[0].track_id, "play")])
    after = await two.recommend("u03", limit=10)
    assert made.tracks[0].track_id not in {track.track_id for track in after.tracks}
    assert after.degraded == ()
    with redis.client() as client:
        assert len(client.keys("audotics:1:user:*")) == 1
        deleted = await two.delete_user("u03")
        assert deleted.remaining == 0
        assert client.keys("audotics:1:user:*") == []


async def heard_at(client: AsyncRecommenderClient, user_id: str, track_id: str) -> None:
    """Return when a server knows that the listener has heard the track."""
    while track_id not in (await client.get_listener_features(user_id)).seen_track_ids:
        pass


async def test_servers_on_one_database_learn_of_each_other_s_events(redis: RedisServer, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "repository").path
    settings = load_settings(
        repository=repository, port=0, threads=2, state_dir=tmp_path / "state", cache_url=redis.url
    )
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(open_app(settings)) for _ in range(2)]
        here, there = [
            await stack.enter_async_context(AsyncRecommenderClient(app.address, timeout_s=30.0)) for app in apps
        ]
        for client in (here, there):
            await client.recommend("u04", limit=10)  # from now on the listener is in the memory of both
        await here.record_feedback([FeedbackEvent("u04", "t150", "play")])
        await heard_at(there, "u04", "t150")
        made = await there.recommend("u04", limit=150)
        assert "t150" not in {track.track_id for track in made.tracks}

        await asyncio.to_thread(redis.kill)
        await here.record_feedback([FeedbackEvent("u04", "t151", "play")])
        assert "t151" not in (await there.get_listener_features("u04")).seen_track_ids
        await asyncio.to_thread(redis.start)
        await heard_at(there, "u04", "t151")

        await here.update_preferences("u04", blocked_tracks=["t152"])
        await until_deleted(here, "u04")
        while (await there.get_listener_features("u04")).history_length:
            pass


def test_a_malformed_url_ends_the_start(tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "repository", kinds=("catalog",)).path
    settings = load_settings(repository=repository, port=0, state_dir=tmp_path / "state", cache_url="redis-host:6379")

    async def start() -> None:
        async with open_app(settings):
            pass

    with pytest.raises(CacheError, match="is not the URL of a cache"):
        asyncio.run(start())
