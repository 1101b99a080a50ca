"""The bundle of collaborative factors: fold-in as ONNX, and an index over the track vectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.catalog import write_ids
from audotics.evaluation.ranking import Histories, Scorer
from audotics.exporters.cases import history_cases
from audotics.exporters.errors import ExportError
from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.graphs.fold_in import fold_in_graph
from audotics.exporters.index import write_index
from audotics.exporters.parity import Run
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import Ranking, write_formats
from audotics.features.history import pad_histories
from audotics.models.collaborative import CollaborativeModel
from audotics.models.ials import IalsModel
from audotics.models.neighbours import NeighboursModel
from audotics.models.nmf import NmfModel
from audotics.training.factorisation import load_algorithm
from audotics.training.progress import Progress

Factors: TypeAlias = CollaborativeModel | IalsModel | NmfModel


def prepare(source: Source, folder: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export the collaborative model; its rows are those of the run's core."""
    with source.trained("collaborative") as (trained, record):
        model = load_algorithm(trained, record["options"])
    if isinstance(model, NeighboursModel):
        raise ExportError("collaborative: sparse neighbours have no vectors that an index could search")
    tracks, histories = source.split.tracks, source.split.training
    fold_in_graph(model, histories).save(folder / MODEL_FILE)
    cases = history_cases(histories, n_tracks=len(tracks))
    fold_in = as_function(model)
    written = write_formats(
        "collaborative",
        fold_in,
        folder,
        cases,
        formats=formats,
        progress=progress,
        view=lambda run: at_unit_length(run, fold_in),
        ranking=Ranking(lambda run: as_scorer(run, model), source.split.test),
    )
    write_warmup(folder, cases[0].feeds)
    write_ids(folder, tracks.ids)
    queries = written.exported.run(cases[0].feeds)["user_vector"]
    recall = write_index(folder, model.track_vectors, queries, progress=progress, title="collaborative index")
    return written.noted(
        Prepared(
            "collaborative",
            folder,
            framework="numpy",
            catalog_fingerprint=tracks.fingerprint(),
            metrics=source.metrics("collaborative") | recall,
        )
    )


def as_function(model: Factors) -> Run:
    """The trained model with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        return {"user_vector": model.user_vectors([row[row >= 0] for row in feeds["history"]])}

    return run


def as_scorer(run: Run, model: Factors) -> Scorer:
    """Scores of all tracks, with listeners' vectors by `run`."""

    def score(histories: Histories) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = run({"history": pad_histories(histories)})["user_vector"] @ model.track_vectors.T
        return vectors

    return score


def at_unit_length(run: Run, source: Run) -> Run:
    """The user vectors of `run` divided by the lengths of those of `source`.

    Scores are standardised over the catalogue, so a user vector is about as long as the root of the number of tracks,
    and so is what float32 rounds off. At unit length parity's limit means the same for any number of tracks.
    """

    def scaled(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        lengths = np.linalg.norm(source(feeds)["user_vector"], axis=1, keepdims=True)
        return {"user_vector": run(feeds)["user_vector"] / np.maximum(lengths, 1.0)}

    return scaled
