"""The graph of exact search: vectors and queries go in, the best rows come out. It holds no array, so one serves all.

The server has it as `server/audotics/server/retrieval/backends/top_k.onnx`, which
`python -m audotics.exporters.graphs.top_k FILE` writes; a test compares the two.
"""

from __future__ import annotations

import sys
from pathlib import Path

from onnx import ModelProto, TensorProto, checker, helper

from audotics.exporters.graphs.builder import IR_VERSION, OPSET


def top_k_model() -> ModelProto:
    """queries (q, d), vectors (n, d), bias (n,), k (1,) int64 -> scores (q, k), rows (q, k) int64, best first.

    Gemm is the matrix product with its second factor transposed and `bias` added to every row of it: -inf hides a
    vector. So the vectors need no second, transposed copy.
    """
    inputs = [
        helper.make_tensor_value_info("queries", TensorProto.FLOAT, ["q", "d"]),
        helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", "d"]),
        helper.make_tensor_value_info("bias", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("k", TensorProto.INT64, [1]),
    ]
    outputs = [
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["q", "k"]),
        helper.make_tensor_value_info("rows", TensorProto.INT64, ["q", "k"]),
    ]
    nodes = [
        helper.make_node("Gemm", ["queries", "vectors", "bias"], ["products"], transB=1),
        helper.make_node("TopK", ["products", "k"], ["scores", "rows"]),
    ]
    graph = helper.make_graph(nodes, "top_k", inputs, outputs)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="audotics")
    checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(top_k_model().SerializeToString(deterministic=True))
