"""The bundle of NCF: listeners by their histories and pairs of listener and track to a logit, as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audotics.bundle.catalog import write_ids
from audotics.exporters.cases import ncf_cases
from audotics.exporters.exported import MODEL_FILE, ExportedModel
from audotics.exporters.graphs.ncf import ncf_graph
from audotics.exporters.parity import Run, measure
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.warmup import write_warmup
from audotics.models.ncf import Ncf
from audotics.training.progress import Progress


def prepare(source: Source, folder: Path, progress: Progress) -> Prepared:
    """Export NCF; its rows are those of the run's core."""
    with source.trained("ncf") as (trained, record):
        model = Ncf.load(trained, record["options"])
    tracks = source.split.tracks
    ncf_graph(model).save(folder / MODEL_FILE)
    exported = ExportedModel(folder / MODEL_FILE)
    cases = ncf_cases(source.split.training, n_tracks=len(tracks))
    parity = measure("ncf", as_function(model), exported.run, cases)
    write_warmup(folder, cases[0].feeds)
    write_ids(folder, tracks.ids)
    return Prepared(
        "ncf",
        folder,
        framework="pytorch",
        catalog_fingerprint=tracks.fingerprint(),
        inputs=exported.inputs,
        outputs=exported.outputs,
        metrics=source.metrics("ncf"),
        parity=parity.to_json(),
        tools={"torch": torch.__version__},
    )


def as_function(model: Ncf) -> Run:
    """The trained network with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        history, users, tracks = (torch.from_numpy(feeds[name]) for name in ("history", "user_index", "track"))
        with torch.no_grad():
            gmf, mlp = model.listeners(history)
            return {"logit": model.pairs(gmf[users], mlp[users], tracks).numpy()}

    return run
