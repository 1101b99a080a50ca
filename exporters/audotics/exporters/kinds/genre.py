"""The bundle of the genre classifier: features of tracks to probabilities of genres, as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import scipy
import sklearn
from numpy.typing import NDArray

from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.graphs.genre import genre_graph
from audotics.exporters.labelled_cases import FEATURES, labelled_cases
from audotics.exporters.parity import Run
from audotics.exporters.prepared import LabelSource, Prepared
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import write_formats
from audotics.models.genre import GenreModel, load
from audotics.training.progress import Progress


def prepare(source: LabelSource, out: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export the classifier. Raises ExportError when it cannot be read.

    At float16 all stays float32: features come in units of their own, of which half precision cannot hold all.
    """
    if formats.precision == "float16":
        formats = replace(formats, precision="float32")
    with source.trained("genre") as (trained, _):
        model = load(trained)
    onnx.save(genre_graph(model), str(out / MODEL_FILE))
    onnx.checker.check_model(str(out / MODEL_FILE), full_check=True)
    cases = labelled_cases(source.data)
    written = write_formats("genre", as_function(model), out, cases, formats=formats, progress=progress)
    write_warmup(out, {FEATURES: cases[0].feeds[FEATURES][:16]})
    return written.noted(
        Prepared(
            "genre",
            out,
            framework="scikit-learn",
            catalog_fingerprint="",  # it knows no rows of a catalogue
            metrics=source.metrics("genre"),
            preprocessing={"features": list(model.feature_names), "classes": list(model.class_names)},
            tools={"scikit-learn": sklearn.__version__, "scipy": scipy.__version__},
        )
    )


def as_function(model: GenreModel) -> Run:
    """The trained model with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        return {"probabilities": model.probabilities(feeds[FEATURES])}

    return run
