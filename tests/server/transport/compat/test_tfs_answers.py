"""What TensorFlow Serving's methods take and say, of models of all kinds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from audotics.bundle.manifest import TensorSpec
from audotics.server.repository.status import VersionState, VersionStatus
from audotics.server.services.signature import Signature
from audotics.server.services.tensors import TensorError
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as pb
from audotics.server.transport.compat.tfs.answers import class_output, encode_status, number_output
from audotics.server.transport.compat.tfs.examples import decode_examples
from audotics.server.transport.compat.tfs.tensors import decode_tensor


def signature(*, classes: tuple[str, ...] = (), outputs: Any = (), inputs: Any = ()) -> Signature:
    def specs(given: Any) -> dict[str, TensorSpec]:
        return {name: TensorSpec(name, dtype, shape) for name, dtype, shape in given}

    return cast(Signature, SimpleNamespace(name="m", classes=classes, outputs=specs(outputs), inputs=specs(inputs)))


def example_input(*rows: dict[str, Any], context: dict[str, Any] | None = None) -> Any:
    found = pb.Input()
    examples = found.example_list if context is None else found.example_list_with_context
    for features in rows:
        fill(examples.examples.add().features.feature, features)
    if context is not None:
        fill(found.example_list_with_context.context.features.feature, context)
    return found


def fill(feature: Any, values: dict[str, Any]) -> None:
    for name, given in values.items():
        kind = {float: "float_list", int: "int64_list", bytes: "bytes_list"}[type(given[0])]
        getattr(feature[name], kind).value.extend(given)


def test_classes_and_numbers_are_read_from_the_outputs_that_have_them() -> None:
    outputs = [
        ("table", "float32", (-1, 3)),
        ("wide", "float32", (-1, 2, 1)),
        ("p", "float32", (-1, 2)),
        ("n", "float32", (-1, 1)),
    ]
    of_two = signature(classes=("a", "b"), outputs=outputs)
    assert (class_output(of_two), number_output(of_two)) == ("p", "n")
    assert class_output(signature(classes=("a",), outputs=[("p", "float32", (-1, -1))])) == "p"
    with pytest.raises(TensorError, match="has no classes"):
        class_output(signature(outputs=outputs))
    with pytest.raises(TensorError, match="no output of one number a row"):
        number_output(signature(outputs=outputs[:3]))


def test_a_status_is_always_there() -> None:
    states = {VersionState.IN_SERVICE: 30, VersionState.LOADED: 30, VersionState.ON_DISK: 50, VersionState.REFUSED: 50}
    versions = [
        cast(VersionStatus, SimpleNamespace(version=number, state=state, reason="altered" * (number == 4)))
        for number, state in enumerate(states, 1)
    ]
    answer = encode_status(versions).model_version_status
    assert [status.state for status in answer] == list(states.values())
    assert all(status.HasField("status") for status in answer)
    assert [(status.status.error_code, status.status.error_message) for status in answer[2:]] == [
        (0, ""),
        (9, "altered"),
    ]


def test_examples_become_columns_by_the_models_inputs() -> None:
    inputs = [
        ("history", "int64", (-1, -1)),
        ("user_index", "int64", (-1,)),
        ("x", "float32", (-1, 2)),
        ("flag", "bool", (-1,)),
        ("word", "object", (-1,)),
        ("list", "int32", (-1, -1)),
    ]
    rows = [
        {"history": [1, 2], "x": [0.5, 1.0], "flag": [1], "word": [b"a"], "list": [1, 2, 3]},
        {"history": [3], "x": [2.0, 0.0], "flag": [0], "word": ["ü".encode()], "list": [4, 5, 6], "other": [1]},
    ]
    feeds = decode_examples(example_input(*rows), signature(inputs=inputs))
    assert {name: array.tolist() for name, array in feeds.items()} == {
        "history": [[1, 2], [3, -1]],
        "user_index": [0, 1],
        "x": [[0.5, 1.0], [2.0, 0.0]],
        "flag": [True, False],
        "word": ["a", "ü"],
        "list": [[1, 2, 3], [4, 5, 6]],
    }
    assert [feeds[name].dtype.name for name in ("history", "x", "list")] == ["int64", "float32", "int32"]


def test_an_example_goes_before_the_context_and_listeners_may_be_named() -> None:
    inputs = [("x", "float32", (-1,)), ("user_index", "int64", (-1,))]
    source = example_input({"x": [1.0]}, {"user_index": [5]}, context={"x": [9.0], "user_index": [7]})
    feeds = decode_examples(source, signature(inputs=inputs))
    assert (feeds["x"].tolist(), feeds["user_index"].tolist()) == ([1.0, 9.0], [7, 5])


@pytest.mark.parametrize(
    ("spec", "rows", "words"),
    [
        (("x", "float32", (-1, 2, 2)), [{"x": [1.0]}], "is not one row an example; call Predict"),
        (("x", "float32", (3, 2)), [{"x": [1.0]}], "is not one row an example; call Predict"),
        (("x", "float32", (-1, 2)), [{"x": [1.0, 2.0, 3.0]}], "has 3 values of 'x', it takes 2"),
        (("x", "float32", (-1, -1)), [{"x": [1.0, 2.0]}, {"x": [1.0]}], "example 1 has 1 values of 'x', it takes 2"),
        (("x", "float32", (-1,)), [{"x": [1]}], "stands in int64_list; send float_list"),
        (("x", "float32", (-1,)), [{"y": [1.0]}], "has no feature 'x'"),
        (("x", "int8", (-1,)), [{"x": [200]}], "a value outside int8"),
        (("x", "object", (-1,)), [{"x": [b"\xff"]}], "is not UTF-8"),
        (("x", "float32", (-1,)), [{"x": [1.0]}] * 65_537, "there are 65537 examples; send up to 65536"),
    ],
)
def test_examples_that_do_not_fit_are_refused(spec: Any, rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(TensorError, match=words):
        decode_examples(example_input(*rows), signature(inputs=[spec]))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dtype": 6, "int_val": [200]}, "a value outside -128..127"),
        ({"dtype": 4, "int_val": [-1]}, "a value outside 0..255"),
        ({"dtype": 19, "half_val": [-1]}, "not the 16 bits"),
        ({"dtype": 19, "half_val": [65_536]}, "not the 16 bits"),
        ({"dtype": 6, "tensor_content": b"ab"}, "has 2 bytes of content; its shape needs 1"),
        ({"dtype": 7, "tensor_content": b"a"}, "send them in string_val"),
        ({"dtype": 7, "string_val": [b"\xff"]}, "not UTF-8"),
        ({"dtype": 1, "float_val": [1.0, 2.0]}, "has 2 elements in float_val, its shape"),
    ],
)
def test_elements_that_do_not_fit_are_refused(fields: dict[str, Any], words: str) -> None:
    tensor = pb.TensorProto(tensor_shape=pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=1)]), **fields)
    with pytest.raises(TensorError, match=words):
        decode_tensor(tensor, "x")


def test_a_shape_of_unknown_rank_is_refused_and_any_byte_but_nothing_is_true() -> None:
    unknown = pb.TensorProto(dtype=1, tensor_shape=pb.TensorShapeProto(unknown_rank=True), float_val=[1.0])
    with pytest.raises(TensorError, match="every size must be known"):
        decode_tensor(unknown, "x")
    flags = pb.TensorProto(
        dtype=10, tensor_shape=pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=2)]), tensor_content=b"\0\7"
    )
    assert decode_tensor(flags, "x").view(np.uint8).tolist() == [0, 1]
