"""The bundle of the content embedding: ONNX, SavedModel, and an index over the embeddings of the whole catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.catalog import write_ids
from audotics.exporters.cases import content_cases
from audotics.exporters.exported import MODEL_FILE, ExportedModel
from audotics.exporters.graphs.content import write_content_graph
from audotics.exporters.index import write_index
from audotics.exporters.parity import Run, measure
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.saved_model import SavedModel, write_saved_model
from audotics.exporters.warmup import write_warmup
from audotics.features.content import ContentEncoder
from audotics.features.tracks import TrackColumns
from audotics.training.progress import Progress
from audotics.training.quiet import quiet_native_logs

if TYPE_CHECKING:
    import keras

_EMBEDDED_AT_ONCE: Final = 8_192
_QUERIES: Final = 100
_WARM_UP_TRACKS: Final = 16


def prepare(source: Source, folder: Path, progress: Progress) -> Prepared:
    """Export the network; its rows are those of the whole catalogue, so that tracks nobody has heard are served too."""
    with quiet_native_logs():
        import keras
        import tensorflow as tf

        from audotics.models.content import load

        with source.trained("content") as (trained, record):
            network = load(trained)
            encoder = ContentEncoder.from_json(record["encoder"])
        write_content_graph(network, folder / MODEL_FILE)
        write_saved_model(network, folder)
        saved = SavedModel(folder)
    exported = ExportedModel(folder / MODEL_FILE)
    cases = content_cases(encoder, source.tracks)
    parity = measure("content", as_function(network), exported.run, cases)
    saved_parity = measure("content (SavedModel)", as_function(network), saved.run, cases)
    write_warmup(folder, {name: value[:_WARM_UP_TRACKS] for name, value in cases[0].feeds.items()})
    write_ids(folder, source.tracks.ids)
    vectors = _embed(exported, encoder, source.tracks)
    queries = np.random.default_rng(0).permutation(vectors)[:_QUERIES]
    recall = write_index(folder, vectors, queries, progress=progress, title="content index")
    return Prepared(
        "content",
        folder,
        framework="keras",
        catalog_fingerprint=source.tracks.fingerprint(),
        inputs=exported.inputs,
        outputs=exported.outputs,
        metrics=source.metrics("content") | recall,
        parity=parity.to_json() | {"saved_model_max_abs_diff": saved_parity.max_abs_diff},
        preprocessing={"content_encoder": encoder.to_json()},
        tools={"keras": keras.__version__, "tensorflow": tf.__version__},
    )


def as_function(network: keras.Model) -> Run:
    """The trained network with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        embedding = network([feeds[value.name] for value in network.inputs], training=False)
        return {"embedding": np.asarray(embedding, np.float32)}

    return run


def _embed(model: ExportedModel, encoder: ContentEncoder, tracks: TrackColumns) -> NDArray[np.float32]:
    """Unit vectors (n, d) of all tracks, by the model that will embed tracks in service."""
    parts = []
    for start in range(0, len(tracks), _EMBEDDED_AT_ONCE):
        rows = np.arange(start, min(start + _EMBEDDED_AT_ONCE, len(tracks)))
        parts.append(model.run(encoder.encode(tracks.take(rows)).feeds())["embedding"])
    return np.concatenate(parts)
