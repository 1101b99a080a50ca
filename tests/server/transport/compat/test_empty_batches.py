"""Requests without a single row: each protocol answers them with outputs without a row, whatever the graph thinks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from audotics.bundle.manifest import Manifest
from audotics.bundle.store import BundleStore
from audotics.server.transport.compat.stubs import inference_pb2 as v2
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as tfs
from audotics.server.transport.compat.tfs.tensors import decode_tensor, encode_tensor

Feeds = dict[str, NDArray[Any]]
DATATYPES = {"float32": "FP32", "int64": "INT64"}
WIDTHS = {
    "collaborative": {"user_vector": (16,)},
    "content": {"embedding": (16,), "length": ()},
    "hybrid": {"weights": (6,), "score": (), "confidence": ()},
    "flat": {"y": (4,)},
}
"""What a row of each output looks like."""


def write_flat(repository: Path) -> None:
    """A graph of independent rows whose Reshape fails on none of them, as that of the sequence model does."""
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        "flat",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(np.asarray([0, -1]), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    manifest = Manifest("flat", "flat", 1, "numpy", datetime.now(UTC).isoformat(), "")
    with BundleStore(repository).write(manifest) as folder:
        onnx.save(model, folder / "model.onnx")
        np.savez(folder / "warmup.npz", x=np.zeros((3, 2, 2), np.float32))


@pytest.fixture
async def serving(start: Any, repository: Any) -> AsyncIterator[Any]:
    write_flat(repository.path)
    async with start(repository.path) as running:
        yield running


@pytest.fixture
def without_rows(feeds: Callable[..., Feeds]) -> Callable[[str], Feeds]:
    def make(model: str) -> Feeds:
        if model == "flat":
            return {"x": np.zeros((0, 2, 2), np.float32)}
        return {name: array[:0] for name, array in feeds(model).items()}

    return make


async def infer(server: Any, model: str, sent: Feeds, *, typed: bool, outputs: tuple[str, ...] = ()) -> Feeds:
    request = v2.ModelInferRequest(model_name=model)
    for name, array in sent.items():
        request.inputs.add(name=name, datatype=DATATYPES[array.dtype.name], shape=array.shape)
        if not typed:
            request.raw_input_contents.append(array.tobytes())
    for name in outputs:
        request.outputs.add(name=name)
    call = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    answer = v2.ModelInferResponse.FromString(await call(request.SerializeToString()))
    assert len(answer.raw_output_contents) == (0 if typed else len(answer.outputs))
    found = [
        np.asarray(output.contents.fp32_contents, np.float32)
        if typed
        else np.frombuffer(answer.raw_output_contents[place], np.float32)
        for place, output in enumerate(answer.outputs)
    ]
    return {output.name: array.reshape(output.shape) for output, array in zip(answer.outputs, found, strict=True)}


@pytest.mark.parametrize("model", WIDTHS)
async def test_no_rows_are_answered_with_none(model: str, serving: Any, without_rows: Callable[[str], Feeds]) -> None:
    sent = without_rows(model)
    expected = {name: (0, *width) for name, width in WIDTHS[model].items()}
    for typed in (False, True, False):  # the third has the layout of the first
        answer = await infer(serving, model, sent, typed=typed)
        assert {name: array.shape for name, array in answer.items()} == expected
    request = tfs.PredictRequest(
        model_spec=tfs.ModelSpec(name=model), inputs={name: encode_tensor(array) for name, array in sent.items()}
    )
    call = serving.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    predicted = tfs.PredictResponse.FromString(await call(request.SerializeToString())).outputs
    assert {name: decode_tensor(predicted[name], name).shape for name in predicted} == expected


async def test_listeners_without_pairs_have_their_vectors_still(serving: Any, feeds: Callable[..., Feeds]) -> None:
    sent = {name: array if name == "history" else array[:0] for name, array in feeds("ncf").items()}
    answer = await infer(serving, "ncf", sent, typed=False, outputs=("logit",))
    assert answer["logit"].shape == (0,)


async def test_requests_without_rows_are_counted_and_run_nothing(serving: Any) -> None:
    await infer(serving, "flat", {"x": np.zeros((0, 2, 2), np.float32)}, typed=False)
    call = serving.channel.unary_unary("/inference.GRPCInferenceService/ModelStatistics")
    request = v2.ModelStatisticsRequest(name="flat")
    (entry,) = v2.ModelStatisticsResponse.FromString(await call(request.SerializeToString())).model_stats
    assert (entry.inference_count, entry.execution_count) == (1, 0)
    assert (entry.inference_stats.success.count, entry.inference_stats.fail.count) == (1, 0)
