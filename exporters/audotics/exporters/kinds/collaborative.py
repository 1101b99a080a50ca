"""The bundle of collaborative factors: fold-in as ONNX, and an index over the track vectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.catalog import write_ids
from audotics.exporters.cases import history_cases
from audotics.exporters.exported import MODEL_FILE, ExportedModel
from audotics.exporters.graphs.collaborative import collaborative_graph
from audotics.exporters.index import write_index
from audotics.exporters.parity import Run, measure
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.warmup import write_warmup
from audotics.models.collaborative import CollaborativeModel
from audotics.training.progress import Progress


def prepare(source: Source, folder: Path, progress: Progress) -> Prepared:
    """Export the collaborative model; its rows are those of the run's core."""
    with source.trained("collaborative") as (trained, record):
        model = CollaborativeModel.load(trained, record["options"])
    tracks, histories = source.split.tracks, source.split.training
    collaborative_graph(model).save(folder / MODEL_FILE)
    exported = ExportedModel(folder / MODEL_FILE)
    cases = history_cases(histories, n_tracks=len(tracks))
    fold_in = as_function(model)
    parity = measure("collaborative", at_unit_length(fold_in, fold_in), at_unit_length(exported.run, fold_in), cases)
    write_warmup(folder, cases[0].feeds)
    write_ids(folder, tracks.ids)
    queries = exported.run(cases[0].feeds)["user_vector"]
    recall = write_index(folder, model.track_vectors, queries, progress=progress, title="collaborative index")
    return Prepared(
        "collaborative",
        folder,
        framework="numpy",
        catalog_fingerprint=tracks.fingerprint(),
        inputs=exported.inputs,
        outputs=exported.outputs,
        metrics=source.metrics("collaborative") | recall,
        parity=parity.to_json(),
    )


def as_function(model: CollaborativeModel) -> Run:
    """The trained model with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        return {"user_vector": model.user_vectors([row[row >= 0] for row in feeds["history"]])}

    return run


def at_unit_length(run: Run, source: Run) -> Run:
    """The user vectors of `run` divided by the lengths of those of `source`.

    Scores are standardised over the catalogue, so a user vector is about as long as the root of the number of tracks,
    and so is what float32 rounds off. At unit length parity's limit means the same for any number of tracks.
    """

    def scaled(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        lengths = np.linalg.norm(source(feeds)["user_vector"], axis=1, keepdims=True)
        return {"user_vector": run(feeds)["user_vector"] / np.maximum(lengths, 1.0)}

    return scaled
