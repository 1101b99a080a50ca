"""The bundle of the group model: one group a call, its members by their histories, as ONNX and SavedModel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from audotics.bundle.catalog import write_ids
from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.graphs.group import group_graph
from audotics.exporters.group_cases import group_cases
from audotics.exporters.prepared import GroupSource, Prepared, Source
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import write_formats
from audotics.features.tracks import TrackColumns
from audotics.models.group import GroupModel
from audotics.training.progress import Progress


def prepare(source: Source | GroupSource, folder: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export the model of a run; its rows are those of the groups' catalogue, or of a listening run's core."""
    with source.trained("group") as (trained, _):
        model = GroupModel.load(trained)
    match source:
        case GroupSource():
            tracks, histories = source.data.tracks, source.data.user_histories()
        case Source():
            tracks, histories = source.split.tracks, source.split.training
    prepared = prepare_model(model, tracks, histories, folder, progress=progress, formats=formats)
    return replace(prepared, metrics=prepared.metrics | source.metrics("group"))


def prepare_model(
    model: GroupModel,
    tracks: TrackColumns,
    histories: Sequence[NDArray[np.int32]],
    folder: Path,
    *,
    progress: Progress,
    formats: Formats = DEFAULT,
) -> Prepared:
    """Export `model`, whose rows are those of `tracks`; `histories` of real listeners are among the parity cases.

    It stays at float32 whatever is asked for: it runs once for a group and not once for each row of many requests.
    """
    group_graph(model).save(folder / MODEL_FILE)
    cases = group_cases(histories, n_tracks=model.n_tracks, taste_size=model.taste_size)
    written = write_formats(
        "group", model.run, folder, cases, formats=replace(formats, precision="float32"), progress=progress
    )
    write_warmup(folder, cases[0].feeds)
    write_ids(folder, tracks.ids)
    return written.noted(
        Prepared(
            "group",
            folder,
            framework="pytorch",
            catalog_fingerprint=tracks.fingerprint(),
            tools={"torch": torch.__version__},
        )
    )
