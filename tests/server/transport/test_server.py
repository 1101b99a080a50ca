"""The port itself: health, reflection, what cannot be bound, and how a server ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from audotics.server.errors import NotReadyError
from audotics.server.transport.address import AddressError
from audotics.v1 import model_service_pb2

Start = Callable[..., AbstractAsyncContextManager[Any]]
SERVICES = [
    "",
    "audotics.v1.RecommenderService",
    "audotics.v1.FeedbackService",
    "audotics.v1.CatalogService",
    "audotics.v1.ModelService",
    "audotics.v1.ExperimentService",
    "audotics.v1.GroupService",
    "audotics.v1.LearningService",
    "inference.GRPCInferenceService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "grpc.channelz.v1.Channelz",
]


async def test_every_service_reports_its_health(server: Any) -> None:
    stub = health_pb2_grpc.HealthStub(server.channel)
    for service in SERVICES:
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError, match="there is no service 'nope'") as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="nope"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_and_describes_every_service(version: str, server: Any) -> None:
    symbols = [
        *SERVICES[1:],
        "audotics.v1.RecommenderService.Recommend",
        "inference.GRPCInferenceService.ModelStreamInfer",
        "tensorflow.serving.GetModelStatusResponse",
        "audotics.v1.Mood.MOOD_CHILL",
        "grpc.reflection.v1.ServiceResponse",
    ]
    absent = ["audotics.v1.RecommenderService.Nope", "audotics.v1.Nope", "Nope", ""]
    ask = server.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    requests = [reflection_pb2.ServerReflectionRequest(list_services="")]
    requests += [
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol) for symbol in (*symbols, *absent)
    ]
    listed, *described = [answer async for answer in ask(iter(requests))]
    assert {service.name for service in listed.list_services_response.service} == set(SERVICES[1:])
    pool = DescriptorPool()
    for symbol, answer in zip(symbols, described, strict=False):
        assert answer.HasField("file_descriptor_response"), symbol
        for file in reversed(answer.file_descriptor_response.file_descriptor_proto):
            pool.AddSerializedFile(file)
    for service in SERVICES[1:]:
        assert pool.FindServiceByName(service).methods
    for answer in described[len(symbols) :]:
        assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_channelz_counts_calls(server: Any) -> None:
    stub = channelz_pb2_grpc.ChannelzStub(server.channel)
    before = (await stub.GetServers(channelz_pb2.GetServersRequest())).server
    await server.models.ListModels(model_service_pb2.ListModelsRequest())
    after = (await stub.GetServers(channelz_pb2.GetServersRequest())).server

    assert sum(each.data.calls_started for each in after) >= sum(each.data.calls_started for each in before) + 2


async def test_no_task_listens_for_a_single_method(start: Start, repository: Any) -> None:
    """Each would be gone through for every call; see `_FoundByName`."""
    before = asyncio.all_tasks()
    async with start(repository.path) as running:
        await running.models.ListModels(model_service_pb2.ListModelsRequest())
        listening = [task for task in asyncio.all_tasks() - before if "AioServer._request_" in repr(task)]
        assert len(listening) == 1


async def test_watchers_learn_that_the_server_drains(start: Start, repository: Any) -> None:
    running = start(repository.path, drain_s=3600.0)
    address = (await running.__aenter__()).app.address
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        names = ["", "", "audotics.v1.RecommenderService", "inference.GRPCInferenceService"]
        watchers = [stub.Watch(health_pb2.HealthCheckRequest(service=name)) for name in names]
        unknown = stub.Watch(health_pb2.HealthCheckRequest(service="nope"))
        for watch in watchers:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert (await unknown.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watchers.pop(0).cancel()  # one who leaves takes nobody along
        await stub.Check(health_pb2.HealthCheckRequest())  # by then the server has heard of it
        # Watchers never leave; the server must not wait an hour for them.
        await running.__aexit__(None, None, None)
        for watch in watchers:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        for watch in (*watchers, unknown):  # and are told nothing twice
            assert await watch.read() is grpc.aio.EOF


async def test_old_connections_end_and_calls_go_on(start: Start, repository: Any) -> None:
    """A stream has `drain_s` more than its connection; whoever calls again is connected anew."""
    async with start(repository.path, max_connection_age_s=0.2, drain_s=0.2) as server:
        stub = health_pb2_grpc.HealthStub(server.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch.read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING


async def test_who_pings_without_end_is_sent_away(server: Any) -> None:
    options = [
        ("grpc.keepalive_time_ms", 10),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    async with grpc.aio.insecure_channel(server.app.address, options) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError, match=r"(?i)too many pings") as caught:
            await watch.read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_port_in_use_is_one_clear_error(start: Start, repository: Any, server: Any) -> None:
    with pytest.raises(AddressError, match=rf"127\.0\.0\.1:{server.app.port} is in use; .* choose another --port"):
        async with start(repository.path, port=server.app.port):
            pass


async def test_an_address_of_another_machine_is_one_clear_error(start: Start, repository: Any) -> None:
    with pytest.raises(AddressError, match=r"cannot listen on 192\.0\.2\.1:0: .*; choose another --host or --port"):
        async with start(repository.path, host="192.0.2.1"):
            pass


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_listens_on_ipv6(start: Start, repository: Any) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    async with start(repository.path, host="::1") as running:
        assert running.app.address == f"[::1]:{running.app.port}"
        answer = await running.models.ListModels(model_service_pb2.ListModelsRequest())
        assert answer.models


async def test_an_empty_repository_says_which_command_makes_one(start: Start, tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="audotics export RUN --repository"):
        async with start(tmp_path / "empty"):
            pass


async def test_what_is_refused_or_missing_is_reported_and_the_rest_serves(
    start: Start, make_repository: Callable[..., Any], tmp_path: Path
) -> None:
    files = make_repository(tmp_path / "partial", kinds=("catalog", "collaborative", "ncf"))
    (files.path / "ncf" / "1" / "ids.arrow").unlink()
    async with start(files.path) as running:
        assert running.app.models == (("collaborative", 1),)
        assert sorted(reason.partition(":")[0] for reason in running.app.refused) == ["content", "hybrid", "ncf"]
