"""Tensors of the Open Inference Protocol: what comes back, and what is refused, by the field that is wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from audotics.server.services.inference import Inferred
from audotics.server.services.signature import Signature
from audotics.server.services.tensors import TensorError
from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.server.transport.compat.v2.codec import (
    DTYPES,
    decode_inputs,
    decode_outputs,
    encode_answer,
    encode_request,
    requested_outputs,
)


def raw(*tensors: tuple[str, list[int], bytes]) -> Any:
    """A request of named tensors by type, shape and raw contents."""
    request = pb.ModelInferRequest(model_name="m", raw_input_contents=[data for _, _, data in tensors])
    for number, (datatype, shape, _) in enumerate(tensors):
        request.inputs.add(name=f"x{number}", datatype=datatype, shape=shape)
    return request


def typed(datatype: str, shape: list[int], **contents: list[Any]) -> Any:
    request = pb.ModelInferRequest(model_name="m")
    request.inputs.add(name="x0", datatype=datatype, shape=shape, contents=pb.InferTensorContents(**contents))
    return request


@pytest.mark.parametrize("datatype", sorted(set(DTYPES) - {"BYTES"}))
def test_numbers_come_back_in_their_order_from_either_end(datatype: str) -> None:
    array = np.asarray([[0, 1, 1], [1, 0, 1]]).astype(DTYPES[datatype]).T  # columns stand together in memory
    request = encode_request("m", "3", {"x": array}, ["y"])
    assert (request.model_version, [output.name for output in request.outputs]) == ("3", ["y"])
    found = decode_inputs(request)["x"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    answer = pb.ModelInferResponse(raw_output_contents=list(request.raw_input_contents))
    answer.outputs.add(name="x", datatype=datatype, shape=[3, 2])
    np.testing.assert_array_equal(decode_outputs(answer)["x"], array)


def test_any_byte_but_nothing_is_true() -> None:
    found = decode_inputs(raw(("BOOL", [3], b"\x00\x01\x07")))["x0"]
    assert found.view(np.uint8).tolist() == [0, 1, 1]


def test_typed_numbers_have_the_limits_of_their_type() -> None:
    for datatype, field in (("INT8", "int_contents"), ("UINT16", "uint_contents"), ("INT32", "int_contents")):
        limits = np.iinfo(DTYPES[datatype])
        ends = [int(limits.min), int(limits.max)]
        assert decode_inputs(typed(datatype, [2], **{field: ends}))["x0"].tolist() == ends
        assert decode_inputs(typed(datatype, [0], **{field: []}))["x0"].tolist() == []
    for datatype, field, value in (("INT8", "int_contents", 128), ("INT16", "int_contents", -(2**15) - 1)):
        with pytest.raises(TensorError, match="send values from"):
            decode_inputs(typed(datatype, [1], **{field: [value]}))
    assert decode_inputs(typed("UINT64", [1], uint64_contents=[2**64 - 1]))["x0"].tolist() == [2**64 - 1]
    assert decode_inputs(typed("FP64", [1], fp64_contents=[1e300]))["x0"].tolist() == [1e300]


def test_texts_of_any_length_come_back() -> None:
    request = encode_request("m", "", {"x": np.asarray(["", "ü", "ab"], object)}, [])
    assert request.raw_input_contents[0] == b"\0\0\0\0" + struct.pack("<I", 2) + "ü".encode() + b"\2\0\0\0ab"
    assert decode_inputs(request)["x"].tolist() == ["", "ü", "ab"]
    assert decode_inputs(typed("BYTES", [2], bytes_contents=[b"", b"a"]))["x0"].tolist() == ["", "a"]


WRONG: dict[str, tuple[Any, str, str]] = {
    "too many raw": (
        pb.ModelInferRequest(model_name="m", raw_input_contents=[b"", b""]),
        "expected 0 raw input contents for model 'm', one an input, got 2",
        "raw_input_contents",
    ),
    "more raw than inputs": (
        (lambda request: (request.raw_input_contents.append(b"x"), request)[1])(raw(("INT8", [1], b"a"))),
        "expected 1 raw input contents",
        "raw_input_contents",
    ),
    "longer": (raw(("INT8", [2], b"abc")), "Expected 2, got 3", "raw_input_contents[0]"),
    "shorter": (raw(("INT8", [2], b"a")), "Expected 2, got 1", "raw_input_contents[0]"),
    "minus one": (raw(("INT8", [-1], b"a")), "got [-1]", "inputs[0].shape"),
    "type": (raw(("INT9", [1], b"a")), "unknown data-type 'INT9'", "inputs[0].datatype"),
    "half a length": (raw(("BYTES", [1], b"\0\0")), "incomplete string data", "raw_input_contents[0]"),
    "half a text": (raw(("BYTES", [1], b"\3\0\0\0ab")), "incomplete string data", "raw_input_contents[0]"),
    "more texts": (raw(("BYTES", [1], b"\0" * 8)), "expected 1 strings", "raw_input_contents[0]"),
    "fewer texts": (raw(("BYTES", [3], b"\0" * 8)), "expected 3 strings", "raw_input_contents[0]"),
    "no UTF-8": (raw(("BYTES", [1], b"\1\0\0\0\xff")), "not UTF-8", "raw_input_contents[0]"),
    "no typed halves": (typed("FP16", [1]), "raw_input_contents only", "inputs[0].contents"),
    "other contents": (
        typed("INT8", [1], int_contents=[1], fp32_contents=[1.0]),
        "stand in int_contents, not in fp32_contents",
        "inputs[0].contents.fp32_contents",
    ),
    "more elements": (typed("INT8", [1], int_contents=[1, 2]), "has 1, got 2", "inputs[0].contents.int_contents"),
    "fewer elements": (typed("INT8", [3], int_contents=[1, 2]), "has 3, got 2", "inputs[0].contents.int_contents"),
    "width of nothing": (typed("INT8", [0, 2**20]), "has no elements", "inputs[0].shape"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_an_input_is_said(name: str) -> None:
    request, words, field = WRONG[name]
    with pytest.raises(TensorError) as refusal:
        decode_inputs(request)
    assert words in str(refusal.value)
    assert [violation.field for violation in refusal.value.violations] == [field]


def test_an_input_stands_once_and_not_in_shared_memory() -> None:
    twice = raw(("INT8", [1], b"a"), ("INT8", [1], b"a"))
    twice.inputs[1].name = "x0"
    with pytest.raises(TensorError, match="already exists"):
        decode_inputs(twice)
    both = raw(("INT8", [1], b"a"))
    both.inputs[0].contents.int_contents.append(1)
    with pytest.raises(TensorError, match="must not be specified when using raw_input_contents"):
        decode_inputs(both)
    for key in ("shared_memory_region", "shared_memory_byte_size"):
        shared = raw(("INT8", [1], b"a"))
        shared.inputs[0].parameters[key].int64_param = 1
        with pytest.raises(TensorError, match="shared memory is not supported"):
            decode_inputs(shared)


def test_outputs_are_asked_for_once_and_as_they_are() -> None:
    request = pb.ModelInferRequest(outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name="y")])
    request.outputs[0].parameters["classification"].int64_param = 0  # which asks for none
    assert requested_outputs(request) == ["y"]
    request.outputs[0].parameters["classification"].int64_param = 2
    with pytest.raises(TensorError, match="classification extension"):
        requested_outputs(request)
    request = pb.ModelInferRequest(outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name="y")] * 2)
    with pytest.raises(TensorError, match="'y' already requested"):
        requested_outputs(request)


def test_an_answer_names_its_request_and_has_contents_as_the_request_had_them() -> None:
    signature = cast(Signature, SimpleNamespace(name="m", version=4))
    inferred = Inferred(("y",), [np.asarray([1.5, 2.0], np.float32)])
    asked = typed("INT8", [1], int_contents=[1])
    asked.id = "7"
    answer = encode_answer(asked, signature, inferred)
    assert (answer.id, answer.model_name, answer.model_version) == ("7", "m", "4")
    assert list(answer.outputs[0].contents.fp32_contents) == [1.5, 2.0]
    assert not answer.raw_output_contents
    halves = Inferred(("y", "z"), [inferred.arrays[0], np.ones(1, np.float16)])  # which travel raw, and others then too
    for request, outputs in (
        (raw(("INT8", [1], b"a")), inferred),
        (pb.ModelInferRequest(), inferred),
        (asked, halves),
    ):
        answer = encode_answer(request, signature, outputs)
        assert list(answer.raw_output_contents) == [array.tobytes() for array in outputs.arrays]
        assert not answer.outputs[0].HasField("contents")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: answer.raw_output_contents.pop(),
        lambda answer: setattr(answer.outputs[1], "datatype", "INT9"),
        lambda answer: answer.outputs[1].shape.__setitem__(0, -1),
        lambda answer: answer.raw_output_contents.__setitem__(1, b"abc"),
    ],
)
def test_an_answer_of_another_server_that_cannot_be_read_is_an_error(spoil: Callable[[Any], object]) -> None:
    answer = pb.ModelInferResponse(model_name="m", raw_output_contents=[b"a", b"b"])
    for name in ("x", "y"):
        answer.outputs.add(name=name, datatype="INT8", shape=[1])
    assert {name: array.tolist() for name, array in decode_outputs(answer).items()} == {"x": [97], "y": [98]}
    spoil(answer)
    with pytest.raises(TensorError):
        decode_outputs(answer)
