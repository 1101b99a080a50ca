"""What the protocols of other servers share with ours: health, reflection and compression of one port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.v1 import model_service_pb2 as model_pb

Start = Callable[..., AbstractAsyncContextManager[Any]]
FOREIGN = (
    "inference.GRPCInferenceService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)
States = health_pb2.HealthCheckResponse


async def check(server: Any, service: str) -> Any:
    stub = health_pb2_grpc.HealthStub(server.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


async def test_health_knows_services_and_models(server: Any) -> None:
    for service in FOREIGN:
        assert await check(server, service) == States.SERVING
    assert await check(server, "audotics.model.ncf") == States.SERVING
    await server.models.UnloadVersion(model_pb.UnloadVersionRequest(name="ncf", version=1))
    assert await check(server, "audotics.model.ncf") == States.NOT_SERVING
    with pytest.raises(grpc.aio.AioRpcError, match=r"there is no model 'audotics\.model\.nope'") as caught:
        await check(server, "audotics.model.nope")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watchers_of_a_model_see_it_go_and_come_back(server: Any) -> None:
    stub = health_pb2_grpc.HealthStub(server.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="audotics.model.ncf"))
    assert (await watch.read()).status == States.SERVING
    await server.models.UnloadVersion(model_pb.UnloadVersionRequest(name="ncf", version=1))
    assert (await watch.read()).status == States.NOT_SERVING
    await server.models.LoadVersion(model_pb.LoadVersionRequest(name="ncf", version=1))
    assert (await watch.read()).status == States.SERVING
    watch.cancel()


async def test_watchers_of_a_model_learn_that_the_server_drains(start: Start, repository: Any) -> None:
    running = start(repository.path, drain_s=3600.0)
    address = (await running.__aenter__()).app.address
    async with grpc.aio.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service="audotics.model.ncf")
        watch = health_pb2_grpc.HealthStub(channel).Watch(request)
        assert (await watch.read()).status == States.SERVING
        await running.__aexit__(None, None, None)
        assert (await watch.read()).status == States.NOT_SERVING


async def test_reflection_describes_every_protocol(server: Any) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    symbols = [*FOREIGN, "inference.ModelInferRequest", "tensorflow.TensorProto", "audotics.v1.ModelService"]
    requests = [reflection_pb2.ServerReflectionRequest(list_services="")]
    requests += [reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol) for symbol in symbols]
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(requests))]
    assert {service.name for service in answers[0].list_services_response.service} >= set(FOREIGN)
    for symbol, answer in zip(symbols, answers[1:], strict=True):
        encoded = answer.file_descriptor_response.file_descriptor_proto
        files = [FileDescriptorProto.FromString(file) for file in encoded]
        names = {f"{file.package}.{item.name}" for file in files for item in (*file.service, *file.message_type)}
        assert symbol in names


@asynccontextmanager
async def counting_proxy(address: str) -> AsyncIterator[tuple[str, list[int]]]:
    """A TCP proxy before `address`, and the sizes of what came back through it."""
    host, port = address.rsplit(":", 1)
    sizes: list[int] = []

    handlers: list[asyncio.Task[None] | None] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: list[int]) -> None:
        with contextlib.suppress(ConnectionError):  # who has what it wanted may hang up
            while data := await reader.read(65_536):
                counted.append(len(data))
                writer.write(data)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        server_reader, server_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, server_writer, []), pump(server_reader, writer, sizes))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as proxy:
        yield f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}", sizes
        await asyncio.gather(*filter(None, handlers))


@pytest.mark.parametrize("gzip_answers", [False, True])
async def test_answers_are_compressed_on_demand(gzip_answers: bool, start: Start, repository: Any) -> None:
    request = pb.ModelInferRequest(model_name="ncf")
    rows = np.zeros(10_000, np.int64)
    for name, array in {"history": rows[:2].reshape(1, 2), "user_index": rows, "track": rows}.items():
        request.inputs.add(name=name, datatype="INT64", shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    async with (
        start(repository.path, gzip_answers=gzip_answers) as server,
        counting_proxy(server.app.address) as (address, sizes),
        grpc.aio.insecure_channel(address, compression=grpc.Compression.Gzip) as channel,
    ):
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        answer = pb.ModelInferResponse.FromString(await infer(request.SerializeToString()))
    assert len(answer.raw_output_contents[0]) == 40_000
    assert (sum(sizes) < 4_000) is gzip_answers
