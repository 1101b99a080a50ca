"""The bundle of the mood classifier: features of tracks to probabilities of eight moods, as ONNX and SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.labelled_cases import FEATURES, labelled_cases
from audotics.exporters.parity import Run
from audotics.exporters.prepared import LabelSource, Prepared
from audotics.exporters.saved_model import write_saved_model
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import write_formats
from audotics.training.progress import Progress
from audotics.training.quiet import quiet_native_logs

if TYPE_CHECKING:
    from audotics.models.mood import MoodModel


def prepare(source: LabelSource, out: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export the classifier. Raises ExportError when it cannot be read."""
    with quiet_native_logs():
        import keras

        from audotics.exporters.graphs.mood import mood_graph
        from audotics.models.mood import load

        with source.trained("mood") as (trained, _):
            model = load(trained)
        mood_graph(model).save(out / MODEL_FILE)
        if formats.saved_model:
            write_saved_model(model.network, out)
    cases = labelled_cases(source.data)
    written = write_formats("mood", as_function(model), out, cases, formats=formats, progress=progress)
    write_warmup(out, {FEATURES: cases[0].feeds[FEATURES][:16]})
    return written.noted(
        Prepared(
            "mood",
            out,
            framework="keras",
            catalog_fingerprint="",  # it knows no rows of a catalogue
            metrics=source.metrics("mood"),
            preprocessing={"features": list(model.feature_names), "classes": list(model.class_names)},
            tools={"keras": keras.__version__},
        )
    )


def as_function(model: MoodModel) -> Run:
    """The trained model with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        return {"probabilities": model.probabilities(feeds[FEATURES])}

    return run
