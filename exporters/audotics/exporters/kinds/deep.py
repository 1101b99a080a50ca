"""The bundle of the deep model: listener, track and raw side features to a probability, preprocessing included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from audotics.bundle.catalog import Histories, write_histories, write_ids
from audotics.evaluation.ranking import Scorer
from audotics.exporters.errors import ExportError
from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.parity import Case, Run
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.quantization import TABLES
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import Ranking, write_formats
from audotics.features.tracks import TrackColumns
from audotics.training.progress import Progress
from audotics.training.quiet import quiet_native_logs
from audotics.training.run import Split

if TYPE_CHECKING:
    from audotics.models.deep import DeepModel

_ROWS: Final = 256
_PAIRS_AT_ONCE: Final = 50_000
_LOSS_LISTENERS: Final = 300
"""On whom the loss of a reduced precision is measured: each pair of a ranking goes through the whole graph."""

_SEED: Final = 20_170_403


def prepare(source: Source, folder: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export the deep model; rows of `track` are those of the run's core, rows of `user` those of `histories.arrow`.

    That file names the listeners whom the model knows, with what it learnt of each. At float16 all stays float32: the
    preprocessing, as skl2onnx writes it, cannot be cut to half precision, and raw values should not be.
    """
    if formats.precision == "float16":
        formats = replace(formats, precision="float32")
    with quiet_native_logs():
        import keras
        import skl2onnx
        import sklearn

        from audotics.exporters.graphs.deep import deep_graph
        from audotics.models.deep import DeepModel

        with source.trained("deep") as (trained, _):
            model = DeepModel.load(trained)
        onnx.save(deep_graph(model), str(folder / MODEL_FILE))
    onnx.checker.check_model(str(folder / MODEL_FILE), full_check=True)
    tracks = source.split.tracks
    cases = deep_cases(model, tracks)
    listeners = source.split.test.sample(_LOSS_LISTENERS, seed=_SEED)
    written = write_formats(
        "deep",
        as_function(model),
        folder,
        cases,
        formats=formats,
        progress=progress,
        ranking=Ranking(lambda run: as_scorer(run, model, source.split), listeners),
        operators=TABLES,  # the server scores rows of many requests at once
    )
    write_warmup(folder, cases[0].feeds)
    write_ids(folder, tracks.ids)
    write_histories(folder, core_histories(source))
    return written.noted(
        Prepared(
            "deep",
            folder,
            framework="keras",
            catalog_fingerprint=tracks.fingerprint(),
            metrics=source.metrics("deep"),
            preprocessing={
                "side_features": model.features.to_json(),
                "columns": list(model.features.names),
                "unknown_user": model.unknown_user,
                "unknown_track": model.unknown_track,
            },
            tools={
                "keras": keras.__version__,
                "scikit-learn": sklearn.__version__,
                "skl2onnx": skl2onnx.__version__,
            },
        )
    )


def as_function(model: DeepModel) -> Run:
    """The trained model with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        side = model.preprocessing.transform(feeds["features"])
        probability = model.network([feeds["user"], feeds["track"], side], training=False)
        return {"probability": np.asarray(probability, np.float32)}

    return run


def as_scorer(run: Run, model: DeepModel, split: Split) -> Scorer:
    """Probabilities of the core's tracks by `run`, for the listeners of the training part."""
    from audotics.models.deep import KnownListeners  # Keras, which whoever has a model has loaded already

    rows, features = np.arange(len(split.tracks)), model.features.encode(split.tracks)

    def score(users: NDArray[np.int64]) -> NDArray[np.float32]:
        feeds = {"user": np.repeat(users, len(rows)), "track": np.tile(rows, len(users))}
        pairs = run({**feeds, "features": np.tile(features, (len(users), 1))})
        return pairs["probability"].reshape(len(users), len(rows))

    known = KnownListeners(split.training, model.unknown_user)
    step = max(1, _PAIRS_AT_ONCE // len(rows))
    return lambda heard: np.concatenate(
        [score(known.rows(heard[start : start + step])) for start in range(0, len(heard), step)]
    )


def deep_cases(model: DeepModel, tracks: TrackColumns) -> list[Case]:
    """Cases with the inputs of the export; `tracks` are those that the rows of `track` stand for."""
    rng = np.random.default_rng(_SEED)
    features = model.features.encode(tracks)

    def case(name: str, track: NDArray[np.int64], user: NDArray[np.int64], side: NDArray[np.float32]) -> Case:
        return Case(name, {"user": user, "track": track, "features": side})

    rows, users = rng.integers(0, len(tracks), _ROWS), rng.integers(0, model.unknown_user, _ROWS)
    known = features[rows]
    nobody, nothing = np.full(_ROWS, model.unknown_user), np.full(_ROWS, model.unknown_track)
    silent, untagged, loud = known.copy(), known.copy(), known.copy()
    audio = slice(0, model.features.names.index("audio known"))
    silent[:, audio] = np.nan
    untagged[:, audio.stop + 1 :] = 0.0
    loud[:, audio] = np.where(np.isnan(loud[:, audio]), np.nan, rng.normal(0, 100, loud[:, audio].shape))
    return [
        case("pairs of the training data", rows, users, known),
        case("a batch of one", rows[:1], users[:1], known[:1]),
        case("the first and the last rows", np.asarray([0, len(tracks) - 1]), users[:2], known[:2]),
        case("an unknown listener", rows, nobody, known),
        case("an unknown track", nothing, users, known),
        case("nobody and nothing known", nothing, nobody, known),
        case("no audio", rows, users, silent),
        case("no tags", rows, users, untagged),
        case("audio far from that of training", rows, users, loud),
    ]


def core_histories(source: Source) -> Histories:
    """The training histories of the core's listeners, in the order of the model's rows, as rows of the core.

    Raises ExportError when they cannot be told, which a changed run folder alone brings about.
    """
    everybody, training = source.run.histories(), source.split.training
    in_core = np.zeros(len(source.tracks), np.bool_)
    in_core[source.split.rows] = True
    sums = np.concatenate([[0], np.cumsum(in_core[everybody.rows])])
    kept = sums[everybody.offsets[1:]] - sums[everybody.offsets[:-1]] >= source.run.options["k_core"]
    # A k-core holds exactly the listeners with k of its tracks; without one, everybody.
    users = np.flatnonzero(kept) if source.run.options["k_core"] > 1 else np.arange(len(kept))
    if len(users) != len(training):
        raise ExportError(
            f"{source.run.path}: its histories name {len(users)} listeners of the core, and its split {len(training)}; "
            "the run was changed, remove it and train again"
        )
    offsets = np.cumsum([0, *(len(history) for history in training)])
    return Histories(everybody.user_ids[users], offsets.astype(np.int64), np.concatenate(training).astype(np.int32))
