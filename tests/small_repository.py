"""A small, complete repository of real bundles, made with NumPy, ONNX and FAISS.

The catalogue has four tastes. Tracks of a taste share artists, a genre and a sound, and every listener hears one taste,
so what each model should recommend is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from audotics.bundle.catalog import Histories, write_histories, write_ids, write_tracks
from audotics.bundle.lengths import write_lengths
from audotics.bundle.manifest import Manifest, TensorSpec
from audotics.bundle.store import BundleStore
from audotics.features.audio import AUDIO_FEATURES, AudioScaler
from audotics.features.content import ContentEncoder
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES
from audotics.features.tracks import TagSets, TrackColumns

KINDS = ("catalog", "collaborative", "content", "ncf", "hybrid")
GENRE_OF_TASTE = ("rock", "jazz", "electronic", "classical")
DIMENSION = 16
HYBRID_WEIGHTS = (0.4, 0.25, 0.15, 0.1, 0.05, 0.05)


@dataclass(frozen=True)
class RepositoryFiles:
    """What a test needs to know of the repository it was given. `taste` is int64 (n,): the taste of each track."""

    path: Path
    store: BundleStore
    tracks: TrackColumns
    taste: NDArray[np.int64]
    histories: Histories
    versions: dict[str, int]

    def history(self, user_id: str) -> NDArray[np.int32]:
        """Catalogue rows that a training listener heard."""
        user = list(self.histories.user_ids).index(user_id)
        return self.histories.rows[self.histories.offsets[user] : self.histories.offsets[user + 1]]

    def ids_of_taste(self, taste: int) -> set[str]:
        return set(self.tracks.ids[self.taste == taste])


def write_repository(
    folder: Path,
    *,
    n_tracks: int = 200,
    n_users: int = 30,
    kinds: Sequence[str] = KINDS,
    other_rows: bool = False,
    seed: int = 7,
) -> RepositoryFiles:
    random = np.random.default_rng(seed)
    tracks, taste, histories = _catalogue(n_tracks, n_users, random)
    rows = random.permutation(n_tracks - 10) if other_rows else np.arange(n_tracks)
    known = tracks.take(rows)
    store = BundleStore(folder)
    writers: dict[str, Callable[[Path], dict[str, Any]]] = {
        "catalog": lambda path: _write_catalog(path, tracks, histories),
        "collaborative": lambda path: _write_collaborative(path, known, taste[rows], random),
        "content": lambda path: _write_content(path, known, random),
        "ncf": lambda path: _write_ncf(path, known, taste[rows], random),
        "hybrid": _write_hybrid,
    }
    versions: dict[str, int] = {}
    for kind in kinds:
        version = store.next_version(kind)
        manifest = Manifest(
            name=kind,
            kind=kind,
            version=version,
            framework="numpy",
            created_at=datetime.now(UTC).isoformat(),
            catalog_fingerprint=(tracks if kind in ("catalog", "hybrid") else known).fingerprint(),
            parts=dict(versions) if kind == "hybrid" else {},
            metrics={"ndcg@10": 0.25},
            parity={"max_abs_diff": 1e-6, "limit": 1e-4},
            **_signature(kind, known),
        )
        with store.write(manifest) as path:
            writers[kind](path)
        versions[kind] = version
    return RepositoryFiles(folder, store, tracks, taste, histories, versions)


def _catalogue(
    n_tracks: int, n_users: int, random: np.random.Generator
) -> tuple[TrackColumns, NDArray[np.int64], Histories]:
    taste = np.arange(n_tracks) % len(GENRE_OF_TASTE)
    sound = random.uniform(0.1, 0.9, (len(GENRE_OF_TASTE), len(AUDIO_FEATURES)))
    sound[0, AUDIO_FEATURES.index("energy")] = 0.95  # rock is loud, classical is calm: moods must tell them apart
    sound[3, AUDIO_FEATURES.index("energy")] = 0.05
    audio = np.clip(sound[taste] + random.normal(0, 0.05, (n_tracks, len(AUDIO_FEATURES))), 0, 1)
    audio[:, AUDIO_FEATURES.index("tempo")] = 60 + 100 * audio[:, AUDIO_FEATURES.index("energy")]
    audio[:, AUDIO_FEATURES.index("loudness")] = -30 + 25 * audio[:, AUDIO_FEATURES.index("energy")]
    audio[5, :] = np.nan
    plays = np.floor(1000.0 / (1 + random.permutation(n_tracks)))
    plays[n_tracks - 8 :] = 0
    artist = (np.arange(n_tracks) // 20) * 4 + taste
    tracks = TrackColumns.build(
        [f"t{row:03d}" for row in range(n_tracks)],
        titles=[f"Title {row:03d}" for row in range(n_tracks)],
        artists=[f"Artist {number:02d}" for number in artist],
        albums=[f"Album {number:02d}" for number in artist],
        tags=TagSets.from_lists(
            [[GENRE_OF_TASTE[t], f"taste {t}", *(["live"] if row % 10 == 0 else [])] for row, t in enumerate(taste)]
        ),
        audio=audio,
        release_years=1970 + np.arange(n_tracks) % 50,
        explicit=(np.arange(n_tracks) % 5 == 0).astype(np.int8),
        durations_ms=np.full(n_tracks, 200_000),
        popularity=(plays / max(plays.max(), 1.0)),
        plays=plays,
    )
    heard = []
    for user in range(n_users):
        mine = np.flatnonzero(taste[: n_tracks - 8] == user % len(GENRE_OF_TASTE))
        heard.append(random.choice(mine, size=12, replace=False))
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in heard])]).astype(np.int64)
    user_ids = np.asarray([f"u{user:02d}" for user in range(n_users)], object)
    return tracks, taste, Histories(user_ids, offsets, np.concatenate(heard).astype(np.int32))


def _signature(kind: str, tracks: TrackColumns) -> dict[str, Any]:
    f32, i64 = "float32", "int64"
    if kind == "collaborative":
        return {
            "inputs": (TensorSpec("history", i64, (-1, -1)),),
            "outputs": (TensorSpec("user_vector", f32, (-1, DIMENSION)),),
        }
    if kind == "content":
        encoder = _encoder(tracks)
        return {
            "inputs": (
                TensorSpec("audio", f32, (-1, 2 * len(AUDIO_FEATURES))),
                TensorSpec("tags", f32, (-1, len(encoder.tag_vocabulary))),
                TensorSpec("artist", i64, (-1,)),
            ),
            "outputs": (TensorSpec("embedding", f32, (-1, DIMENSION)), TensorSpec("length", f32, (-1,))),
            "preprocessing": {"content_encoder": encoder.to_json()},
        }
    if kind == "ncf":
        return {
            "inputs": (
                TensorSpec("history", i64, (-1, -1)),
                TensorSpec("user_index", i64, (-1,)),
                TensorSpec("track", i64, (-1,)),
            ),
            "outputs": (TensorSpec("logit", f32, (-1,)),),
        }
    if kind == "hybrid":
        return {
            "inputs": (
                TensorSpec("components", f32, (-1, len(COMPONENTS))),
                TensorSpec("available", f32, (-1, len(COMPONENTS))),
                TensorSpec("context", f32, (-1, len(CONTEXT_FEATURES))),
            ),
            "outputs": (
                TensorSpec("weights", f32, (-1, len(COMPONENTS))),
                TensorSpec("score", f32, (-1,)),
                TensorSpec("confidence", f32, (-1,)),
            ),
        }
    return {}


def _encoder(tracks: TrackColumns) -> ContentEncoder:
    fitted = ContentEncoder.fit(tracks, max_tags=16, artist_buckets=64)
    return ContentEncoder(AudioScaler.fit(tracks.audio), fitted.tag_vocabulary, 64)


def _taste_vectors(taste: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float32]:
    """Float32 (n, DIMENSION): noise around one axis a taste."""
    vectors = random.normal(0, 0.15, (len(taste), DIMENSION))
    vectors[np.arange(len(taste)), taste] += 1.0
    return vectors.astype(np.float32)


def _write_catalog(path: Path, tracks: TrackColumns, histories: Histories) -> None:
    write_tracks(path, tracks)
    write_histories(path, histories)


def _write_vectors(path: Path, vectors: NDArray[np.float32]) -> None:
    np.save(path / "vectors.npy", vectors)
    index = faiss.IndexHNSWFlat(vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)
    faiss.write_index(index, str(path / "index.faiss"))


def _mean_of_history(table: NDArray[np.float32]) -> tuple[list[Any], list[Any]]:
    """Nodes and constants: `history` -> `user`, the mean vector of a history; row -1, the last one, is zero."""
    padded = np.concatenate([table, np.zeros((1, table.shape[1]), np.float32)])
    constants = [
        numpy_helper.from_array(padded, "table"),
        numpy_helper.from_array(np.asarray(0, np.int64), "zero"),
        numpy_helper.from_array(np.asarray(1.0, np.float32), "one"),
        numpy_helper.from_array(np.asarray([1], np.int64), "axis"),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "history"], ["heard"], axis=0),
        helper.make_node("ReduceSum", ["heard", "axis"], ["sum"], keepdims=0),
        helper.make_node("GreaterOrEqual", ["history", "zero"], ["present"]),
        helper.make_node("Cast", ["present"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ones", "axis"], ["count"], keepdims=1),
        helper.make_node("Max", ["count", "one"], ["divisor"]),
        helper.make_node("Div", ["sum", "divisor"], ["user"]),
    ]
    return nodes, constants


def _save_model(
    path: Path,
    nodes: list[Any],
    constants: list[Any],
    *,
    inputs: dict[str, tuple[int, list[Any]]],
    outputs: dict[str, list[Any]],
) -> None:
    graph = helper.make_graph(
        nodes,
        path.name,
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path / "model.onnx"))


def _write_collaborative(
    path: Path, tracks: TrackColumns, taste: NDArray[np.int64], random: np.random.Generator
) -> None:
    vectors = _taste_vectors(taste, random)
    nodes, constants = _mean_of_history(vectors)
    nodes.append(helper.make_node("Mul", ["user", "scale"], ["user_vector"]))
    constants.append(numpy_helper.from_array(np.asarray(2.0, np.float32), "scale"))
    _save_model(
        path,
        nodes,
        constants,
        inputs={"history": (TensorProto.INT64, ["batch", "length"])},
        outputs={"user_vector": ["batch", DIMENSION]},
    )
    _write_vectors(path, vectors)
    write_ids(path, tracks.ids)
    np.savez(path / "warmup.npz", history=np.asarray([[0, 1, 2], [3, -1, -1]], np.int64))


def _write_ncf(path: Path, tracks: TrackColumns, taste: NDArray[np.int64], random: np.random.Generator) -> None:
    nodes, constants = _mean_of_history(_taste_vectors(taste, random))
    nodes += [
        helper.make_node("Gather", ["user", "user_index"], ["user_of_row"], axis=0),
        helper.make_node("Gather", ["table", "track"], ["item"], axis=0),
        helper.make_node("Mul", ["user_of_row", "item"], ["product"]),
        helper.make_node("ReduceSum", ["product", "axis"], ["logit"], keepdims=0),
    ]
    _save_model(
        path,
        nodes,
        constants,
        inputs={
            "history": (TensorProto.INT64, ["users", "length"]),
            "user_index": (TensorProto.INT64, ["rows"]),
            "track": (TensorProto.INT64, ["rows"]),
        },
        outputs={"logit": ["rows"]},
    )
    write_ids(path, tracks.ids)
    np.savez(
        path / "warmup.npz",
        history=np.asarray([[0, 1, -1]], np.int64),
        user_index=np.zeros(4, np.int64),
        track=np.arange(4),
    )


def _write_content(path: Path, tracks: TrackColumns, random: np.random.Generator) -> None:
    encoder = _encoder(tracks)
    n_audio, n_tags = 2 * len(AUDIO_FEATURES), len(encoder.tag_vocabulary)
    constants = [
        numpy_helper.from_array(random.normal(0, 0.06, (n_audio, DIMENSION)).astype(np.float32), "audio_weights"),
        numpy_helper.from_array(random.normal(0, 0.3, (n_tags, DIMENSION)).astype(np.float32), "tag_weights"),
        numpy_helper.from_array(random.normal(0, 0.02, (64, DIMENSION)).astype(np.float32), "artists"),
    ]
    nodes = [
        helper.make_node("MatMul", ["audio", "audio_weights"], ["of_audio"]),
        helper.make_node("MatMul", ["tags", "tag_weights"], ["of_tags"]),
        helper.make_node("Gather", ["artists", "artist"], ["of_artist"], axis=0),
        helper.make_node("Sum", ["of_audio", "of_tags", "of_artist"], ["raw"]),
        helper.make_node("LpNormalization", ["raw"], ["embedding"], axis=1, p=2),
        helper.make_node("ReduceL2", ["raw"], ["norm"], axes=[1], keepdims=0),
        helper.make_node("Sqrt", ["norm"], ["length"]),
    ]
    _save_model(
        path,
        nodes,
        constants,
        inputs={
            "audio": (TensorProto.FLOAT, ["batch", n_audio]),
            "tags": (TensorProto.FLOAT, ["batch", n_tags]),
            "artist": (TensorProto.INT64, ["batch"]),
        },
        outputs={"embedding": ["batch", DIMENSION], "length": ["batch"]},
    )
    inputs = encoder.encode(tracks)
    audio_weights, tag_weights, artists = (numpy_helper.to_array(constant) for constant in constants)
    raw = inputs.audio @ audio_weights + inputs.tags @ tag_weights + artists[inputs.artist]
    norms = np.linalg.norm(raw, axis=1, keepdims=True)
    _write_vectors(path, (raw / norms).astype(np.float32))
    write_lengths(path, np.sqrt(norms[:, 0]).astype(np.float32))
    write_ids(path, tracks.ids)
    np.savez(path / "warmup.npz", audio=inputs.audio[:4], tags=inputs.tags[:4], artist=inputs.artist[:4])


def _write_hybrid(path: Path) -> None:
    constants = [
        numpy_helper.from_array(np.asarray(HYBRID_WEIGHTS, np.float32), "base"),
        numpy_helper.from_array(np.asarray([1], np.int64), "axis"),
        numpy_helper.from_array(np.zeros((len(CONTEXT_FEATURES), 1), np.float32), "of_context"),
    ]
    nodes = [
        helper.make_node("Mul", ["available", "base"], ["usable"]),
        helper.make_node("ReduceSum", ["usable", "axis"], ["total"], keepdims=1),
        helper.make_node("Div", ["usable", "total"], ["shares"]),
        helper.make_node("MatMul", ["context", "of_context"], ["shift"]),
        helper.make_node("Add", ["shares", "shift"], ["weights"]),
        helper.make_node("Mul", ["weights", "components"], ["parts"]),
        helper.make_node("ReduceSum", ["parts", "axis"], ["score"], keepdims=0),
        helper.make_node("Sigmoid", ["score"], ["confidence"]),
    ]
    width = len(COMPONENTS)
    _save_model(
        path,
        nodes,
        constants,
        inputs={
            "components": (TensorProto.FLOAT, ["rows", width]),
            "available": (TensorProto.FLOAT, ["rows", width]),
            "context": (TensorProto.FLOAT, ["rows", len(CONTEXT_FEATURES)]),
        },
        outputs={"weights": ["rows", width], "score": ["rows"], "confidence": ["rows"]},
    )
    np.savez(
        path / "warmup.npz",
        components=np.zeros((4, width), np.float32),
        available=np.ones((4, width), np.float32),
        context=np.zeros((4, len(CONTEXT_FEATURES)), np.float32),
    )
