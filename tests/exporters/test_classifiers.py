"""The classifiers' bundles: preprocessing in ONNX, parity in every format, and what the server reads of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from audotics.bundle.manifest import TensorSpec
from audotics.data.labelled import LabelledTracks
from audotics.exporters.errors import ExportError, ParityError
from audotics.exporters.exported import ExportedModel
from audotics.exporters.formats import Formats
from audotics.exporters.graphs.genre import genre_graph
from audotics.exporters.graphs.preprocessing import preprocessing_graph
from audotics.exporters.kinds import genre, mood
from audotics.exporters.labelled_cases import FEATURES, labelled_cases
from audotics.exporters.parity import measure
from audotics.exporters.prepared import LabelSource
from audotics.exporters.saved_model import SavedModel
from audotics.features.descriptors import DESCRIPTORS
from audotics.features.moods import MOODS
from audotics.models.boosted_trees import BoostedTrees
from audotics.models.genre import Experts, GenreModel, GenreOptions
from audotics.models.preprocessing import Preprocessing
from audotics.training.label_run import LabelRun, LabelRunOptions
from audotics.training.progress import Quiet
from audotics.training.quiet import quiet_native_logs
from tests.labelled import clouds, labelled

ONNX_ALONE = Formats(saved_model=False)
METRICS = {"accuracy": 0.8, "ece": 0.03}


def heavy_tailed() -> Any:
    """Three classes; two of the columns are logarithms to be taken, one is constant, and some values are unknown."""
    drawn = clouds(each=40)
    x = drawn.x.copy()
    x[:, 1], x[:, 4] = np.exp(x[:, 1]), 1e6 * np.exp(2 * x[:, 4])
    x[:, 5] = 7.0
    x[::9, 2] = np.nan
    return labelled(x, [drawn.class_names[label] for label in drawn.labels])


DATA = heavy_tailed()


@pytest.fixture(scope="module")
def genre_model() -> GenreModel:
    preprocessing = Preprocessing.fit(DATA.x, DATA.labels, selected=5, components=4)
    experts = Experts.fit(preprocessing.transform(DATA.x), DATA.labels, 3, GenreOptions(anchors=60), seed=0)
    return GenreModel(DATA.feature_names, DATA.class_names, preprocessing, experts, np.asarray([4.0, 3.0, 0.4]))


@pytest.fixture(scope="module")
def genre_model_with_trees(genre_model: GenreModel) -> GenreModel:
    trees = BoostedTrees.fit(np.tile(DATA.x, (6, 1)), np.tile(DATA.labels, 6), 3, rounds=30, seed=0)
    assert trees.depth > 2
    return replace(genre_model, pool=np.append(genre_model.pool, 1.5), trees=trees)


@pytest.fixture(scope="module")
def mood_data() -> Any:
    rng = np.random.default_rng(0)
    x = rng.normal(0.5, 0.2, (80, len(DESCRIPTORS))) * np.where(np.asarray(DESCRIPTORS) == "duration_ms", 2e5, 1.0)
    x[:, DESCRIPTORS.index("mode")] = np.nan
    x[:, DESCRIPTORS.index("key")] = rng.integers(0, 12, 80)
    x[::9, DESCRIPTORS.index("tempo")] = np.nan
    return labelled(x, ["Calm", "Energetic", "Happy", "Sad"] * 20, feature_names=DESCRIPTORS)


@pytest.fixture(scope="module")
def mood_model(mood_data: Any) -> Any:
    with quiet_native_logs():
        from audotics.models.mood import MoodModel, MoodOptions, build

    network = build(mood_data.x, DESCRIPTORS, MoodOptions(thresholds=3, hidden=4), members=5, seed=0)
    network.moods.get_layer("probabilities").temperature.assign(0.7)
    return MoodModel(network.moods, DESCRIPTORS)


def test_the_preprocessing_needs_no_scikit_learn_in_service(tmp_path: Path) -> None:
    preprocessing = Preprocessing.fit(DATA.x, DATA.labels, selected=5, components=4)
    graph = preprocessing_graph(preprocessing)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])

    assert {"Scaler", "ArrayFeatureExtractor", "MatMul"} <= {node.op_type for node in graph.graph.node}
    for case in labelled_cases(DATA):
        (found,) = session.run(None, dict(case.feeds))
        np.testing.assert_allclose(found, preprocessing.transform(case.feeds[FEATURES]), atol=2e-5, rtol=1e-5)


def test_cases_hold_what_may_come_in_service() -> None:
    cases = {case.name: case.feeds[FEATURES] for case in labelled_cases(DATA)}

    assert len(cases["a batch of one"]) == 1
    assert np.isnan(cases["nothing known"]).all()
    assert (np.isnan(cases["one unknown feature"]) >= np.eye(6, dtype=bool)).all()
    assert np.isnan(cases["holes"]).any()
    assert not np.isnan(cases["far from all tracks"]).any()
    assert {value.dtype for value in cases.values()} == {np.dtype(np.float32)}


def test_a_genre_bundle_holds_what_the_server_reads(genre_model: GenreModel, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    prepared = genre.prepare(trained(tmp_path, "genre", DATA, genre_model), out, Quiet(), formats=ONNX_ALONE)

    assert (prepared.kind, prepared.framework, prepared.metrics) == ("genre", "scikit-learn", METRICS)
    assert prepared.inputs == (TensorSpec("features", "float32", (-1, 6)),)
    assert prepared.outputs == (TensorSpec("probabilities", "float32", (-1, 3)),)
    assert prepared.preprocessing == {"features": list(DATA.feature_names), "classes": ["folk", "metal", "techno"]}
    assert prepared.parity["max_abs_diff"] < 1e-4
    assert {path.name for path in out.iterdir()} == {"model.onnx", "warmup.npz"}
    with np.load(out / "warmup.npz", allow_pickle=False) as warmup:
        assert ExportedModel(out / "model.onnx").run(dict(warmup))["probabilities"].shape == (16, 3)


def test_a_genre_bundle_with_trees_is_the_same_in_onnx_and_tensorflow(
    genre_model_with_trees: GenreModel, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    prepared = genre.prepare(trained(tmp_path, "genre", DATA, genre_model_with_trees), out, Quiet())

    assert prepared.inputs == (TensorSpec("features", "float32", (-1, 6)),)
    differences = {name: value for name, value in prepared.parity.items() if name.endswith("_diff")}
    assert {"max_abs_diff", "saved_model_max_abs_diff"} <= set(differences)
    assert max(differences.values()) < 1e-5


def test_at_half_precision_a_genre_bundle_stays_as_it_is(genre_model: GenreModel, tmp_path: Path) -> None:
    source = trained(tmp_path, "genre", DATA, genre_model)
    (tmp_path / "out").mkdir()
    prepared = genre.prepare(source, tmp_path / "out", Quiet(), formats=Formats(saved_model=False, precision="float16"))

    assert prepared.precision == "float32"
    assert prepared.parity["max_abs_diff"] < 1e-4


def test_all_columns_without_a_logarithm_are_exported_too(tmp_path: Path) -> None:
    data = clouds()
    preprocessing = Preprocessing.fit(data.x, data.labels)
    experts = Experts.fit(preprocessing.transform(data.x), data.labels, 3, GenreOptions(), seed=0)
    model = GenreModel(data.feature_names, data.class_names, preprocessing, experts, np.ones(3))
    onnx.save(genre_graph(model), str(tmp_path / "model.onnx"))

    assert np.isnan(preprocessing.floor).all()
    exported = ExportedModel(tmp_path / "model.onnx")
    assert measure("genre", genre.as_function(model), exported.run, labelled_cases(data)).max_abs_diff < 1e-4


def test_a_mood_bundle_is_the_same_in_keras_onnx_and_tensorflow(
    mood_model: Any, mood_data: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    prepared = mood.prepare(trained(tmp_path, "mood", mood_data, mood_model), out, Quiet())

    assert (prepared.kind, prepared.framework) == ("mood", "keras")
    assert prepared.preprocessing == {"features": list(DESCRIPTORS), "classes": list(MOODS)}
    assert prepared.inputs == (TensorSpec("features", "float32", (-1, 14)),)
    assert prepared.outputs == (TensorSpec("probabilities", "float32", (-1, 8)),)
    differences = {name: value for name, value in prepared.parity.items() if name.endswith("_diff")}
    assert set(differences) == {"max_abs_diff", "saved_model_max_abs_diff", "onnx_saved_model_max_abs_diff"}
    assert max(differences.values()) < 1e-5
    assert {"model.onnx", "saved_model.pb", "variables", "warmup.npz"} <= {path.name for path in out.iterdir()}
    x = mood_data.x[:4].astype(np.float32)
    found = SavedModel(out).run({"features": x})["probabilities"]
    np.testing.assert_allclose(found, mood_model.probabilities(x), atol=1e-5)


EDGES = {
    "a hole": lambda x: np.isnan(x).any(axis=1) & ~np.isnan(x).all(axis=1),
    "nothing known": lambda x: np.isnan(x).all(axis=1),
    "a single track": lambda x: np.full(len(x), len(x) == 1),
    "far away": lambda x: np.abs(np.nan_to_num(x[:, 0])) > 10,
}


@pytest.mark.parametrize("edge", EDGES)
def test_an_export_that_is_wrong_on_one_edge_is_caught(genre_model: GenreModel, edge: str) -> None:
    source = genre.as_function(genre_model)

    def wrong(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"probabilities": source(feeds)["probabilities"] + 0.01 * EDGES[edge](feeds[FEATURES])[:, None]}

    with pytest.raises(ParityError):
        measure("genre", source, wrong, labelled_cases(DATA))


@pytest.mark.parametrize("name", ["genre", "mood"])
def test_what_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    source, kind = trained(tmp_path, name, DATA, None), {"genre": genre, "mood": mood}[name]
    with pytest.raises(ExportError, match=rf"{name}: the trained model cannot be read .*; train it again"):
        kind.prepare(source, tmp_path, Quiet(), formats=ONNX_ALONE)


def trained(folder: Path, kind: str, data: LabelledTracks, model: Any) -> LabelSource:
    """A run on `data` in which `model`, if any, stands as the trained one."""
    run = LabelRun.create_or_open(folder / "run", data, LabelRunOptions())
    if model is not None:
        model.save(run.folder(kind))
    run.record(kind, {})
    run.record_metrics(kind, METRICS)
    return LabelSource(run, data)
