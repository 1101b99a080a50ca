"""The bundle of the content embedding: ONNX, SavedModel, and an index over the embeddings of the whole catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.catalog import write_ids
from audotics.bundle.lengths import write_lengths
from audotics.evaluation.ranking import Scorer
from audotics.exporters.cases import content_cases
from audotics.exporters.exported import MODEL_FILE, ExportedModel
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.graphs.content import write_content_graph
from audotics.exporters.index import write_index
from audotics.exporters.parity import Run
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.quantization import TABLES
from audotics.exporters.saved_model import write_saved_model
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import Ranking, write_formats
from audotics.features.content import ContentEncoder, Embeddings
from audotics.features.tracks import TrackColumns
from audotics.training.nearest import nearest
from audotics.training.progress import Progress
from audotics.training.quiet import quiet_native_logs

if TYPE_CHECKING:
    import keras

_EMBEDDED_AT_ONCE: Final = 8_192
_QUERIES: Final = 100
_WARM_UP_TRACKS: Final = 16


def prepare(source: Source, folder: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export the network; its rows are those of the whole catalogue, so that tracks nobody has heard are served too."""
    with quiet_native_logs():
        import keras

        from audotics.models.content import load

        with source.trained("content") as (trained, record):
            network = load(trained)
            encoder = ContentEncoder.from_json(record["encoder"])
        write_content_graph(network, folder / MODEL_FILE)
        if formats.saved_model:
            write_saved_model(network, folder)
    cases = content_cases(encoder, source.tracks)
    written = write_formats(
        "content",
        as_function(network),
        folder,
        cases,
        formats=formats,
        progress=progress,
        ranking=Ranking(lambda run: as_scorer(run, encoder, source.split.tracks), source.split.test),
        operators=TABLES,  # a track's embedding is the same whatever is embedded with it
    )
    exported = written.exported
    write_warmup(folder, {name: value[:_WARM_UP_TRACKS] for name, value in cases[0].feeds.items()})
    write_ids(folder, source.tracks.ids)
    embeddings = _embed(exported, encoder, source.tracks)
    write_lengths(folder, embeddings.lengths)
    queries = np.random.default_rng(0).permutation(embeddings.vectors)[:_QUERIES]
    recall = write_index(folder, embeddings.vectors, queries, progress=progress, title="content index")
    return written.noted(
        Prepared(
            "content",
            folder,
            framework="keras",
            catalog_fingerprint=source.tracks.fingerprint(),
            metrics=source.metrics("content") | recall,
            preprocessing={"content_encoder": encoder.to_json()},
            tools={"keras": keras.__version__},
        )
    )


def as_function(network: keras.Model) -> Run:
    """The trained network with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        outputs = network([feeds[value.name] for value in network.inputs], training=False)
        return {name: np.asarray(value, np.float32) for name, value in outputs.items()}

    return run


def as_scorer(run: Run, encoder: ContentEncoder, tracks: TrackColumns) -> Scorer:
    """How near every one of `tracks`, as `run` embeds them, is to what a listener heard."""
    outputs = run(encoder.encode(tracks).feeds())
    return nearest(Embeddings(outputs["embedding"], outputs["length"]))


def _embed(model: ExportedModel, encoder: ContentEncoder, tracks: TrackColumns) -> Embeddings:
    """All tracks, by the model that will embed tracks in service."""
    vectors, lengths = [], []
    for start in range(0, len(tracks), _EMBEDDED_AT_ONCE):
        rows = np.arange(start, min(start + _EMBEDDED_AT_ONCE, len(tracks)))
        outputs = model.run(encoder.encode(tracks.take(rows)).feeds())
        vectors.append(outputs["embedding"])
        lengths.append(outputs["length"])
    return Embeddings(np.concatenate(vectors), np.concatenate(lengths))
