"""Arrays for every model of the small repository, and the models themselves as ONNX Runtime runs them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from audotics.bundle.manifest import Manifest
from audotics.bundle.store import BundleStore
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES

Feeds = dict[str, NDArray[Any]]
MODELS = ("collaborative", "content", "ncf", "hybrid")


class RepositoryFiles(Protocol):
    path: Path


@pytest.fixture
def feeds() -> Callable[..., Feeds]:
    """`feeds(model, *, rows=3, seed=0)`: valid inputs."""

    def make(model: str, *, rows: int = 3, seed: int = 0) -> Feeds:
        random = np.random.default_rng(seed)

        def floats(width: int) -> NDArray[np.float32]:
            return random.uniform(0.1, 1.0, (rows, width)).astype(np.float32)

        def numbers(most: int, *shape: int) -> NDArray[np.int64]:
            return random.integers(0, most, shape)

        if model == "collaborative":
            return {"history": numbers(200, rows, 1 + seed % 5)}
        if model == "content":
            return {"audio": floats(2 * len(AUDIO_FEATURES)), "tags": floats(9), "artist": numbers(64, rows)}
        if model == "ncf":
            history = numbers(200, 2, 1 + seed % 5)
            return {"history": history, "user_index": numbers(2, rows), "track": numbers(200, rows)}
        assert model == "hybrid"
        return {
            "components": floats(len(COMPONENTS)),
            "available": floats(len(COMPONENTS)),
            "context": floats(len(CONTEXT_FEATURES)),
        }

    return make


@pytest.fixture
def expected(repository: RepositoryFiles) -> Callable[[str, Feeds], Feeds]:
    """`expected(model, feeds)`: all outputs of version 1 by name, from the file itself."""
    sessions: dict[str, onnxruntime.InferenceSession] = {}

    def run(model: str, feeds: Feeds) -> Feeds:
        if model not in sessions:
            path = repository.path / model / "1" / "model.onnx"
            sessions[model] = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [node.name for node in sessions[model].get_outputs()]
        return dict(zip(names, sessions[model].run(names, feeds), strict=True))

    return run


@pytest.fixture
def write_classifier() -> Callable[[Path], Callable[[list[float]], NDArray[np.float32]]]:
    """`write_classifier(repository_path)` adds `mood`, of two features; what it returns says the probabilities."""

    def write(repository: Path) -> Callable[[list[float]], NDArray[np.float32]]:
        nodes = [helper.make_node("Softmax", ["features"], ["probabilities"], axis=-1)]
        shape = ["batch", 2]
        graph = helper.make_graph(
            nodes,
            "mood",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        preprocessing = {"features": ["energy", "valence"], "classes": ["chill", "happy"]}
        created_at = datetime.now(UTC).isoformat()
        manifest = Manifest("mood", "mood", 1, "numpy", created_at, "", preprocessing=preprocessing)
        with BundleStore(repository).write(manifest) as folder:
            onnx.save(model, folder / "model.onnx")
            np.savez(folder / "warmup.npz", features=np.zeros((4, 2), np.float32))
        return lambda row: np.exp(row) / np.exp(row).sum()

    return write
