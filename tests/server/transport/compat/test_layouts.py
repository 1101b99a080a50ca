"""Requests that repeat an earlier one's layout: they are read without parsing, and mean what parsing them would say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audotics.server.services.inference import Inferred
from audotics.server.services.joining import RowPlan
from audotics.server.services.signature import Known, Signature
from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.server.transport.compat.v2.codec import decode_inputs
from audotics.server.transport.compat.v2.layouts import Layouts
from audotics.v1 import model_service_pb2 as model_pb

Feeds = dict[str, NDArray[Any]]
METHOD = "/inference.GRPCInferenceService/ModelInfer"


def request_of(feeds: Feeds, **fields: Any) -> Any:
    request = pb.ModelInferRequest(model_name="ncf", **fields)
    names = {"int64": "INT64", "float32": "FP32", "bool": "BOOL"}
    for name, array in feeds.items():
        request.inputs.add(name=name, datatype=names[array.dtype.name], shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    return request


def answer_of(array: NDArray[Any]) -> Any:
    answer = pb.ModelInferResponse(model_name="ncf", model_version="1", raw_output_contents=[array.tobytes()])
    answer.outputs.add(name="logit", datatype="FP32", shape=array.shape)
    return answer


def signature(*, limited: bool = False) -> Signature:
    """With `limited`, the values of user_index are."""
    plan = RowPlan("pairs", {}, {}, (), counted=limited)
    return Signature("ncf", 1, {}, {}, {}, plan, "onnxruntime_onnx", "cpu", (), {}, {})


def learnt(request: Any, feeds: Feeds, *, limited: bool = False) -> Layouts:
    layouts, answer = Layouts(), answer_of(np.ones(3, np.float32))
    layouts.learn(request.SerializeToString(), request, signature(limited=limited), feeds, answer)
    return layouts


def pairs(seed: int, rows: int = 3) -> Feeds:
    random = np.random.default_rng(seed)
    return {"history": random.integers(0, 9, (1, 4)), "track": random.integers(-(2**60), 2**60, rows)}


def test_other_contents_are_read_as_parsing_reads_them() -> None:
    layouts = learnt(request_of(pairs(0)), pairs(0))
    other = request_of(pairs(1))
    layout = layouts.find(other.SerializeToString())
    assert layout is not None
    found, parsed = layout.feeds(other.SerializeToString()), decode_inputs(other)
    assert list(found) == list(parsed)
    for name, array in parsed.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.aligned


def test_the_answer_is_the_one_that_a_message_gives() -> None:
    layouts = learnt(request_of(pairs(0)), pairs(0))
    layout = layouts.find(request_of(pairs(1)).SerializeToString())
    assert layout is not None
    for array in (np.asarray([5, 6, 7], np.float32), np.zeros(3, np.float32)):
        encoded = layout.encode(Inferred(("logit",), [array]))
        assert encoded is not None
        assert pb.ModelInferResponse.FromString(encoded) == answer_of(array)
    assert layout.encode(Inferred(("logit",), [np.zeros(4, np.float32)])) is None


def test_limited_values_that_were_taken_need_not_be_looked_at_again() -> None:
    listeners = np.zeros(3, np.int64)
    layouts = learnt(
        request_of(pairs(0) | {"user_index": listeners}), pairs(0) | {"user_index": listeners}, limited=True
    )
    for seed, index, known in ((1, listeners, Known.VALUES), (0, np.asarray([0, 0, 1]), Known.TENSORS)):
        message = request_of(pairs(seed) | {"user_index": index}).SerializeToString()
        layout = layouts.find(message)
        assert layout is not None
        assert layout.known(message) is known


def test_values_that_are_too_many_to_keep_are_looked_at_each_time() -> None:
    feeds = pairs(0, rows=9_000) | {"user_index": np.zeros(9_000, np.int64)}
    for limited, known in ((True, Known.TENSORS), (False, Known.VALUES)):
        layout = learnt(request_of(feeds), feeds, limited=limited).find(request_of(feeds).SerializeToString())
        assert layout is not None
        assert layout.known(request_of(feeds).SerializeToString()) is known


def test_what_was_answered_without_rows_is_not_learnt() -> None:
    layouts, request = Layouts(), request_of(pairs(0, rows=0))
    answer = answer_of(np.ones(0, np.float32))
    layouts.learn(request.SerializeToString(), request, signature(), pairs(0, rows=0), answer)
    assert layouts.find(request.SerializeToString()) is None


def test_what_differs_elsewhere_is_not_known() -> None:
    layouts = learnt(request_of(pairs(0)), pairs(0))
    others = [
        request_of(pairs(0), id="x"),
        request_of(pairs(0), model_version="1"),
        request_of(pairs(0, rows=4)),
        request_of({"history": pairs(0)["history"].reshape(2, 2), "track": pairs(0)["track"]}),
        request_of({"history": pairs(0)["history"], "tracc": pairs(0)["track"]}),
    ]
    for other in others:
        assert layouts.find(other.SerializeToString()) is None


@pytest.mark.parametrize(
    "feeds", [{"x": np.ones(3, np.bool_)}, {"x": np.ones((3, 1), np.float32), "y": np.zeros(0, np.int64)}]
)
def test_only_numbers_are_learnt(feeds: Feeds) -> None:
    layouts = learnt(request_of(feeds), feeds)
    known = layouts.find(request_of(feeds).SerializeToString())
    assert (known is not None) is ("y" in feeds)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.data())
def test_a_message_that_fits_is_parsed_to_the_same(data: st.DataObject) -> None:
    """Any bytes changed in a known message: either it is not known any more, or parsing gives the same arrays."""
    feeds = pairs(0)
    layouts = learnt(request_of(feeds), feeds)
    message = bytearray(request_of(feeds).SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    layout = layouts.find(bytes(message))
    if layout is not None:
        parsed = decode_inputs(pb.ModelInferRequest.FromString(bytes(message)))
        for name, array in layout.feeds(bytes(message)).items():
            np.testing.assert_array_equal(array, parsed[name])


async def test_repeated_requests_are_answered_and_refused_as_the_first(
    server: Any,
    repository: Any,
    make_repository: Callable[..., Any],
    feeds: Callable[..., Feeds],
    expected: Callable[[str, Feeds], Feeds],
) -> None:
    infer = server.channel.unary_unary(METHOD)
    given_feeds = [
        {"history": np.asarray([[seed, 2]]), "user_index": np.zeros(5, np.int64), "track": np.arange(5) + seed}
        for seed in range(6)
    ]
    for each in given_feeds:
        answer = pb.ModelInferResponse.FromString(await infer(request_of(each).SerializeToString()))
        assert answer.model_version == "1"
        logit = np.frombuffer(answer.raw_output_contents[0], np.float32)
        np.testing.assert_allclose(logit, expected("ncf", each)["logit"], rtol=1e-5)
    for wrong in ({"user_index": np.full(5, -1)}, {"track": np.full(5, 10**6)}):
        with pytest.raises(grpc.aio.AioRpcError, match=r"\[request id: <id_unknown>\]") as caught:
            await infer(request_of(given_feeds[0] | wrong).SerializeToString())
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    # A version that takes over is asked, and says so.
    make_repository(repository.path, kinds=("ncf", "hybrid"), seed=8)
    await server.models.LoadVersion(model_pb.LoadVersionRequest(name="hybrid", version=2))
    answer = pb.ModelInferResponse.FromString(await infer(request_of(given_feeds[0]).SerializeToString()))
    assert answer.model_version == "2"
