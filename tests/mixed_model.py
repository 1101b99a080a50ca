"""A bundle with a tensor of every sort: texts, halves and whole numbers, as an ONNX file and as a SavedModel."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from audotics.bundle.manifest import Manifest, TensorSpec
from audotics.bundle.store import BundleStore

TABLE = np.arange(100, 110, dtype=np.int64)
INPUTS = (
    TensorSpec("half", "float16", (-1, 2)),
    TensorSpec("number", "int64", (-1,)),
    TensorSpec("text", "object", (-1,)),
)
OUTPUTS = (
    TensorSpec("doubled", "float16", (-1, 2)),
    TensorSpec("looked_up", "int64", (-1,)),
    TensorSpec("same", "object", (-1,)),
)


def mixed_feeds(rows: int = 3) -> dict[str, Any]:
    """Inputs that fit."""
    texts = np.empty(rows, object)
    texts[:] = ["Björk", "", "a\tb", "日本"][:rows] if rows <= 4 else [f"text {row}" for row in range(rows)]
    half = (np.arange(rows * 2, dtype=np.float16) / 4).reshape(rows, 2)
    return {"half": half, "number": np.arange(rows, dtype=np.int64) % len(TABLE), "text": texts}


def mixed_outputs(feeds: dict[str, Any]) -> dict[str, Any]:
    """What the model makes of them."""
    found = {"doubled": feeds["half"] * 2, "looked_up": TABLE[feeds["number"]]}
    return found | ({"same": feeds["text"]} if "text" in feeds else {})


def write_mixed_model(store: BundleStore, name: str = "mixed", *, saved_model: bool = False, texts: bool = True) -> int:
    """Publish the next version, as an ONNX file or with TensorFlow as a SavedModel; return its number.

    Without `texts` it has the other tensors only.
    """
    version = store.next_version(name)
    now = datetime.now(UTC).isoformat()
    n = None if texts else 2
    manifest = Manifest(name, "mixed", version, "numpy", now, "", inputs=INPUTS[:n], outputs=OUTPUTS[:n])
    with store.write(manifest) as folder:
        if saved_model:
            _write_saved_model(folder)
        else:
            onnx.save(_graph(n), folder / "model.onnx")
        feeds = mixed_feeds()
        recorded = feeds | {"text": feeds["text"].astype(np.str_)}
        np.savez(folder / "warmup.npz", **{spec.name: recorded[spec.name] for spec in INPUTS[:n]})
    return version


def _graph(n: int | None) -> Any:
    nodes = [
        helper.make_node("Add", ["half", "half"], ["doubled"]),
        helper.make_node("Gather", ["table", "number"], ["looked_up"]),
        helper.make_node("Identity", ["text"], ["same"]),
    ]

    def value(name: str, kind: int, *more: int) -> Any:
        return helper.make_tensor_value_info(name, kind, ["rows", *more])

    graph = helper.make_graph(
        nodes[:n],
        "mixed",
        [
            value("half", TensorProto.FLOAT16, 2),
            value("number", TensorProto.INT64),
            value("text", TensorProto.STRING),
        ][:n],
        [
            value("doubled", TensorProto.FLOAT16, 2),
            value("looked_up", TensorProto.INT64),
            value("same", TensorProto.STRING),
        ][:n],
        [numpy_helper.from_array(TABLE, "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _write_saved_model(folder: Path) -> None:
    import tensorflow as tf

    class Mixed(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.table = tf.Variable(TABLE)

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[
                tf.TensorSpec([None, 2], tf.float16, "half"),
                tf.TensorSpec([None], tf.int64, "number"),
                tf.TensorSpec([None], tf.string, "text"),
            ]
        )
        def serve(self, half: Any, number: Any, text: Any) -> dict[str, Any]:
            return {"doubled": half + half, "looked_up": tf.gather(self.table, number), "same": tf.identity(text)}

    model = Mixed()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
