"""Retries and deadlines: what is tried again, how long it waits, and when it stops."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2

from audotics.client import (
    AsyncRecommenderClient,
    DeadlineExceededError,
    ErrorDetails,
    EventType,
    FeedbackEvent,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
    RetryPolicy,
    UnavailableError,
)
from audotics.client.retry import Attempts
from audotics.v1 import feedback_service_pb2, recommender_service_pb2

QUICK = RetryPolicy(max_attempts=4, initial_backoff_s=0.001, max_backoff_s=0.004)
ANSWER = recommender_service_pb2.RecommendResponse(recommendation_id="r1")
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def come_back_after(nanos: int) -> error_details_pb2.RetryInfo:
    return error_details_pb2.RetryInfo(retry_delay={"nanos": nanos})


def test_unavailable_twice_then_an_answer(connect, server, failure):
    server.script("Recommend", failure(UNAVAILABLE), failure(UNAVAILABLE), ANSWER)

    assert connect(server.target, retries=QUICK).recommend("u1").recommendation_id == "r1"
    assert len(server.received) == 3


def test_attempts_are_counted(connect, server, failure):
    server.script("Recommend", failure(UNAVAILABLE, "going down"))

    with pytest.raises(UnavailableError, match="going down"):
        connect(server.target, retries=QUICK).recommend("u1")

    assert len(server.received) == QUICK.max_attempts


def test_exhausted_is_tried_again_when_the_server_says_when(connect, server, failure):
    server.script("Recommend", failure(EXHAUSTED, "full", (come_back_after(1_000_000),)), ANSWER)

    assert connect(server.target, retries=QUICK).recommend("u1").recommendation_id == "r1"
    assert len(server.received) == 2


@pytest.mark.parametrize("code", [EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL])
def test_nothing_else_is_tried_again(connect, server, failure, code):
    server.script("Recommend", failure(code), ANSWER)

    with pytest.raises((ResourceExhaustedError, InvalidArgumentError, InternalError)):
        connect(server.target, retries=QUICK).recommend("u1")

    assert len(server.received) == 1


def test_no_retry_starts_that_the_deadline_would_cut_off(connect, server, failure):
    too_late = error_details_pb2.RetryInfo(retry_delay={"seconds": 60})
    server.script("Recommend", failure(EXHAUSTED, "full", (too_late,)), ANSWER)

    with pytest.raises(ResourceExhaustedError, match="full"):
        connect(server.target, retries=QUICK).recommend("u1", timeout_s=30.0)

    assert len(server.received) == 1


def test_the_deadline_of_the_client(connect, server, hang):
    server.script("Recommend", hang)

    with pytest.raises(DeadlineExceededError, match=r"the call had 0\.2 s"):
        connect(server.target, timeout_s=0.2, retries=QUICK).recommend("u1")

    assert hang.ended.wait(10)
    assert len(server.received) == 1


def test_the_deadline_of_a_call_comes_first(connect, server, hang):
    server.script("Recommend", hang)

    with pytest.raises(DeadlineExceededError, match=r"the call had 0\.1 s"):
        connect(server.target, timeout_s=3600.0).recommend("u1", timeout_s=0.1)


def test_an_event_keeps_the_id_it_was_given_through_retries(connect, server, failure):
    server.script(
        "RecordFeedback", failure(UNAVAILABLE), failure(UNAVAILABLE), feedback_service_pb2.RecordFeedbackResponse()
    )
    events = [FeedbackEvent("u1", "t1", EventType.PLAY), FeedbackEvent("u1", "t2", EventType.PLAY, event_id="mine")]

    connect(server.target, retries=QUICK).record_feedback(events)

    sent = [[event.event_id for event in request.events] for request in server.requests]
    assert sent == [sent[0]] * 3
    made_up, given = sent[0]
    assert given == "mine"
    assert len(made_up) == 32


def test_a_client_survives_a_restart_of_its_server(connect, start_server):
    first = start_server()
    client = connect(first.target, timeout_s=20.0, retries=RetryPolicy(max_attempts=20, initial_backoff_s=0.05))
    client.recommend("u1")
    first.stop()
    second = start_server(port=first.port)

    client.recommend("u2")

    assert [request.subject.user_id for request in second.requests] == ["u2"]


async def test_a_cancelled_task_cancels_its_call(server, hang):
    server.script("Recommend", hang)
    async with AsyncRecommenderClient(server.target, timeout_s=3600.0) as client:
        task = asyncio.create_task(client.recommend("u1"))
        await asyncio.to_thread(hang.begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(hang.ended.wait, 10)


async def test_calls_of_one_client_run_side_by_side(server, hang):
    server.script("Recommend", hang)
    async with AsyncRecommenderClient(server.target, timeout_s=3600.0) as client:
        waiting = asyncio.create_task(client.recommend("u1"))
        await asyncio.to_thread(hang.begun.wait, 10)
        assert await client.list_models() == ()
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


class TestPauses:
    """The pauses of a policy, without a server."""

    ERROR = UnavailableError("down", UNAVAILABLE)

    def test_back_off_grows_up_to_its_limit_with_full_jitter(self):
        policy = RetryPolicy(max_attempts=7, initial_backoff_s=0.1, max_backoff_s=0.5, multiplier=2.0)
        runs = []
        for _ in range(200):
            attempts = Attempts(policy, timeout_s=3600.0)
            runs.append([attempts.pause_s(self.ERROR) for _ in range(6)])
        for pauses, limit_s in zip(zip(*runs, strict=True), (0.1, 0.2, 0.4, 0.5, 0.5, 0.5), strict=True):
            assert max(pauses) <= limit_s
            assert min(pauses) < limit_s / 2 < max(pauses)

    def test_a_delay_that_the_server_asks_for_is_the_least_pause(self):
        attempts = Attempts(QUICK, timeout_s=3600.0)
        error = UnavailableError("down", UNAVAILABLE, ErrorDetails(retry_after_s=7.0))
        assert 7.0 <= attempts.pause_s(error) <= 7.0 + QUICK.initial_backoff_s

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"max_attempts": 0}, "max_attempts must be 1"),
            ({"initial_backoff_s": 3.0}, "0 <= initial_backoff_s <= max_backoff_s"),
            ({"initial_backoff_s": -1.0}, "0 <= initial_backoff_s <= max_backoff_s"),
            ({"max_backoff_s": float("nan")}, "0 <= initial_backoff_s <= max_backoff_s"),
            ({"multiplier": 0.5}, "multiplier must be 1 or more"),
        ],
    )
    def test_an_impossible_policy_is_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            RetryPolicy(**options)
