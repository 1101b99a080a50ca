"""A bundle whose tensors are of every type and of unlike shapes: a number alone, a fixed shape, several free axes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from audotics.bundle.manifest import Manifest, TensorSpec
from audotics.bundle.store import BundleStore

DTYPES = (
    *("bool", "float16", "float32", "float64"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
SHAPES = {"alone": (), "cube": (-1, -1, -1), "fixed": (2, 3)}
TEXTS = {"texts": (-1, -1), "word": ()}
INPUTS = tuple(
    TensorSpec(name, dtype, shape)
    for name, dtype, shape in sorted(
        [
            *((f"of_{dtype}", dtype, (-1, 2)) for dtype in DTYPES),
            *((name, "float32", shape) for name, shape in SHAPES.items()),
            *((name, "object", shape) for name, shape in TEXTS.items()),
        ]
    )
)
OUTPUTS = tuple(TensorSpec(f"same_{spec.name}", spec.dtype, spec.shape) for spec in INPUTS)


def typed_feeds(rows: int = 3) -> dict[str, Any]:
    """The least and the largest number of every type, and what is none."""
    feeds: dict[str, Any] = {
        "alone": np.asarray(2.5, np.float32),
        "cube": np.arange(rows * 20, dtype=np.float32).reshape(rows, 4, 5),
        "word": np.asarray("naïve", object),
        "texts": np.asarray([["", "日本"]] * rows, object).reshape(rows, 2),
        "fixed": np.asarray([[1, -0.0, np.inf], [-np.inf, np.nan, 1e-45]], np.float32),
    }
    for dtype in DTYPES:
        limits = [0, 1] if dtype == "bool" else _limits(dtype)
        feeds[f"of_{dtype}"] = np.tile(np.asarray(limits, dtype), (rows, 1))
    return feeds


def _limits(dtype: str) -> list[Any]:
    of = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
    return [of.min, of.max]


def write_typed_model(store: BundleStore, name: str = "typed", *, saved_model: bool = False, texts: bool = True) -> int:
    """Publish the next version, which gives back what it is given; return its number. Without `texts` it has none."""
    version = store.next_version(name)
    now = datetime.now(UTC).isoformat()
    inputs = [spec for spec in INPUTS if texts or spec.dtype != "object"]
    outputs = tuple(spec for spec in OUTPUTS if texts or spec.dtype != "object")
    manifest = Manifest(name, "typed", version, "numpy", now, "", inputs=tuple(inputs), outputs=outputs)
    with store.write(manifest) as folder:
        if saved_model:
            _write_saved_model(folder)
        else:
            onnx.save(_graph(inputs), folder / "model.onnx")
        feeds = typed_feeds() | {"fixed": np.zeros((2, 3), np.float32)}
        recorded = {spec.name: feeds[spec.name] for spec in inputs}
        unicode = {name: array.astype(np.str_) for name, array in recorded.items() if array.dtype.hasobject}
        np.savez(folder / "warmup.npz", **(recorded | unicode))
    return version


def _graph(inputs: Sequence[TensorSpec]) -> Any:
    """Inputs and outputs stand in unlike orders."""

    def value(name: str, spec: TensorSpec) -> Any:
        axes = [size if size > 0 else f"{spec.name}_{axis}" for axis, size in enumerate(spec.shape)]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype)), axes)

    graph = helper.make_graph(
        [helper.make_node("Identity", [spec.name], [f"same_{spec.name}"]) for spec in inputs],
        "typed",
        [value(spec.name, spec) for spec in inputs],
        [value(f"same_{spec.name}", spec) for spec in reversed(inputs)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _write_saved_model(folder: Path) -> None:
    import tensorflow as tf

    class Typed(tf.Module):  # type: ignore[misc]
        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec(
                    [None if size < 0 else size for size in spec.shape],
                    tf.string if spec.dtype == "object" else spec.dtype,
                    spec.name,
                )
                for spec in INPUTS
            ]
        )
        def serve(self, *arrays: Any) -> dict[str, Any]:
            return {f"same_{spec.name}": tf.identity(array) for spec, array in zip(INPUTS, arrays, strict=True)}

    model = Typed()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
