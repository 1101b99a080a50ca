"""The graph of the preprocessing: a fitted one goes in, ONNX that needs no scikit-learn comes out, by skl2onnx."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import compose
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

from audotics.exporters.graphs.builder import IR_VERSION, OPSET, GraphBuilder
from audotics.models.preprocessing import Preprocessing

FEATURES: Final = "features"
"""The input: float32 (batch, f), NaN where unknown."""

PREPROCESSED: Final = "preprocessed"
"""The output: float32 (batch, p)."""

_COMPLETED: Final = "completed"


def preprocessing_graph(preprocessing: Preprocessing) -> onnx.ModelProto:
    """FEATURES -> PREPROCESSED, to be joined with what works on it by `behind_preprocessing`."""
    scikit = to_onnx(
        preprocessing.pipeline(),
        initial_types=[(_COMPLETED, FloatTensorType([None, preprocessing.n_features]))],
        target_opset={"": OPSET, "ai.onnx.ml": 3},
    )
    (output,) = scikit.graph.output
    found = output.name
    for node in scikit.graph.node:
        node.output[:] = [PREPROCESSED if name == found else name for name in node.output]
    output.name = PREPROCESSED
    return _joined(_completion(preprocessing), scikit, at=_COMPLETED)


def behind_preprocessing(preprocessing: Preprocessing, model: onnx.ModelProto) -> onnx.ModelProto:
    """FEATURES, and what else `model` takes -> the outputs of `model`, whose input PREPROCESSED comes from FEATURES."""
    return _joined(preprocessing_graph(preprocessing), model, at=PREPROCESSED)


def model_of(graph: GraphBuilder) -> onnx.ModelProto:
    """The checked model that `graph` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        graph.save(path)
        return onnx.load(str(path))


def _completion(preprocessing: Preprocessing) -> onnx.ModelProto:
    """Takes logarithms and fills holes, as `Preprocessing.completed`."""
    graph = GraphBuilder("completion")
    value = graph.input(FEATURES, "float32", ["batch", preprocessing.n_features])
    unknown = graph.node("IsNaN", value)
    logged = ~np.isnan(preprocessing.floor)
    if logged.any():
        # Maximum and logarithm of columns where they are not taken must not warn or fail, so these get 1.
        floor = np.where(logged, preprocessing.floor, 1.0)
        raised = graph.node("Max", value, graph.constant(floor))
        share = graph.constant(logged.astype(np.float32))
        taken = graph.node("Mul", graph.node("Log", graph.node("Where", unknown, graph.constant(1.0), raised)), share)
        kept = graph.node("Mul", graph.node("Where", unknown, graph.constant(0.0), value), graph.constant(1.0 - logged))
        value = graph.node("Add", taken, kept)
    graph.node("Where", unknown, graph.constant(preprocessing.fill), value, to=_COMPLETED)
    graph.output(_COMPLETED, ["batch", preprocessing.n_features])
    return model_of(graph)


def _joined(first: onnx.ModelProto, second: onnx.ModelProto, *, at: str) -> onnx.ModelProto:
    """One graph of both, where the value `at` is an output of the first and an input of the second."""
    opsets = {entry.domain: entry.version for model in (first, second) for entry in model.opset_import}
    for model in (first, second):
        _use(model, opsets)
    joined = compose.merge_models(  # prefixes keep apart what both sides gave the same name
        compose.add_prefix(first, "first_", rename_inputs=False, rename_outputs=False),
        compose.add_prefix(second, "second_", rename_inputs=False, rename_outputs=False),
        io_map=[(at, at)],
    )
    _use(joined, opsets)
    return joined


def _use(model: onnx.ModelProto, opsets: dict[str, int]) -> None:
    model.ir_version = IR_VERSION
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, number) for domain, number in opsets.items())
