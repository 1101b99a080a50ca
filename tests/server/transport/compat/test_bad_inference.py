"""Requests of the Open Inference Protocol that do not hold: each is refused with its reason, and no more happens."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.server.transport.compat.v2.parameters import wishes_of
from audotics.server.types import Caller, Priority

Feeds = dict[str, NDArray[Any]]
MakeFeeds = Callable[..., Feeds]
Start = Callable[..., AbstractAsyncContextManager[Any]]
METHOD = "/inference.GRPCInferenceService/ModelInfer"
DATATYPES = {"float32": "FP32", "int64": "INT64"}
ALLOWED = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


def request_of(feeds: Feeds, *, model: str = "ncf", typed: bool = False) -> Any:
    request = pb.ModelInferRequest(model_name=model, id="7")
    for name, array in feeds.items():
        tensor = request.inputs.add(name=name, datatype=DATATYPES[array.dtype.name], shape=array.shape)
        if not typed:
            request.raw_input_contents.append(array.tobytes())
        elif array.dtype == np.int64:
            tensor.contents.int64_contents.extend(array.ravel().tolist())
        else:
            tensor.contents.fp32_contents.extend(array.ravel().tolist())
    return request


async def call(server: Any, data: bytes) -> tuple[grpc.StatusCode, str, Any]:
    """Status, message and answer of one ModelInfer, which is sent as these bytes."""
    infer = server.channel.unary_unary(METHOD)
    try:
        return grpc.StatusCode.OK, "", pb.ModelInferResponse.FromString(await infer(data))
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or "", error


async def test_typed_contents_are_answered_with_typed_contents(
    server: Any, feeds: MakeFeeds, expected: Callable[[str, Feeds], Feeds]
) -> None:
    for model in ("ncf", "hybrid", "content", "collaborative"):
        sent = feeds(model)
        code, message, answer = await call(server, request_of(sent, model=model, typed=True).SerializeToString())
        assert code is grpc.StatusCode.OK, message
        assert not answer.raw_output_contents
        for output, truth in zip(answer.outputs, expected(model, sent).values(), strict=True):
            got = np.asarray(output.contents.fp32_contents, np.float32).reshape(output.shape)
            np.testing.assert_allclose(got, truth, rtol=1e-5, atol=1e-6)


def change(**fields: Any) -> Callable[[Any], None]:
    """Set fields of the second input, `user_index`."""

    def changed(request: Any) -> None:
        for name, value in fields.items():
            if name == "shape":
                request.inputs[1].shape[:] = value
            elif name == "raw":
                request.raw_input_contents[1] = value
            else:
                setattr(request.inputs[1], name, value)

    return changed


def nothing(*shape: int) -> Callable[[Any], None]:
    """A history without elements, which takes no bytes."""

    def changed(request: Any) -> None:
        request.inputs[0].shape[:] = shape
        request.raw_input_contents[0] = b""

    return changed


def duplicate(request: Any) -> None:
    request.inputs.append(request.inputs[0])
    request.raw_input_contents.append(request.raw_input_contents[0])


def mixed(request: Any) -> None:
    request.inputs[1].contents.int64_contents.extend([0, 0, 0])


def drop_all_contents(request: Any) -> None:
    del request.raw_input_contents[:]


def wrong_contents(request: Any) -> None:
    del request.raw_input_contents[:]
    request.inputs[0].contents.fp32_contents.append(1.0)


def shared_memory(request: Any) -> None:
    request.inputs[1].parameters["shared_memory_region"].string_param = "/etc/passwd"


def all_in_shared_memory(request: Any) -> None:
    """As `set_shared_memory` leaves a request: without contents for that tensor."""
    shared_memory(request)
    request.raw_input_contents.pop(1)


def parameter(key: str, **value: Any) -> Callable[[Any], None]:
    def changed(request: Any) -> None:
        request.parameters[key].CopyFrom(pb.InferParameter(**value))

    return changed


def classification(request: Any) -> None:
    request.outputs.add(name="logit").parameters["classification"].int64_param = 3


CASES: dict[str, tuple[Callable[[Any], object], str]] = {
    "length": (change(raw=b"\0" * 23), "input byte size mismatch for input 'user_index' for model 'ncf'. Expected 24"),
    "claim": (change(shape=[2**31]), "Expected 17179869184, got 24"),
    "endless": (change(shape=[2**62, 2**62]), "input byte size mismatch"),
    "endless rows of nothing": (nothing(2**31, 0), "[2147483648,0] has no elements, and then sizes may be up to 65536"),
    "more than can be": (nothing(2**62, 0), "has no elements"),
    "no rows of endless width": (nothing(0, 2**62), "has no elements"),
    "negative": (change(shape=[-3]), r"got [-3]"),
    "rank": (change(shape=[3, 1]), "unexpected shape for input 'user_index' for model 'ncf'. Expected [-1], got [3,1]"),
    "scalar": (change(shape=[], raw=b"\0" * 8), "Expected [-1], got []"),
    "axes": (change(shape=[2], raw=b"\0" * 16), "its axis 'rows' has 3 places, that of input 'user_index' has 2"),
    "type": (
        change(datatype="FP64"),
        "inference input 'user_index' data-type is 'FP64', but model 'ncf' expects 'INT64'",
    ),
    "unknown type": (change(datatype="BF16"), "unknown data-type 'BF16'"),
    "strings": (change(datatype="BYTES"), "incomplete string data for inference input 'user_index'"),
    "name": (change(name="user"), "unexpected inference input 'user' for model 'ncf'"),
    "twice": (duplicate, "input 'history' already exists in request"),
    "missing": (
        lambda request: (request.inputs.pop(), request.raw_input_contents.pop()),
        "expected 3 inputs but got 2 inputs for model 'ncf'",
    ),
    "none": (lambda request: (request.ClearField("inputs"), drop_all_contents(request)), "but got 0 inputs"),
    "raw count": (lambda request: request.raw_input_contents.pop(), "expected 3 raw input contents"),
    "mixture": (mixed, "contents field must not be specified when using raw_input_contents for 'user_index'"),
    "no contents": (drop_all_contents, "unexpected number of elements for input 'history'"),
    "wrong contents": (wrong_contents, "unexpected explicit tensor data for input tensor 'history'"),
    "output": (lambda request: request.outputs.add(name="nope"), "unexpected inference output 'nope' for model 'ncf'"),
    "output twice": (
        lambda request: (request.outputs.add(name="logit"), request.outputs.add(name="logit")),
        "output 'logit' already requested",
    ),
    "shared memory": (shared_memory, "shared memory is not supported"),
    "memory without contents": (all_in_shared_memory, "shared memory is not supported"),
    "timeout of texts": (
        parameter("timeout", string_param="1000"),
        "invalid value type for 'timeout' parameter, expected int64_param.",
    ),
    "timeout without a sign": (parameter("timeout", uint64_param=1000), "expected int64_param."),
    "priority of texts": (
        parameter("priority", string_param="high"),
        "invalid value type for 'priority' parameter, expected int64_param or uint64_param.",
    ),
    "priority below none": (parameter("priority", int64_param=-1), "expected value >= 0"),
    "sequence": (
        parameter("sequence_id", bool_param=True),
        "invalid value type for 'sequence_id' parameter, expected int64_param or string_param.",
    ),
    "start": (parameter("sequence_start", int64_param=1), "expected bool_param."),
    "reserved": (parameter("triton_x", bool_param=True), "parameter keys starting with 'triton_' are reserved"),
    "classification": (classification, "classification extension is not supported"),
    "another's listener": (change(raw=struct.pack("<3q", 0, 1, 2)), "outside 0..1"),
    "no such track": (
        lambda request: request.raw_input_contents.__setitem__(2, struct.pack("<3q", 0, 1, 10**6)),
        "row",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_is_wrong_is_said_in_the_words_of_triton(
    case: str, server: Any, feeds: MakeFeeds, details: Callable[..., list[Any]]
) -> None:
    alter, words = CASES[case]
    request = request_of(feeds("ncf"))
    alter(request)
    code, message, error = await call(server, request.SerializeToString())
    assert code is grpc.StatusCode.INVALID_ARGUMENT, message
    assert message.startswith("[request id: 7] ")
    assert words in message.replace("Its axis", "its axis")
    (bad,) = details(error, error_details_pb2.BadRequest)
    assert bad.field_violations[0].field.startswith(("inputs", "outputs", "raw_input_contents", "parameters"))


async def test_parameters_that_say_nothing_to_these_models_pass(server: Any, feeds: MakeFeeds) -> None:
    for key, value in {
        "sequence_id": {"int64_param": 3},
        "sequence_start": {"bool_param": True},
        "priority": {"uint64_param": 1},
        "timeout": {"int64_param": 0},
        "triton_enable_empty_final_response": {"bool_param": True},
        "of_a_model": {"string_param": "x"},
    }.items():
        request = request_of(feeds("ncf"))
        parameter(key, **value)(request)
        code, message, answer = await call(server, request.SerializeToString())
        assert code is grpc.StatusCode.OK, message
        assert answer.id == "7"


@pytest.mark.parametrize(
    ("value", "priority"),
    [
        ({}, "LOW"),
        ({"int64_param": 0}, "LOW"),
        ({"int64_param": 1}, "HIGH"),
        ({"uint64_param": 2}, "NORMAL"),
        ({"int64_param": 3}, "LOW"),
        ({"uint64_param": 2**63}, "LOW"),
    ],
)
def test_levels_of_triton_are_classes(value: dict[str, int], priority: str) -> None:
    request = pb.ModelInferRequest()
    if value:
        parameter("priority", **value)(request)
    assert wishes_of(request).caller(Caller("acme", Priority.LOW)) == Caller("acme", Priority[priority])


async def test_histories_too_large_for_one_run_are_refused(server: Any, feeds: MakeFeeds) -> None:
    sent = feeds("ncf") | {"history": np.zeros((2, 2**17 + 1), np.int64)}
    code, message, _ = await call(server, request_of(sent).SerializeToString())
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "send up to 262144 in one request" in message


async def test_what_does_not_exist_is_named(server: Any, feeds: MakeFeeds, details: Callable[..., list[Any]]) -> None:
    for name, version in (("nope", ""), ("ncf", "9"), ("ncf", "canary"), ("catalog", ""), ("../ncf", "")):
        request = request_of(feeds("ncf"))
        request.model_name, request.model_version = name, version
        code, message, error = await call(server, request.SerializeToString())
        assert code is grpc.StatusCode.NOT_FOUND
        asked = f"'{name}' version {version}" if version else f"'{name}'"
        assert message.startswith(f"Request for unknown model: {asked} is not found; loaded")
        (resource,) = details(error, error_details_pb2.ResourceInfo)
        assert (resource.resource_type, "loaded" in resource.description) == (
            "model version" if version else "model",
            True,
        )
    request.model_name, request.model_version = "ncf", "1" * 30
    assert (await call(server, request.SerializeToString()))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_message_over_the_limit_is_refused_by_name(
    start: Start, repository: Any, feeds: MakeFeeds, details: Callable[..., list[Any]]
) -> None:
    async with start(repository.path, max_message_mib=1) as server:
        sent = feeds("ncf") | {"history": np.zeros((1, 2**18), np.int64)}
        code, message, _ = await call(server, request_of(sent).SerializeToString())
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert str(2**20) in message
        # 20,000 embeddings of 64 bytes are larger than the 160 kB of their histories.
        sent = {"history": np.zeros((20_000, 1), np.int64)}
        code, message, error = await call(server, request_of(sent, model="collaborative").SerializeToString())
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert f"would have 1280000 bytes, and a message may have {2**20} (max_message_mib)" in message
        assert not details(error, error_details_pb2.RetryInfo)  # to try again would not help
        statistics = server.channel.unary_unary("/inference.GRPCInferenceService/ModelStatistics")
        data = await statistics(pb.ModelStatisticsRequest(name="collaborative").SerializeToString())
        (entry,) = pb.ModelStatisticsResponse.FromString(data).model_stats
        assert (entry.inference_stats.fail.count, entry.execution_count) == (1, 0)  # nor was anything computed


async def test_a_neighbour_that_fails_does_no_harm(
    server: Any, feeds: MakeFeeds, expected: Callable[[str, Feeds], Feeds]
) -> None:
    good = [feeds("ncf", rows=4, seed=seed) for seed in range(20)]
    bad = feeds("ncf") | {"track": np.full(3, 10**6)}
    requests = [request_of(bad if place % 2 else good[place // 2]).SerializeToString() for place in range(40)]
    answers = await asyncio.gather(*(call(server, data) for data in requests))
    for place, (code, message, answer) in enumerate(answers):
        if place % 2:
            assert code is grpc.StatusCode.INVALID_ARGUMENT
            continue
        assert code is grpc.StatusCode.OK, message
        logit = np.frombuffer(answer.raw_output_contents[0], np.float32)
        np.testing.assert_allclose(logit, expected("ncf", good[place // 2])["logit"], rtol=1e-5)


NAMES = st.sampled_from(["history", "user_index", "track", "components", "x", ""])
SIZES = st.one_of(st.integers(-3, 4), st.sampled_from([2**31, 2**62, -(2**63)]))


@st.composite
def tensors(draw: st.DrawFn) -> Any:
    tensor = pb.ModelInferRequest.InferInputTensor(
        name=draw(NAMES),
        datatype=draw(st.sampled_from(["INT64", "INT32", "FP32", "FP16", "BOOL", "BYTES", "UINT8", "", "FLOAT"])),
        shape=draw(st.lists(SIZES, max_size=3)),
    )
    if draw(st.booleans()):
        tensor.contents.int64_contents.extend(draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4)))
    if draw(st.integers(0, 4)) == 0:
        tensor.contents.int_contents.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=2)))
        tensor.contents.bytes_contents.extend(draw(st.lists(st.binary(max_size=3), max_size=2)))
    return tensor


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    request = pb.ModelInferRequest(
        model_name=draw(st.sampled_from(["ncf", "collaborative", "hybrid", "nope", ""])),
        model_version=draw(st.sampled_from(["", "1", "0", "-1", "²", "stable"])),
        id=draw(st.text(max_size=3)),
        inputs=draw(st.lists(tensors(), max_size=4)),
        raw_input_contents=draw(st.lists(st.binary(max_size=33), max_size=4)),
    )
    for name in draw(st.lists(st.sampled_from(["logit", "user_vector", "x"]), max_size=2)):
        request.outputs.add(name=name)
    if draw(st.booleans()):
        request.parameters["timeout"].string_param = "soon"
    data: bytes = request.SerializeToString()
    if draw(st.integers(0, 3)) == 0:  # and some that are no messages
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(st.binary(max_size=6)) + data[place:]
    return data


async def test_no_bytes_make_the_server_answer_internal(server: Any) -> None:
    """Hypothesis drives from a thread, the server runs on this loop."""
    loop = asyncio.get_running_loop()

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(st.one_of(requests(), st.binary(max_size=64)))
    def ask(data: bytes) -> None:
        code, message, _ = asyncio.run_coroutine_threadsafe(call(server, data), loop).result(timeout=30)
        assert code in ALLOWED, message

    await asyncio.to_thread(ask)
