"""`stream_feedback` of both clients, against a server that answers each event as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import grpc
import pytest

from audotics.client import (
    AsyncRecommenderClient,
    EventType,
    FeedbackEvent,
    FeedbackResult,
    FeedbackStatus,
    InvalidArgumentError,
    RecommenderClient,
    UnavailableError,
)
from audotics.v1 import feedback_service_pb2 as pb
from audotics.v1 import feedback_service_pb2_grpc

PLAY = EventType.PLAY


class Feedback(feedback_service_pb2_grpc.FeedbackServiceServicer):
    """Accepts every event but those of the track "bad", and ends the stream at the track "stop"."""

    def __init__(self) -> None:
        self.received: list[pb.FeedbackEvent] = []

    def StreamFeedback(  # noqa: N802
        self, requests: Iterator[pb.StreamFeedbackRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.StreamFeedbackResponse]:
        for request in requests:
            for event in request.events:
                self.received.append(event)
                if event.track_id == "stop":
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "stop")
                bad = event.track_id == "bad"
                status = pb.FEEDBACK_STATUS_REJECTED if bad else pb.FEEDBACK_STATUS_ACCEPTED
                result = pb.FeedbackResult(event_id=event.event_id, status=status, reason="track_id: bad" * bad)
                yield pb.StreamFeedbackResponse(results=[result])


@pytest.fixture
def servicer() -> Feedback:
    return Feedback()


@pytest.fixture
def target(servicer: Feedback) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(grace=None).wait()


def send_blocking(target: str, events: Iterable[FeedbackEvent], **options: Any) -> list[FeedbackResult]:
    with RecommenderClient(target) as client:
        return list(client.stream_feedback(events, **options))


def send_async(target: str, events: Iterable[FeedbackEvent], **options: Any) -> list[FeedbackResult]:
    async def send() -> list[FeedbackResult]:
        async with AsyncRecommenderClient(target) as client:
            return [result async for result in client.stream_feedback(events, **options)]

    return asyncio.run(send())


@pytest.fixture(params=[send_blocking, send_async])
def send(request: pytest.FixtureRequest) -> Callable[..., list[FeedbackResult]]:
    sender: Callable[..., list[FeedbackResult]] = request.param
    return sender


def test_each_event_gets_its_result(send: Callable[..., list[FeedbackResult]], target: str, servicer: Feedback) -> None:
    results = send(target, [FeedbackEvent("u", "t1", PLAY, event_id="a"), FeedbackEvent("u", "bad", PLAY)])
    made_up = servicer.received[1].event_id
    assert len(made_up) == 32
    assert results == [
        FeedbackResult("a", FeedbackStatus.ACCEPTED, ""),
        FeedbackResult(made_up, FeedbackStatus.REJECTED, "track_id: bad"),
    ]


def test_no_events_are_no_results(send: Callable[..., list[FeedbackResult]], target: str) -> None:
    assert send(target, []) == []


def test_a_status_of_the_server_is_a_typed_error(send: Callable[..., list[FeedbackResult]], target: str) -> None:
    with pytest.raises(InvalidArgumentError, match="stop"):
        send(target, [FeedbackEvent("u", "stop", PLAY)])


def test_a_wrong_event_is_the_callers_error(send: Callable[..., list[FeedbackResult]], target: str) -> None:
    wrong = FeedbackEvent("u", "t1", PLAY, occurred_at=datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="occurred_at needs a time zone"):
        send(target, [FeedbackEvent("u", "t1", PLAY), wrong])


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("inf")])
def test_a_timeout_must_be_a_time(send: Callable[..., list[FeedbackResult]], target: str, timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout_s must be above 0"):
        send(target, [], timeout_s=timeout_s)


def test_no_server_is_unavailable(send: Callable[..., list[FeedbackResult]]) -> None:
    with pytest.raises(UnavailableError):
        send("127.0.0.1:1", [FeedbackEvent("u", "t1", PLAY)])


def test_events_may_come_from_an_asynchronous_source(target: str) -> None:
    """Each is sent when it is there, and the result of the one before has come by then."""

    async def run() -> list[str]:
        results: asyncio.Queue[FeedbackResult] = asyncio.Queue()

        async def events() -> AsyncIterator[FeedbackEvent]:
            yield FeedbackEvent("u", "t1", PLAY, event_id="first")
            before = await results.get()
            yield FeedbackEvent("u", "t1", PLAY, event_id=f"after {before.event_id}")

        async with AsyncRecommenderClient(target) as client:
            found = []
            async for result in client.stream_feedback(events()):
                results.put_nowait(result)
                found.append(result.event_id)
            return found

    assert asyncio.run(run()) == ["first", "after first"]
