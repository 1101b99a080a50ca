"""A group model as a bundle in the small repository: a small graph with the inputs and outputs of the exported one.

That the exporter's own graph has them is tested beside it; to make one here would take PyTorch.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from audotics.bundle.catalog import write_ids
from audotics.bundle.manifest import Manifest, TensorSpec
from audotics.features.groups import GroupEvents, GroupInputs

N_TASTES = 4


def write_group_model(repository: Any, *, taste_size: int = 0, ids: Any = None) -> int:
    """Publish a group model that knows the four tastes, and return its version.

    A track is liked as its taste is among the members on average, and what the group did counts, too.
    `ids` name the tracks it knows, by default all of the catalogue.
    """
    known = repository.tracks.ids if ids is None else np.asarray(ids, object)
    row_of = {track_id: row for row, track_id in enumerate(repository.tracks.ids)}
    factors = np.eye(N_TASTES, dtype=np.float32)[repository.taste[[row_of[track_id] for track_id in known]]]
    store = repository.store
    version: int = store.next_version("group")
    with_taste = {"taste": ("float32", (-1, taste_size)), "has_taste": ("float32", (-1,))} if taste_size else {}
    inputs = {
        "member_history": ("int64", (-1, -1)),
        "known": ("float32", (-1, -1)),
        "event": ("int64", (-1,)),
        "event_weight": ("float32", (-1,)),
        "event_known": ("float32", (-1,)),
        "familiarity": ("float32", (-1,)),
        "candidate": ("int64", (-1,)),
        **with_taste,
    }
    outputs = {
        "score": (-1,),
        "weights": (-1, -1),
        "member_score": (-1, -1),
        "compatibility": (-1, -1),
        "group_compatibility": (1,),
    }
    manifest = Manifest(
        name="group",
        kind="group",
        version=version,
        framework="pytorch",
        created_at=datetime.now(UTC).isoformat(),
        catalog_fingerprint=repository.tracks.fingerprint() if ids is None else "other tracks",
        parts={},
        metrics={},
        parity={"max_abs_diff": 1e-6, "limit": 1e-4},
        inputs=tuple(TensorSpec(name, *spec) for name, spec in inputs.items()),
        outputs=tuple(TensorSpec(name, "float32", shape) for name, shape in outputs.items()),
    )
    with store.write(manifest) as path:
        _save(path / "model.onnx", factors, taste_size=taste_size)
        rows = np.arange(5)
        taste = np.zeros((2, taste_size), np.float32)
        feeds = GroupInputs.of([rows, rows[:2]], GroupEvents.of(rows[:1]), rows, taste=taste).feeds()
        np.savez(path / "warmup.npz", **feeds)
        write_ids(path, known)
    return version


def _save(path: Path, factors: NDArray[np.float32], *, taste_size: int) -> None:
    """score = mean of members' unit vectors · candidate + what the events add, each once for each repeated member."""
    padded = np.concatenate([factors, np.zeros((1, N_TASTES), np.float32)])
    constants = {
        "table": padded,
        "one": np.asarray([1], np.int64),
        "zero": np.asarray([0], np.int64),
        "tiny": np.asarray(1e-6, np.float32),
        "nothing": np.asarray(0.0, np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "member_history"], ["heard"], axis=0),
        node("ReduceSum", ["heard", "one"], ["raw"], keepdims=0),
        node("ReduceL2", ["raw"], ["length"], axes=[1], keepdims=1),
        node("Max", ["length", "tiny"], ["divisor"]),
        node("Div", ["raw", "divisor"], ["listeners"]),
        node("Gather", ["table", "candidate"], ["tracks"], axis=0),
        node("Transpose", ["tracks"], ["turned"]),
        node("MatMul", ["listeners", "turned"], ["linear"]),
        node("Mul", ["known", "nothing"], ["no_known"]),
        node("Add", ["linear", "no_known"], ["member_score"]),
        node("Softmax", ["member_score"], ["weights"], axis=0),
        node("ReduceMean", ["member_score"], ["mean"], axes=[0], keepdims=0),
        node("Gather", ["table", "event"], ["played"], axis=0),
        node("Unsqueeze", ["event_weight", "zero"], ["event_row"]),
        node("MatMul", ["event_row", "played"], ["event_vector"]),
        node("MatMul", ["event_vector", "turned"], ["of_events_row"]),
        node("Squeeze", ["of_events_row", "zero"], ["of_events"]),
        node("Sum", ["mean", "of_events"], ["liked"]),
        node("Mul", ["familiarity", "nothing"], ["no_familiarity"]),
        node("Mul", ["event_known", "nothing"], ["no_event_known"]),
        node("Sum", ["liked", "no_familiarity", "no_event_known"], ["score"]),
        node("Transpose", ["listeners"], ["turned_listeners"]),
        node("MatMul", ["listeners", "turned_listeners"], ["compatibility"]),
        node("ReduceMean", ["compatibility"], ["mean_row"], axes=[0], keepdims=0),
        node("ReduceMean", ["mean_row"], ["group_compatibility"], axes=[0], keepdims=1),
    ]
    inputs = {
        "member_history": (TensorProto.INT64, ["members", "length"]),
        "known": (TensorProto.FLOAT, ["members", "candidates"]),
        "event": (TensorProto.INT64, ["events"]),
        "event_weight": (TensorProto.FLOAT, ["events"]),
        "event_known": (TensorProto.FLOAT, ["candidates"]),
        "familiarity": (TensorProto.FLOAT, ["candidates"]),
        "candidate": (TensorProto.INT64, ["candidates"]),
    }
    if taste_size:
        inputs |= {
            "taste": (TensorProto.FLOAT, ["members", taste_size]),
            "has_taste": (TensorProto.FLOAT, ["members"]),
        }
    outputs = {
        "score": ["candidates"],
        "weights": ["members", "candidates"],
        "member_score": ["members", "candidates"],
        "compatibility": ["members", "members"],
        "group_compatibility": [1],
    }
    graph = helper.make_graph(
        nodes,
        "group",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
