"""A repository of any size in seconds: sizes go in, synthetic tracks and untrained models of real shapes come out.

What the lists contain means nothing. How long a list takes depends on sizes and shapes alone, and those are the real
ones: a NeuMF tower of 128-64-32, embeddings of 64 numbers, inverted-file indexes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from audotics.bundle.catalog import Histories, write_histories, write_ids, write_tracks
from audotics.bundle.manifest import Manifest
from audotics.bundle.store import BundleStore
from audotics.data.synthetic import synthetic
from audotics.features.content import ContentEncoder
from audotics.features.tracks import TrackColumns

DIMENSION: Final = 64
_TOWER: Final = (128, 64, 32)
_LISTS: Final = 256
_PROBES: Final = 8
_ARTIST_BUCKETS: Final = 16_384
_F32, _I64 = TensorProto.FLOAT, TensorProto.INT64


@dataclass
class _Graph:
    """An ONNX graph under construction; nodes are named by their output."""

    random: np.random.Generator
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, name: str, value: NDArray[Any] | float | list[int]) -> str:
        array = np.asarray(value, np.float32 if isinstance(value, float) else None)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def weights(self, name: str, *shape: int) -> str:
        return self.constant(name, self.random.normal(0, shape[0] ** -0.5, shape).astype(np.float32))

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def sum_of_history(self, table: str, output: str) -> str:
        """`history` -> the sum of its rows of a table whose last row, which padding refers to, is zero."""
        heard = self.add("Gather", [table, "history"], f"{output}_heard", axis=0)
        return self.add("ReduceSum", [heard, "first_axis"], output, keepdims=0)

    def save(self, folder: Path, inputs: dict[str, tuple[int, list[Any]]], outputs: dict[str, list[Any]]) -> None:
        graph = helper.make_graph(
            self.nodes,
            "model",
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, _F32, shape) for name, shape in outputs.items()],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, str(folder / "model.onnx"))


def write_repository(folder: Path, *, n_tracks: int, n_users: int, seed: int = 0) -> dict[str, list[str]]:
    """Write the five bundles; return the track ids of each listener's history, by user id."""
    dataset = synthetic(n_tracks=n_tracks, n_users=n_users, seed=seed)
    random = np.random.default_rng(seed)
    tracks = dataset.tracks
    encoder = ContentEncoder.fit(tracks, artist_buckets=_ARTIST_BUCKETS)
    projection = _projection(encoder, random)
    embeddings = _unit(_embed(projection, encoder, tracks))
    factors = _unit(embeddings + random.normal(0, 0.08, embeddings.shape).astype(np.float32))
    histories = Histories(dataset.user_ids, dataset.interactions.offsets(n_users), dataset.interactions.tracks)

    def catalog(path: Path) -> None:
        write_tracks(path, tracks)
        write_histories(path, histories)

    _publish(folder, "catalog", tracks, catalog)
    _publish(folder, "collaborative", tracks, lambda path: _write_collaborative(path, factors, tracks, random))
    _publish(
        folder,
        "content",
        tracks,
        lambda path: _write_content(path, projection, embeddings, encoder, tracks, random),
        preprocessing={"content_encoder": encoder.to_json()},
    )
    _publish(folder, "ncf", tracks, lambda path: _write_ncf(path, factors, tracks, random))
    _publish(folder, "hybrid", tracks, lambda path: _write_hybrid(path, random))
    heard = (list(tracks.ids[rows]) for rows in dataset.interactions.histories(n_users))
    return dict(zip(dataset.user_ids, heard, strict=True))


def _publish(
    folder: Path, kind: str, tracks: TrackColumns, write: Callable[[Path], None], **fields: dict[str, Any]
) -> None:
    manifest = Manifest(
        name=kind,
        kind=kind,
        version=1,
        framework="numpy",
        created_at=datetime.now(UTC).isoformat(),
        catalog_fingerprint=tracks.fingerprint(),
        **fields,
    )
    with BundleStore(folder).write(manifest) as path:
        write(path)


def _projection(
    encoder: ContentEncoder, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    audio = random.normal(0, 0.2, (22, DIMENSION)).astype(np.float32)
    return audio, random.normal(0, 1.0, (len(encoder.tag_vocabulary), DIMENSION)).astype(np.float32)


def _embed(
    projection: tuple[NDArray[np.float32], NDArray[np.float32]], encoder: ContentEncoder, tracks: TrackColumns
) -> NDArray[np.float32]:
    audio, tags = projection
    chunks = []
    for start in range(0, len(tracks), 10_000):
        inputs = encoder.encode(tracks.take(np.arange(start, min(start + 10_000, len(tracks)))))
        chunks.append(inputs.audio @ audio + inputs.tags @ tags)
    return np.concatenate(chunks)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)).astype(np.float32)


