"""Bytes that are no message are the caller's mistake, at every method: said as such, and logged as such."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2

from audotics.server.transport.server import SERVICES
from audotics.v1 import feedback_service_pb2, model_service_pb2, recommender_service_pb2

NO_MESSAGE = b"\x0a\xff\xff\xff\xff\x0f"
"""Claims a text of 4 GB and ends there."""


def methods() -> list[MethodDescriptor]:
    found = []
    for service in SERVICES:
        name = service.rpartition(".")[2].removesuffix("Service").lower()
        module = importlib.import_module(f"audotics.v1.{name}_service_pb2")
        found += module.DESCRIPTOR.services_by_name[f"{service.rpartition('.')[2]}"].methods
    return found


async def call(channel: grpc.aio.Channel, method: MethodDescriptor, *sent: bytes) -> list[bytes]:
    """All answers of one call."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    if method.client_streaming and method.server_streaming:
        return [answer async for answer in channel.stream_stream(path)(iter(sent))]
    if method.client_streaming:
        return [await channel.stream_unary(path)(iter(sent))]
    if method.server_streaming:
        return [answer async for answer in channel.unary_stream(path)(sent[0])]
    return [await channel.unary_unary(path)(sent[0])]


async def test_every_method_says_that_it_cannot_read(
    server: Any, details: Callable[..., list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asked = methods()
    assert len(asked) > 40
    for method in asked:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(server.channel, method, NO_MESSAGE)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, method.full_name
        assert "these bytes are no message" in refused.value.details()
        assert "class" not in refused.value.details()
        (bad,) = details(refused.value, error_details_pb2.BadRequest)
        assert [violation.field for violation in bad.field_violations] == ["request"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    answer = await server.models.ListModels(model_service_pb2.ListModelsRequest())
    assert len(answer.models) == 5
    answer = await server.recommender.Recommend(
        recommender_service_pb2.RecommendRequest(subject={"user_id": "u00"}, limit=3)
    )
    assert len(answer.tracks) == 3


async def test_what_came_before_in_a_stream_is_answered(server: Any) -> None:
    (method,) = [method for method in methods() if method.name == "StreamFeedback"]
    path = f"/{method.containing_service.full_name}/{method.name}"
    stream = server.channel.stream_stream(path)()
    event = feedback_service_pb2.FeedbackEvent(event_id="e1", user_id="u00", track_id="t001", type="EVENT_TYPE_PLAY")
    await stream.write(feedback_service_pb2.StreamFeedbackRequest(events=[event]).SerializeToString())
    answer = feedback_service_pb2.StreamFeedbackResponse.FromString(await stream.read())
    assert len(answer.results) == 1
    await stream.write(NO_MESSAGE)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stream.read()
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
