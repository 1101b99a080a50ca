"""A bundle of a model that counts: it gives back its numbers, after as many rounds of a loop as the largest of them.

So whoever calls it decides for how long it runs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from audotics.bundle.manifest import Manifest, TensorSpec
from audotics.bundle.store import BundleStore

FOR_EVER: Final = 2**60
"""Rounds that take thousands of years."""


def numbers(*values: int) -> dict[str, NDArray[Any]]:
    """Inputs."""
    return {"rounds": np.asarray(values, np.int64)}


def write_counting_model(store: BundleStore, name: str = "counting", *, recorded: int = 3) -> int:
    """Publish the next version and return its number. Warming it up takes `recorded` rounds."""
    version = store.next_version(name)
    now = datetime.now(UTC).isoformat()
    inputs, outputs = (TensorSpec("rounds", "int64", (-1,)),), (TensorSpec("counted", "int64", (-1,)),)
    manifest = Manifest(name, "counting", version, "numpy", now, "", inputs=inputs, outputs=outputs)
    with store.write(manifest) as folder:
        write_counting_graph(folder / "model.onnx")
        np.savez(folder / "warmup.npz", rounds=numbers(1, recorded)["rounds"])
    return version


def write_counting_graph(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    body = helper.make_graph(
        [helper.make_node("Identity", ["goes_on"], ["still"]), helper.make_node("Add", ["count", "one"], ["more"])],
        "round",
        [
            helper.make_tensor_value_info("place", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.INT64, []),
        ],
        [numpy_helper.from_array(np.int64(1), "one")],
    )
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["rounds"], ["most"], keepdims=0),
            helper.make_node("Loop", ["most", "yes", "nothing"], ["count"], body=body),
            helper.make_node("Mul", ["count", "nothing"], ["none"]),
            helper.make_node("Add", ["rounds", "none"], ["counted"]),
        ],
        "counting",
        [helper.make_tensor_value_info("rounds", TensorProto.INT64, ["rows"])],
        [helper.make_tensor_value_info("counted", TensorProto.INT64, ["rows"])],
        [numpy_helper.from_array(np.bool_(True), "yes"), numpy_helper.from_array(np.int64(0), "nothing")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def write_slow_constants(path: Path, *, products: int = 15, size: int = 1500) -> None:
    """A graph that ONNX Runtime computes most of when it opens it: products of matrices that depend on no input."""
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        [
            helper.make_node("Expand", ["one", "shape"], ["product0"]),
            *(
                helper.make_node("MatMul", [f"product{place}", "product0"], [f"product{place + 1}"])
                for place in range(products)
            ),
            helper.make_node("ReduceMax", [f"product{products}"], ["most"], keepdims=0),
            helper.make_node("Add", ["x", "most"], ["y"]),
        ],
        "constants",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows"])],
        [
            numpy_helper.from_array(np.full((1, 1), 1e-3, np.float32), "one"),
            numpy_helper.from_array(np.asarray([size, size]), "shape"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def hang_on(path: Path, name: str, value: int, *, output: str) -> None:
    """Change the graph in `path`: it loops for ever where `value` is among the input `name`, and is else as it was."""
    model = onnx.load(path)
    for node in model.graph.node:
        for place, made in enumerate(node.output):
            if made == output:
                node.output[place] = f"{output}_before"
    body = helper.make_graph(
        [helper.make_node("Identity", ["goes_on"], ["still"]), helper.make_node("Identity", ["count"], ["more"])],
        "round",
        [
            helper.make_tensor_value_info("place", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("more", TensorProto.FLOAT, []),
        ],
    )
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.int64(value), "hang_value"),
            numpy_helper.from_array(np.int64(FOR_EVER), "hang_rounds"),
            numpy_helper.from_array(np.int64(0), "hang_not"),
            numpy_helper.from_array(np.float32(0), "hang_nothing"),
            numpy_helper.from_array(np.bool_(True), "hang_yes"),
        ]
    )
    model.graph.node.extend(
        [
            helper.make_node("Equal", [name, "hang_value"], ["hang_where"]),
            helper.make_node("Where", ["hang_where", "hang_rounds", "hang_not"], ["hang_each"]),
            helper.make_node("ReduceMax", ["hang_each"], ["hang_most"], keepdims=0),
            helper.make_node("Loop", ["hang_most", "hang_yes", "hang_nothing"], ["hang_done"], body=body),
            helper.make_node("Add", [f"{output}_before", "hang_done"], [output]),
        ]
    )
    onnx.save(model, path)
