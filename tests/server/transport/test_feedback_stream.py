"""`StreamFeedback` over loopback: an answer for each event, in order, and a list that knows of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from audotics.server.transport.streams import answered_in_order
from audotics.v1 import feedback_service_pb2 as pb
from audotics.v1 import recommender_service_pb2

ACCEPTED, DUPLICATE, REJECTED = (
    pb.FEEDBACK_STATUS_ACCEPTED,
    pb.FEEDBACK_STATUS_DUPLICATE,
    pb.FEEDBACK_STATUS_REJECTED,
)


def event(number: int, **fields: Any) -> pb.FeedbackEvent:
    values = {
        "event_id": f"e{number}",
        "user_id": "new",
        "track_id": f"t{number % 190:03d}",
        "type": pb.EVENT_TYPE_PLAY,
    }
    return pb.FeedbackEvent(**values | fields)


async def test_every_event_is_answered_in_the_order_it_was_sent(server: Any) -> None:
    sent = [event(0), event(1, type=99), event(0), event(2, track_id="nope"), event(3, event_id="x" * 10_000_000)]
    requests = [pb.StreamFeedbackRequest(events=[each]) for each in sent]
    requests.append(pb.StreamFeedbackRequest(events=[event(4), event(5)]))
    results = [result async for answer in server.feedback.StreamFeedback(iter(requests)) for result in answer.results]
    assert [result.event_id for result in results] == ["e0", "e1", "e0", "e2", "x" * 256, "e4", "e5"]
    assert [result.status for result in results] == [
        *(ACCEPTED, REJECTED, DUPLICATE, REJECTED, REJECTED, ACCEPTED, ACCEPTED)
    ]
    assert [result.reason.partition(":")[0] for result in results] == ["", "type", "", "track_id", "event_id", "", ""]


async def test_each_answer_comes_while_the_stream_goes_on(server: Any) -> None:
    stream = server.feedback.StreamFeedback()
    request = recommender_service_pb2.RecommendRequest(
        subject=recommender_service_pb2.Subject(user_id="new"), limit=100
    )
    for number in range(3):
        await stream.write(pb.StreamFeedbackRequest(events=[event(number)]))
        answer = await stream.read()
        assert [result.status for result in answer.results] == [ACCEPTED]
        listed = await server.recommender.Recommend(request)
        assert f"t{number:03d}" not in {track.track_id for track in listed.tracks}
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF


async def test_many_events_in_flight_are_all_answered_once(server: Any) -> None:
    requests = (pb.StreamFeedbackRequest(events=[event(number)]) for number in range(500))
    answers = [answer async for answer in server.feedback.StreamFeedback(requests)]
    assert [answer.results[0].event_id for answer in answers] == [f"e{number}" for number in range(500)]
    assert {answer.results[0].status for answer in answers} == {ACCEPTED}


async def test_an_empty_request_ends_the_stream_after_what_came_before(server: Any) -> None:
    requests = [pb.StreamFeedbackRequest(events=[event(0)]), pb.StreamFeedbackRequest()]
    stream = server.feedback.StreamFeedback(iter(requests))
    first = await stream.read()
    assert [result.status for result in first.results] == [ACCEPTED]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "events: has 0 entries; send 1 to 1000"


async def test_a_caller_who_leaves_loses_no_event_that_was_answered(server: Any) -> None:
    stream = server.feedback.StreamFeedback()
    await stream.write(pb.StreamFeedbackRequest(events=[event(0)]))
    await stream.read()
    stream.cancel()
    again = await server.feedback.RecordFeedback(pb.RecordFeedbackRequest(events=[event(0)]))
    assert again.results[0].status == DUPLICATE


async def test_no_more_is_read_than_may_be_under_way() -> None:
    read, let_go = [], asyncio.Event()

    async def requests() -> AsyncIterator[int]:
        for number in range(10):
            read.append(number)
            yield number

    async def answer(number: int) -> int:
        await let_go.wait()
        return number

    answers = answered_in_order(requests(), answer, most_under_way=3)
    first = asyncio.ensure_future(anext(answers))
    for _ in range(20):
        await asyncio.sleep(0)
    assert read == [0, 1, 2, 3]  # the fourth waits for room
    let_go.set()
    assert [await first, *[number async for number in answers]] == list(range(10))
