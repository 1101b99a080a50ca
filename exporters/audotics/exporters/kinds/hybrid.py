"""The bundle of the hybrid: its gate as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audotics.exporters.cases import hybrid_cases
from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.graphs.hybrid import hybrid_graph
from audotics.exporters.parity import Run
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import write_formats
from audotics.features.hybrid import HybridInputs
from audotics.models.hybrid import Gate
from audotics.training.progress import Progress


def prepare(source: Source, folder: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export the gate, which has no rows of its own.

    It stays at float32 whatever is asked for: it has a few kB to spare, and scores that float16 could not hold.
    """
    with source.trained("hybrid") as (trained, _):
        gate = Gate.load(trained)
    hybrid_graph(gate).save(folder / MODEL_FILE)
    cases = hybrid_cases(gate.scale.numpy())
    written = write_formats(
        "hybrid",
        as_function(gate),
        folder,
        cases,
        formats=replace(formats, precision="float32"),
        progress=progress,
    )
    write_warmup(folder, cases[0].feeds)
    return written.noted(
        Prepared(
            "hybrid",
            folder,
            framework="pytorch",
            catalog_fingerprint=source.tracks.fingerprint(),
            metrics=source.metrics("hybrid"),
            tools={"torch": torch.__version__},
        )
    )


def as_function(gate: Gate) -> Run:
    """The trained gate with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        weights, score, confidence = gate.rank(HybridInputs(feeds["components"], feeds["available"], feeds["context"]))
        return {"weights": weights, "score": score, "confidence": confidence}

    return run
