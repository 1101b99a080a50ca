"""Watched lists of both clients, against a server that sends them by script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from audotics.client import AsyncRecommenderClient, RecommenderClient, UnavailableError
from audotics.v1 import recommender_service_pb2 as pb
from audotics.v1 import recommender_service_pb2_grpc


class Recommender(recommender_service_pb2_grpc.RecommenderServiceServicer):
    """Sends two lists, and then ends as a server does that stops."""

    def __init__(self) -> None:
        self.received: list[pb.WatchRecommendationsRequest] = []

    def WatchRecommendations(  # noqa: N802
        self, request: pb.WatchRecommendationsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchRecommendationsResponse]:
        self.received.append(request)
        for name in ("r1", "r2"):
            if request.WhichOneof("query") == "recommend":
                yield pb.WatchRecommendationsResponse(recommendation=pb.RecommendResponse(recommendation_id=name))
            else:
                group = pb.RecommendGroupResponse(recommendation_id=name, harmony=0.5)
                yield pb.WatchRecommendationsResponse(group_recommendation=group)
        context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")


@pytest.fixture
def servicer() -> Recommender:
    return Recommender()


@pytest.fixture
def target(servicer: Recommender) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    recommender_service_pb2_grpc.add_RecommenderServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(grace=None).wait()


def blocking(target: str, method: str, found: list[Any], *args: Any, **kwargs: Any) -> None:
    with RecommenderClient(target) as client:
        found.extend(getattr(client, method)(*args, **kwargs))


def awaited(target: str, method: str, found: list[Any], *args: Any, **kwargs: Any) -> None:
    async def watch() -> None:
        async with AsyncRecommenderClient(target) as client:
            async for answer in getattr(client, method)(*args, **kwargs):
                found.append(answer)  # noqa: PERF401 - those before a failure count

    asyncio.run(watch())


BOTH = pytest.mark.parametrize("watch", [blocking, awaited])


@BOTH
def test_a_listener_s_lists_come_until_the_server_stops(
    servicer: Recommender, target: str, watch: Callable[..., None]
) -> None:
    found: list[Any] = []
    with pytest.raises(UnavailableError, match="stopping"):
        watch(target, "watch_recommendations", found, "u1", limit=5, mood="chill")
    assert [answer.recommendation_id for answer in found] == ["r1", "r2"]
    (request,) = servicer.received
    assert request.recommend.subject.user_id == "u1"
    assert request.recommend.limit == 5


@BOTH
def test_a_group_s_lists(servicer: Recommender, target: str, watch: Callable[..., None]) -> None:
    found: list[Any] = []
    with pytest.raises(UnavailableError):
        watch(target, "watch_group", found, session="sessions/s", limit=5, timeout_s=60.0)
    assert [(answer.recommendation_id, answer.harmony) for answer in found] == [("r1", 0.5), ("r2", 0.5)]
    assert servicer.received == [
        pb.WatchRecommendationsRequest(recommend_group=pb.RecommendGroupRequest(session="sessions/s", limit=5))
    ]


@BOTH
def test_a_mistake_of_the_caller_is_raised_before_anything_is_sent(
    servicer: Recommender, target: str, watch: Callable[..., None]
) -> None:
    with pytest.raises(ValueError, match="give exactly one of user_id"):
        watch(target, "watch_recommendations", [])
    assert servicer.received == []
