"""The bundle of NCF: listeners by their histories and pairs of listener and track to a logit, as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audotics.bundle.catalog import write_ids
from audotics.evaluation.ranking import Histories, Scorer
from audotics.exporters.cases import ncf_cases
from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.graphs.ncf import ncf_graph
from audotics.exporters.parity import Run
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.quantization import TABLES
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import Ranking, write_formats
from audotics.features.history import pad_histories
from audotics.models.ncf import SCORED_AT_ONCE, Ncf
from audotics.training.progress import Progress


def prepare(source: Source, folder: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export NCF; its rows are those of the run's core."""
    with source.trained("ncf") as (trained, record):
        model = Ncf.load(trained, record["options"])
    tracks = source.split.tracks
    ncf_graph(model).save(folder / MODEL_FILE)
    cases = ncf_cases(source.split.training, n_tracks=len(tracks))
    written = write_formats(
        "ncf",
        as_function(model),
        folder,
        cases,
        formats=formats,
        progress=progress,
        ranking=Ranking(lambda run: as_scorer(run, n_tracks=len(tracks)), source.split.test),
        operators=TABLES,  # the server scores rows of many requests at once
    )
    write_warmup(folder, cases[0].feeds)
    write_ids(folder, tracks.ids)
    return written.noted(
        Prepared(
            "ncf",
            folder,
            framework="pytorch",
            catalog_fingerprint=tracks.fingerprint(),
            metrics=source.metrics("ncf"),
            tools={"torch": torch.__version__},
        )
    )


def as_function(model: Ncf) -> Run:
    """The trained network with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        history, users, tracks = (torch.from_numpy(feeds[name]) for name in ("history", "user_index", "track"))
        with torch.no_grad():
            gmf, mlp = model.listeners(history)
            logit = model.pairs(gmf[users], mlp[users], tracks)
            return {"logit": logit.numpy(), "user_vector": torch.cat([gmf, mlp], dim=1).numpy()}

    return run


def as_scorer(run: Run, *, n_tracks: int) -> Scorer:
    """Logits of all tracks by `run`."""

    def score(histories: Histories) -> NDArray[np.float32]:
        step = max(1, SCORED_AT_ONCE // n_tracks)
        parts = [_logits(run, histories[start : start + step], n_tracks) for start in range(0, len(histories), step)]
        return np.concatenate(parts)

    return score


def _logits(run: Run, histories: Histories, n_tracks: int) -> NDArray[np.float32]:
    listeners = np.arange(len(histories))
    feeds = {
        "history": pad_histories(histories),
        "user_index": np.repeat(listeners, n_tracks),
        "track": np.tile(np.arange(n_tracks), len(histories)),
    }
    return run(feeds)["logit"].reshape(len(histories), n_tracks)
