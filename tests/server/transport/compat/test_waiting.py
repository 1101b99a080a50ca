"""Requests that wait for one another over the wire: what a full queue says, and who goes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
import pytest
from google.rpc import error_details_pb2
from onnx import TensorProto, helper, numpy_helper

from audotics.bundle.manifest import Manifest
from audotics.bundle.store import BundleStore
from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as tfs
from audotics.server.transport.compat.tfs.tensors import encode_tensor

Ended = tuple[grpc.StatusCode, Any]
"""The status of a call, and its error."""

OK, FULL = grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED
SERVICE = "/inference.GRPCInferenceService"
ROWS, WIDTH, LAYERS = 64, 1024, 100
"""Some hundred milliseconds of one processor: what comes meanwhile has to wait."""


def write_slow(repository: Path) -> None:
    turned = numpy_helper.from_array(np.roll(np.eye(WIDTH, dtype=np.float32), 1, axis=1), "turned")
    names = ["x", *(f"x{layer}" for layer in range(1, LAYERS)), "y"]
    nodes = [helper.make_node("MatMul", [names[at], "turned"], [names[at + 1]]) for at in range(LAYERS)]
    shape = ["batch", WIDTH]
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name in "xy")
    graph = helper.make_graph(nodes, "slow", inputs, outputs, [turned])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    manifest = Manifest("slow", "slow", 1, "numpy", datetime.now(UTC).isoformat(), "")
    with BundleStore(repository).write(manifest) as folder:
        onnx.save(model, folder / "model.onnx")
        np.savez(folder / "warmup.npz", x=np.zeros((1, WIDTH), np.float32))


def request_of(**parameters: int) -> Any:
    request = pb.ModelInferRequest(model_name="slow", raw_input_contents=[array_of(ROWS).tobytes()])
    request.inputs.add(name="x", datatype="FP32", shape=[ROWS, WIDTH])
    for key, value in parameters.items():
        request.parameters[key].int64_param = value
    return request


def array_of(rows: int) -> Any:
    return np.arange(rows * WIDTH, dtype=np.float32).reshape(rows, WIDTH) % 1000


class Calls:
    """Requests to one server, and how they end."""

    def __init__(self, server: Any) -> None:
        self._infer = server.channel.unary_unary(f"{SERVICE}/ModelInfer")
        self._unload = server.channel.unary_unary(f"{SERVICE}/RepositoryModelUnload")
        self._predict = server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    async def infer(self, *, metadata: Any = None, **parameters: int) -> Ended:
        data = request_of(**parameters).SerializeToString()
        ended, answer = await _ended(self._infer(data, metadata=metadata))
        if answer is not None:
            rows = np.frombuffer(pb.ModelInferResponse.FromString(answer).raw_output_contents[0], np.float32)
            np.testing.assert_array_equal(rows.reshape(ROWS, WIDTH), np.roll(array_of(ROWS), LAYERS, axis=1))
        return ended

    async def unload(self) -> None:
        await self._unload(pb.RepositoryModelUnloadRequest(model_name="slow").SerializeToString())

    async def predict(self) -> Ended:
        request = tfs.PredictRequest(model_spec=tfs.ModelSpec(name="slow"), inputs={"x": encode_tensor(array_of(ROWS))})
        return (await _ended(self._predict(request.SerializeToString())))[0]


async def _ended(call: Any) -> tuple[Ended, bytes | None]:
    try:
        return (OK, None), await call
    except grpc.aio.AioRpcError as error:
        return (error.code(), error), None


@pytest.fixture
async def calls(start: Any, repository: Any) -> AsyncIterator[Calls]:
    """A server with one thread, and room for one request beside the one that runs."""
    write_slow(repository.path)
    async with start(repository.path, threads=1, queue_rows=ROWS, repository_poll_s=0) as server:
        yield Calls(server)


@pytest.mark.parametrize("protocol", ["infer", "predict"])
async def test_a_full_queue_says_when_to_come_back(
    protocol: str, calls: Calls, details: Callable[..., list[Any]]
) -> None:
    ended = await asyncio.gather(*(getattr(calls, protocol)() for _ in range(6)))
    assert {code for code, _ in ended} == {OK, FULL}
    for error in (error for code, error in ended if code is FULL):
        assert f"{ROWS} rows wait for scoring, and {ROWS} may" in error.details()
        (retry,) = details(error, error_details_pb2.RetryInfo)
        assert retry.retry_delay.ToNanoseconds() > 0
        assert details(error, error_details_pb2.QuotaFailure)


@pytest.mark.parametrize(
    "urgent", [{"priority": 1}, {"metadata": (("audotics-priority", "high"),)}], ids=["parameter", "metadata"]
)
async def test_a_higher_class_takes_the_place_of_who_waits(urgent: dict[str, Any], calls: Calls) -> None:
    usual = [asyncio.ensure_future(calls.infer()) for _ in range(6)]
    await asyncio.wait(usual, return_when=asyncio.FIRST_COMPLETED)  # one is refused, so there is no room
    assert (await calls.infer(**urgent))[0] is OK
    assert {code for code, _ in await asyncio.gather(*usual)} == {OK, FULL}


async def test_who_was_let_in_is_answered_by_a_model_that_goes(calls: Calls) -> None:
    asked = [asyncio.ensure_future(calls.infer()) for _ in range(3)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)  # one is refused: another runs, and one waits
    await calls.unload()
    assert (await calls.infer())[0] is grpc.StatusCode.UNAVAILABLE
    ended = [code for code, _ in await asyncio.gather(*asked)]
    assert set(ended) <= {OK, FULL}
    assert ended.count(OK) >= 2
