"""Lists that are remembered: in one process, among servers that share a Redis, and when it goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audotics.server.pipeline.list_memory import ListMemory, Place, Remembered
from audotics.server.pipeline.shortlist_bytes import shortlist_from_bytes, shortlist_to_bytes
from audotics.server.storage.cache.cache import CacheError
from audotics.server.storage.cache.redis import RedisCache
from audotics.server.types import (
    Context,
    Degradation,
    DegradationReason,
    Exposure,
    Listener,
    PipelineSettings,
    RecommendQuery,
    Subject,
    TrackFilter,
    TrackRecord,
)
from tests.redis_server import RedisServer, running_redis
from tests.server.pipeline.conftest import OpenStage, Stage


@pytest.fixture(scope="module")
def redis_process() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def redis(redis_process: RedisServer) -> Iterator[RedisServer]:
    with redis_process.client() as client:
        client.flushall()
    yield redis_process
    redis_process.recover()


@pytest.fixture
async def open_shared(redis: RedisServer, open_stage: OpenStage) -> AsyncIterator:
    """Open a stage as another server would, with lists in Redis; returns it and its cache."""
    async with AsyncExitStack() as stack:

        async def opened(path) -> tuple[Stage, RedisCache]:
            cache = await stack.enter_async_context(RedisCache(redis.url, ttl_s=1000.0, timeout_s=5.0))
            return await stack.enter_async_context(open_stage(path, memory=ListMemory(shared=cache))), cache

        yield opened


def ids(answer) -> list[tuple[str, float]]:
    return [(track.track_id, track.score) for track in answer.tracks]


async def test_a_shortlist_travels_bit_by_bit(stage: Stage) -> None:
    await stage.recommend("u01", 10, context=Context("happy"))
    shortlist = stage.made[0].shortlist
    content = shortlist_to_bytes(shortlist)
    n_tracks = len(stage.snapshot.catalog)
    again = shortlist_from_bytes(content, n_tracks=n_tracks)
    assert again is not None
    for name in ("score", "confidence", "weights", "components", "available"):
        np.testing.assert_array_equal(getattr(again.relevance, name), getattr(shortlist.relevance, name))
    np.testing.assert_array_equal(again.rows, shortlist.rows)
    np.testing.assert_array_equal(again.taste.history, shortlist.taste.history)
    np.testing.assert_array_equal(again.taste.user_vector, shortlist.taste.user_vector)
    assert again.taste.history_length == shortlist.taste.history_length
    for damaged in (b"", content[:-1], content + b"x", b"\xff" * len(content)):
        assert shortlist_from_bytes(damaged, n_tracks=n_tracks) is None
    assert shortlist_from_bytes(content, n_tracks=int(shortlist.rows.max())) is None
    heard = replace(shortlist, taste=replace(shortlist.taste, history=np.asarray([n_tracks])))
    assert shortlist_from_bytes(shortlist_to_bytes(heard), n_tracks=n_tracks) is None
    narrow = {name: getattr(shortlist.relevance, name)[:, :5] for name in ("weights", "components", "available")}
    earlier = replace(shortlist, relevance=replace(shortlist.relevance, **narrow))  # of a release with less models
    assert shortlist_from_bytes(shortlist_to_bytes(earlier), n_tracks=n_tracks) is None
    assert shortlist.size_bytes >= len(content) - 20  # what it takes counts, without the header


async def test_one_shortlist_answers_a_listener_until_something_is_known_anew(stage: Stage) -> None:
    await stage.recommend("u01", 10)
    await stage.recommend("u01", 20, diversity=0.9, explain=True)
    first, again = stage.made
    assert again.shortlist is first.shortlist
    rows = stage.listener("u01").history
    query = RecommendQuery(Subject("user", "u01"), 10)
    for changed in (
        Listener(rows[::-1], rows),
        Listener(rows, np.append(rows, 0)),
        Listener(rows[1:], rows),
        Listener(np.append(rows, rows[:1]), rows[1:]),
    ):
        await stage.recommend("u01", 10)
        await stage.recommender.recommend(stage.snapshot, changed, query)
        assert stage.made[-1].shortlist is not stage.made[-2].shortlist


OTHER_QUESTIONS: list[dict[str, Any]] = [
    {"context": Context("chill")},
    {"filter": TrackFilter(genres=("rock",))},
    {"limit": 60},
    {"pipeline": PipelineSettings(minimum_candidates=20)},
    {"exposures": (Exposure("taste", "wide", 0.5),)},
]


@pytest.mark.parametrize("other", OTHER_QUESTIONS)
async def test_another_question_has_another_shortlist(stage: Stage, other: dict[str, object]) -> None:
    await stage.recommend("u01", 10)
    await stage.recommend("u01", **{"limit": 10, **other})
    assert stage.made[1].shortlist is not stage.made[0].shortlist


async def test_exclusions_are_neither_answered_from_memory_nor_remembered(stage: Stage) -> None:
    plain, listener = RecommendQuery(Subject("user", "u01"), 10), stage.listener("u01")
    first = await stage.recommender.recommend(stage.snapshot, listener, plain)
    excluding = replace(plain, excluded=(first.tracks[0].track_id,))
    for same in (listener, stage.listener("u01")):  # the very same, and one who is known just so
        answer = await stage.recommender.recommend(stage.snapshot, same, excluding)
        assert first.tracks[0].track_id not in {track.track_id for track in answer.tracks}
        assert ids(await stage.recommender.recommend(stage.snapshot, same, plain)) == ids(first)
    assert stage.made[2].shortlist is stage.made[0].shortlist


async def test_listeners_of_whom_nothing_is_known_share_one(stage: Stage) -> None:
    for user_id in ("nobody", "stranger"):
        await stage.recommend(user_id, 10)
    assert stage.made[1].shortlist is stage.made[0].shortlist
    session = RecommendQuery(Subject("session", track_ids=("t001",)), 10)
    listener = Listener(np.asarray([1]), np.asarray([1]))
    await stage.recommender.recommend(stage.snapshot, listener, session)
    assert stage.made[2].shortlist is not stage.made[0].shortlist


async def test_a_list_is_remembered_as_it_is_without_a_tilt(stage: Stage) -> None:
    await stage.recommend("u01", 10, tilt=(9.0, 0.1, 1.0, 1.0, 1.0, 1.0))
    remembered = ids(await stage.recommend("u01", 10))
    assert stage.made[1].shortlist is stage.made[0].untilted
    await stage.recommender.forget("u01")
    assert ids(await stage.recommend("u01", 10)) == remembered


async def test_a_list_made_without_what_is_known_of_its_listener_is_not_remembered(stage: Stage) -> None:
    query = RecommendQuery(Subject("user", "u01"), 10)
    failed = [Degradation("user", DegradationReason.FAILED, "the database is away")]
    await stage.recommender.recommend(stage.snapshot, stage.listener("u01"), query, degraded=failed)
    await stage.recommender.recommend(stage.snapshot, stage.listener("u01"), query)
    assert stage.made[1].shortlist is not stage.made[0].shortlist


async def test_sessions_are_remembered_side_by_side(stage: Stage) -> None:
    for track in (1, 2, 1, 2):
        rows, query = np.asarray([track]), RecommendQuery(Subject("session", track_ids=(f"t{track:03d}",)), 10)
        await stage.recommender.recommend(stage.snapshot, Listener(rows, rows), query)
    first, second, *again = (made.shortlist for made in stage.made)
    assert first is not second
    assert again == [first, second]


async def test_what_is_remembered_of_who_only_turned_tracks_down_is_forgotten_too(stage: Stage) -> None:
    query, turned_down = RecommendQuery(Subject("user", "new"), 10), Listener(np.empty(0, np.int64), np.asarray([3]))
    await stage.recommender.recommend(stage.snapshot, turned_down, query)
    assert await stage.recommender.forget("new") == 1


async def test_what_another_server_knows_better_is_let_go(repository, open_stage: OpenStage) -> None:
    memory = ListMemory()
    async with open_stage(repository.path, memory=memory) as stage:
        for user_id in ("u01", "u02", "u03"):
            await stage.recommend(user_id, 10)
        memory.let_go(["u01", "u03", "nobody"])
        places = [
            Place.of(stage.snapshot, stage.listener(user_id), RecommendQuery(Subject("user", user_id), 10))
            for user_id in ("u01", "u02", "u03")
        ]
        assert [memory.recall(place) is None for place in places] == [True, False, True]


async def test_a_clock_that_is_set_back_makes_no_list_of_tomorrow(stage: Stage) -> None:
    await stage.recommend("u01", 10)
    memory = ListMemory(now=lambda: 1000.0)
    for made_at, age_s in ((940.0, 60.0), (4600.0, 0.0)):
        assert memory.age_s(Remembered(None, b"", made_at, stage.made[0].shortlist)) == age_s


async def test_who_wants_the_same_at_once_gets_the_same(stage: Stage) -> None:
    await asyncio.gather(*(stage.recommend("u01", 10) for _ in range(8)))
    assert len({id(made.shortlist) for made in stage.made}) == 1


async def test_no_list_of_a_deleted_listener_is_remembered(stage: Stage) -> None:
    listing = asyncio.create_task(stage.recommend("u01", 10))
    await asyncio.sleep(0)
    assert await stage.recommender.forget("u01") == 0
    await listing
    assert await stage.recommender.forget("u01") == 0
    await stage.recommend("u02", 10)
    assert await stage.recommender.forget("u02") == 1


async def test_a_server_answers_with_what_another_made(repository, open_shared) -> None:
    (here, _), (there, cache) = await open_shared(repository.path), await open_shared(repository.path)
    made = await here.recommend("u01", 10, explain=True)
    assert ids(await there.recommend("u01", 10, explain=True)) == ids(made)
    assert cache.statistics.hits == 1
    assert ids(await there.recommend("u01", 10)) == ids(made)
    assert cache.statistics.hits == 1  # the second time it is in the server's own memory
    stranger = await here.recommend("stranger", 10)
    assert ids(await there.recommend("nobody", 10)) == ids(stranger)
    assert cache.statistics.hits == 2


@pytest.mark.parametrize("other", OTHER_QUESTIONS)
async def test_a_server_answers_no_question_with_what_another_made_for_another(
    repository, open_shared, other: dict[str, Any]
) -> None:
    (here, _), (there, cache) = await open_shared(repository.path), await open_shared(repository.path)
    await here.recommend("u01", **{"limit": 10, **other})
    await there.recommend("u01", 10)
    assert cache.statistics.hits == 0
    await there.recommend("u01", **{"limit": 10, **other})
    assert cache.statistics.hits == 1


async def test_no_server_answers_with_what_other_models_or_another_catalogue_made(
    repository, make_repository, tmp_path, open_shared
) -> None:
    (here, _), (there, cache) = await open_shared(repository.path), await open_shared(repository.path)
    other = make_repository(tmp_path / "other", seed=1)  # the same version numbers, other content
    elsewhere, of_other = await open_shared(other.path)
    await here.recommend("u01", 10)
    await elsewhere.recommend("u01", 10)
    assert of_other.statistics.hits == 0
    await there.registry.apply_tracks(upserts=[TrackRecord("new", title="New")])
    await there.recommend("u01", 10)
    assert cache.statistics.hits == 0
    await here.registry.apply_tracks(upserts=[TrackRecord("new", title="An earlier title")])
    await here.registry.apply_tracks(upserts=[TrackRecord("new", title="New")])
    made = await here.recommend("u02", 10)
    assert ids(await there.recommend("u02", 10)) == ids(made)
    assert cache.statistics.hits == 1


async def test_what_another_server_made_before_an_event_is_there_when_time_runs_out(repository, open_shared) -> None:
    (here, _), (there, cache) = await open_shared(repository.path), await open_shared(repository.path)
    earlier = await here.recommend("u01", 10)
    rows = np.append(there.listener("u01").history, there.snapshot.catalog.row_of(earlier.tracks[0].track_id))
    query = RecommendQuery(Subject("user", "u01"), 10)
    anew = await there.recommender.recommend(there.snapshot, Listener(rows, rows), query)
    assert anew.degraded == ()
    assert earlier.tracks[0].track_id not in {track.track_id for track in anew.tracks}
    assert cache.statistics.hits == 1  # it was found, and did not answer


async def test_lists_go_on_without_redis_and_a_deletion_does_not(repository, open_shared, redis: RedisServer) -> None:
    (here, _), (there, cache) = await open_shared(repository.path), await open_shared(repository.path)
    made = await here.recommend("u01", 10)
    redis.kill()
    assert ids(await there.recommend("u01", 10)) == ids(made)
    assert not cache.available
    with pytest.raises(CacheError):
        await there.recommender.forget("u01")
    redis.start()
    await cache.wait_available()
    await there.recommender.forget("u01")


async def test_a_deleted_listener_leaves_nothing_in_redis(repository, open_shared, redis: RedisServer) -> None:
    (here, cache), (there, _) = await open_shared(repository.path), await open_shared(repository.path)
    for limit in (10, 100):
        await here.recommend("u01", limit)
    await here.recommend("u02", 10)
    await cache.find("", "")  # what was put before is there now
    with redis.client() as client:
        assert len(client.keys("audotics:1:user:*")) == 2
        assert await there.recommender.forget("u01") == 2
        assert len(client.keys("audotics:1:user:*")) == 1
