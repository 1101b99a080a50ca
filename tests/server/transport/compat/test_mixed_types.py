"""Texts and halves end to end, by the clients that people use: what is sent is what the model gets, and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import numpy as np
import pytest

from audotics.server.transport.compat.stubs import inference_pb2 as v2
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as tfs
from audotics.server.transport.compat.tfs.tensors import decode_tensor, encode_tensor
from tests.mixed_model import mixed_feeds, mixed_outputs, write_mixed_model

aioclient = pytest.importorskip("tritonclient.grpc.aio", reason="needs the extra package tritonclient[grpc]")
from tritonclient.utils import InferenceServerException, np_to_triton_dtype  # noqa: E402

Start = Callable[..., AbstractAsyncContextManager[Any]]
PREDICT = "/tensorflow.serving.PredictionService/Predict"


@pytest.fixture
async def server(start: Start, repository: Any) -> AsyncIterator[Any]:
    write_mixed_model(repository.store)
    async with start(repository.path, batch_rows=16) as running:
        yield running


def tensors(feeds: dict[str, Any]) -> list[Any]:
    made = []
    for name, array in feeds.items():
        tensor = aioclient.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        sent = np.asarray([text.encode() for text in array], object) if array.dtype == object else array
        tensor.set_data_from_numpy(sent)
        made.append(tensor)
    return made


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 40])
async def test_tritonclient_gets_back_what_the_model_makes(server: Any, rows: int) -> None:
    feeds = mixed_feeds(rows)
    async with aioclient.InferenceServerClient(server.app.address) as client:
        for _ in range(2):  # the second time by the layout that the first one left
            result = await client.infer("mixed", tensors(feeds))
            for name, truth in mixed_outputs(feeds).items():
                found = result.as_numpy(name)
                if truth.dtype == object:
                    assert [text.decode() for text in found] == truth.tolist()
                else:
                    assert (found.dtype, found.tolist()) == (truth.dtype, truth.tolist())
        metadata = await client.get_model_metadata("mixed", as_json=True)
    assert {each["name"]: each["datatype"] for each in metadata["inputs"]} == {
        "half": "FP16",
        "number": "INT64",
        "text": "BYTES",
    }


async def test_typed_contents_carry_texts_but_no_halves(server: Any) -> None:
    request = v2.ModelInferRequest(model_name="mixed")
    feeds = mixed_feeds(2)
    request.inputs.add(name="half", datatype="FP16", shape=[2, 2]).contents.fp32_contents.extend([0, 0, 0, 0])
    request.inputs.add(name="number", datatype="INT64", shape=[2]).contents.int64_contents.extend([0, 1])
    text = request.inputs.add(name="text", datatype="BYTES", shape=[2])
    text.contents.bytes_contents.extend(value.encode() for value in feeds["text"])
    infer = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    with pytest.raises(grpc.aio.AioRpcError, match="is FP16, which travels in raw_input_contents only") as failure:
        await infer(request.SerializeToString())
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    del request.inputs[:]
    request.raw_input_contents.extend([feeds["half"].tobytes(), feeds["number"].tobytes(), b"\xff\xff\xff\xffab"])
    for name, datatype, shape in (("half", "FP16", [2, 2]), ("number", "INT64", [2]), ("text", "BYTES", [2])):
        request.inputs.add(name=name, datatype=datatype, shape=shape)
    with pytest.raises(grpc.aio.AioRpcError, match="incomplete string data for inference input 'text'"):
        await infer(request.SerializeToString())  # a text that claims four gigabytes
    request.raw_input_contents[2] = b"\x01\0\0\0a\x01\0\0\0\xff"
    with pytest.raises(grpc.aio.AioRpcError, match="a string that is not UTF-8"):
        await infer(request.SerializeToString())


async def test_tritonclient_is_told_what_is_wrong(server: Any) -> None:
    feeds = mixed_feeds(3)
    async with aioclient.InferenceServerClient(server.app.address) as client:
        wrong: dict[str, Any] = {
            "data-type is 'FP32', but model 'mixed' expects 'FP16'": {"half": feeds["half"].astype(np.float32)},
            "Expected [-1,2], got [3,3]": {"half": np.zeros((3, 3), np.float16)},
            "'rows' has 2 places": {"text": feeds["text"][:2]},
            "a value may be outside its range": {"number": np.asarray([0, 1, 99])},
        }
        for words, change in wrong.items():
            with pytest.raises(InferenceServerException) as caught:
                await client.infer("mixed", tensors(feeds | change))
            assert words in str(caught.value)
            assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
        await client.infer("mixed", tensors(feeds))


@pytest.mark.parametrize("packed", [False, True])
async def test_tensorflow_serving_carries_them_too(server: Any, packed: bool) -> None:
    feeds = mixed_feeds(4)
    request = tfs.PredictRequest(inputs={key: encode_tensor(array, packed=packed) for key, array in feeds.items()})
    request.model_spec.name = "mixed"
    call = server.channel.unary_unary(PREDICT, tfs.PredictRequest.SerializeToString, tfs.PredictResponse.FromString)
    answer = await call(request)
    for name, truth in mixed_outputs(feeds).items():
        found = decode_tensor(answer.outputs[name], name)
        assert (found.dtype, found.tolist()) == (truth.dtype, truth.tolist())


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("number", {"tensor_content": b"\0" * 7}, "has 7 bytes of content; its shape needs 16"),
        ("half", {"half_val": [1, 2, 3, 70_000]}, "has a half_val that is not the 16 bits of a number"),
        ("half", {"half_val": [1, 2]}, "has 2 elements in half_val"),
        ("text", {"tensor_content": b"ab"}, "send them in string_val"),
        ("text", {"string_val": [b"\xff", b""]}, "has a string that is not UTF-8"),
    ],
)
async def test_what_is_wrong_with_a_tensor_is_said(server: Any, name: str, change: Any, words: str) -> None:
    request = tfs.PredictRequest(inputs={key: encode_tensor(array) for key, array in mixed_feeds(2).items()})
    request.model_spec.name = "mixed"
    tensor = request.inputs[name]
    for field, value in change.items():
        tensor.ClearField(field)
        if isinstance(value, bytes):
            setattr(tensor, field, value)
        else:
            getattr(tensor, field).extend(value)
    call = server.channel.unary_unary(PREDICT, tfs.PredictRequest.SerializeToString)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call(request)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in failure.value.details()
    assert f"inputs[{name}]" in str(failure.value.trailing_metadata())


@pytest.mark.parametrize("sizes", [(2**31,), (2**62, 4), (2**20 + 1,)])
async def test_a_shape_that_claims_gigabytes_costs_none(server: Any, sizes: tuple[int, ...]) -> None:
    """One element may stand for all places; a few bytes must not become gigabytes."""
    request = tfs.PredictRequest(inputs={key: encode_tensor(array) for key, array in mixed_feeds(1).items()})
    request.model_spec.name = "mixed"
    del request.inputs["number"].tensor_shape.dim[:]
    for size in sizes:
        request.inputs["number"].tensor_shape.dim.add(size=size)
    call = server.channel.unary_unary(PREDICT, tfs.PredictRequest.SerializeToString)
    with pytest.raises(grpc.aio.AioRpcError, match="has 1 elements in int64_val") as failure:
        await call(request)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
