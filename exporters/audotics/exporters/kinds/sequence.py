"""The bundle of the sequence model: its followers and what scores them, as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.catalog import write_ids
from audotics.evaluation.ranking import Histories, Scorer
from audotics.exporters.cases import history_cases
from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.graphs.sequence import sequence_graph
from audotics.exporters.parity import Run
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import Ranking, write_formats
from audotics.features.history import pad_histories
from audotics.features.hybrid import RECENT_TRACKS
from audotics.models.sequence import SequenceModel
from audotics.training.progress import Progress


def prepare(source: Source, folder: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export the sequence model; its rows are those of the run's core."""
    with source.trained("sequence") as (trained, record):
        model = SequenceModel.load(trained, record["options"])
    tracks = source.split.tracks
    sequence_graph(model).save(folder / MODEL_FILE)
    cases = history_cases(source.split.training, n_tracks=len(tracks))
    written = write_formats(
        "sequence",
        as_function(model),
        folder,
        cases,
        formats=formats,
        progress=progress,
        ranking=Ranking(as_scorer, source.split.test),
    )
    write_warmup(folder, cases[0].feeds)
    write_ids(folder, tracks.ids)
    return written.noted(
        Prepared(
            "sequence",
            folder,
            framework="numpy",
            catalog_fingerprint=tracks.fingerprint(),
            metrics=source.metrics("sequence"),
        )
    )


def as_function(model: SequenceModel) -> Run:
    """The model with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        return {"scores": model.scores([row[row >= 0] for row in feeds["history"]])}

    return run


def as_scorer(run: Run) -> Scorer:
    """How likely every track is to come next, as `run` has it."""

    def score(histories: Histories) -> NDArray[np.float32]:
        return run({"history": pad_histories(histories, max_length=RECENT_TRACKS)})["scores"]

    return score