def _write_index(path: Path, vectors: NDArray[np.float32], tracks: TrackColumns) -> None:
    np.save(path / "vectors.npy", vectors)
    lists = max(1, min(_LISTS, len(vectors) // 40))
    index = faiss.index_factory(vectors.shape[1], f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    index.nprobe = min(_PROBES, lists)
    faiss.write_index(index, str(path / "index.faiss"))
    write_ids(path, tracks.ids)


def _padded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([vectors, np.zeros((1, vectors.shape[1]), np.float32)])


def _write_collaborative(
    path: Path, factors: NDArray[np.float32], tracks: TrackColumns, random: np.random.Generator
) -> None:
    graph = _Graph(random)
    graph.constant("first_axis", [1])
    graph.constant("table", _padded(factors))
    graph.sum_of_history("table", "user_vector")
    graph.save(path, {"history": (_I64, ["batch", "length"])}, {"user_vector": ["batch", DIMENSION]})
    np.savez(path / "warmup.npz", history=np.asarray([[0, 1, -1]]))
    _write_index(path, factors, tracks)


def _write_content(
    path: Path,
    projection: tuple[NDArray[np.float32], NDArray[np.float32]],
    embeddings: NDArray[np.float32],
    encoder: ContentEncoder,
    tracks: TrackColumns,
    random: np.random.Generator,
) -> None:
    graph = _Graph(random)
    graph.constant("artists", np.zeros((encoder.artist_buckets, DIMENSION), np.float32))
    audio = graph.add("MatMul", ["audio", graph.constant("audio_weights", projection[0])], "of_audio")
    tags = graph.add("MatMul", ["tags", graph.constant("tag_weights", projection[1])], "of_tags")
    artist = graph.add("Gather", ["artists", "artist"], "of_artist", axis=0)
    graph.add("LpNormalization", [graph.add("Sum", [audio, tags, artist], "sum")], "embedding", axis=1, p=2)
    graph.save(
        path,
        {
            "audio": (_F32, ["batch", 22]),
            "tags": (_F32, ["batch", len(encoder.tag_vocabulary)]),
            "artist": (_I64, ["batch"]),
        },
        {"embedding": ["batch", DIMENSION]},
    )
    np.savez(path / "warmup.npz", **encoder.encode(tracks.take(np.arange(4))).feeds())
    _write_index(path, embeddings, tracks)


def _write_ncf(path: Path, factors: NDArray[np.float32], tracks: TrackColumns, random: np.random.Generator) -> None:
    graph = _Graph(random)
    graph.constant("first_axis", [1])
    graph.constant("table", _padded(factors))
    graph.weights("first_of_track", len(tracks), _TOWER[0])
    user = graph.sum_of_history("table", "user")
    of_row = graph.add("Gather", [user, "user_index"], "user_of_row", axis=0)
    item = graph.add("Gather", ["table", "track"], "item", axis=0)
    linear = graph.add("ReduceSum", [graph.add("Mul", [of_row, item], "gmf"), "first_axis"], "linear", keepdims=1)
    first = graph.add("MatMul", [user, graph.weights("first_of_user", DIMENSION, _TOWER[0])], "first")
    both = [
        graph.add("Gather", [first, "user_index"], "first_of_row", axis=0),
        graph.add("Gather", ["first_of_track", "track"], "first_of_item", axis=0),
    ]
    hidden, width = graph.add("Relu", [graph.add("Add", both, "product0")], "hidden0"), _TOWER[0]
    for layer, size in enumerate(_TOWER[1:], 1):
        product = graph.add("MatMul", [hidden, graph.weights(f"weights{layer}", width, size)], f"product{layer}")
        hidden, width = graph.add("Relu", [product], f"hidden{layer}"), size
    tower = graph.add("MatMul", [hidden, graph.weights("output", width, 1)], "tower")
    graph.add("Squeeze", [graph.add("Add", [linear, tower], "sum"), "first_axis"], "logit")
    graph.save(
        path,
        {"history": (_I64, ["users", "length"]), "user_index": (_I64, ["rows"]), "track": (_I64, ["rows"])},
        {"logit": ["rows"]},
    )
    np.savez(path / "warmup.npz", history=np.asarray([[0, -1]]), user_index=np.zeros(4, np.int64), track=np.arange(4))
    write_ids(path, tracks.ids)


def _write_hybrid(path: Path, random: np.random.Generator) -> None:
    graph = _Graph(random)
    graph.constant("first_axis", [1])
    everything = graph.add("Concat", ["components", "available", "context"], "everything", axis=1)
    first = graph.add("Relu", [graph.add("MatMul", [everything, graph.weights("w1", 15, 32)], "m1")], "h1")
    shares = graph.add("Softmax", [graph.add("MatMul", [first, graph.weights("w2", 32, 5)], "m2")], "shares", axis=1)
    weights = graph.add("Mul", [shares, "available"], "weights")
    parts = graph.add("Mul", [weights, "components"], "parts")
    graph.add("Sigmoid", [graph.add("ReduceSum", [parts, "first_axis"], "score", keepdims=0)], "confidence")
    graph.save(
        path,
        {name: (_F32, ["rows", 5]) for name in ("components", "available", "context")},
        {"weights": ["rows", 5], "score": ["rows"], "confidence": ["rows"]},
    )
    zeros = np.zeros((4, 5), np.float32)
    np.savez(path / "warmup.npz", components=zeros, available=zeros + 1, context=zeros)
