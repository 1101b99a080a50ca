"""The graph of the content embedding: a Keras network goes in, `model.onnx` comes out, by tf2onnx."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from audotics.exporters.graphs.builder import OPSET
from audotics.exporters.saved_model import serving_function

if TYPE_CHECKING:
    import keras


def write_content_graph(network: keras.Model, path: Path) -> None:
    """audio (batch, 22), tags (batch, t), artist (batch,) -> embedding (batch, d), length (batch,); artist is int64."""
    import tf2onnx

    serve = serving_function(network)
    model, _ = tf2onnx.convert.from_function(serve, input_signature=serve.input_signature, opset=OPSET)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    # Shapes that tf2onnx noted inside the graph carry another name for that axis; ONNX Runtime infers its own.
    del model.graph.value_info[:]
    onnx.save(model, str(path))
    onnx.checker.check_model(str(path), full_check=True)
