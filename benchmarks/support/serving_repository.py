"""A repository of any size within a minute: sizes go in; synthetic tracks and exported, untrained models come out.

What the lists contain means nothing. How long a list takes depends on sizes and shapes alone, and those are the real
ones: the graphs and indexes are written by the exporters.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from audotics.bundle.catalog import Histories, write_histories, write_ids, write_tracks
from audotics.bundle.lengths import write_lengths
from audotics.bundle.manifest import Manifest
from audotics.bundle.store import BundleStore
from audotics.data.synthetic import synthetic
from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.graphs.collaborative import collaborative_graph
from audotics.exporters.graphs.content import write_content_graph
from audotics.exporters.graphs.hybrid import hybrid_graph
from audotics.exporters.graphs.ncf import ncf_graph
from audotics.exporters.index import write_index
from audotics.exporters.warmup import write_warmup
from audotics.features.content import ContentEncoder
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES
from audotics.models.collaborative import CollaborativeModel, CollaborativeOptions
from audotics.models.hybrid import Gate, HybridOptions
from audotics.models.ncf import Ncf
from audotics.training.progress import Quiet
from audotics.training.quiet import quiet_native_logs

DIMENSION: Final = 64
_QUERIES: Final = 100
_WARM_UP_ROWS: Final = 16


def write_repository(folder: Path, *, n_tracks: int, n_users: int, seed: int = 0) -> dict[str, list[str]]:
    """Write the five bundles; return the track ids of each listener's history, by user id."""
    dataset = synthetic(n_tracks=n_tracks, n_users=n_users, seed=seed)
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    tracks, heard = dataset.tracks, dataset.interactions.histories(n_users)
    store, fingerprint = BundleStore(folder), tracks.fingerprint()
    encoder = ContentEncoder.fit(tracks)

    def publish(kind: str, write: Callable[[Path], object], **fields: dict[str, Any]) -> None:
        created_at = datetime.now(UTC).isoformat()
        manifest = Manifest(kind, kind, 1, "none", created_at, fingerprint, **fields)  # type: ignore[arg-type]
        with store.write(manifest) as path:
            write(path)

    def catalog(path: Path) -> None:
        write_tracks(path, tracks)
        write_histories(
            path, Histories(dataset.user_ids, dataset.interactions.offsets(n_users), dataset.interactions.tracks)
        )

    def content(path: Path) -> None:
        with quiet_native_logs():
            from audotics.models.content import ContentOptions, build, encode

            network = build(encoder, ContentOptions(embedding_size=DIMENSION))
            inputs = encoder.encode(tracks)
            write_content_graph(network, path / MODEL_FILE)
            embeddings = encode(network, inputs)
        write_warmup(path, {name: value[:_WARM_UP_ROWS] for name, value in inputs.feeds().items()})
        write_lengths(path, embeddings.lengths)
        index(path, embeddings.vectors, random.permutation(embeddings.vectors)[:_QUERIES])
        vectors.append(embeddings.vectors)

    def collaborative(path: Path) -> None:
        noisy = vectors[0] + random.normal(0, 0.08, vectors[0].shape)
        factors = noisy.astype(np.float32) - noisy.mean(axis=0, dtype=np.float32)
        model = CollaborativeModel(factors, factors, CollaborativeOptions(rank=DIMENSION))
        collaborative_graph(model).save(path / MODEL_FILE)
        write_warmup(path, {"history": np.asarray([[0, 1, -1]], np.int64)})
        index(path, factors, model.user_vectors(heard[:_QUERIES]))

    def index(path: Path, vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> None:
        write_index(path, vectors, queries, progress=Quiet(), title="index", exact_tracks=min(50_000, n_tracks // 2))
        write_ids(path, tracks.ids)

    def ncf(path: Path) -> None:
        ncf_graph(Ncf(n_tracks, DIMENSION).eval()).save(path / MODEL_FILE)
        rows = np.arange(_WARM_UP_ROWS)
        write_warmup(
            path, {"history": np.asarray([[0, -1]], np.int64), "user_index": np.zeros_like(rows), "track": rows}
        )
        write_ids(path, tracks.ids)

    def hybrid(path: Path) -> None:
        hybrid_graph(Gate(HybridOptions().hidden).eval()).save(path / MODEL_FILE)
        scores = np.zeros((_WARM_UP_ROWS, len(COMPONENTS)), np.float32)
        situation = np.zeros((_WARM_UP_ROWS, len(CONTEXT_FEATURES)), np.float32)
        write_warmup(path, {"components": scores, "available": scores + 1, "context": situation})

    vectors: list[NDArray[np.float32]] = []
    publish("catalog", catalog)
    publish("content", content, preprocessing={"content_encoder": encoder.to_json()})
    publish("collaborative", collaborative)
    publish("ncf", ncf)
    publish("hybrid", hybrid)
    return {user: list(tracks.ids[rows]) for user, rows in zip(dataset.user_ids, heard, strict=True)}
