"""The deep model's bundle: preprocessing and network in one graph, beside the trained model and the SavedModel."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from audotics.bundle.catalog import read_histories, read_ids
from audotics.bundle.manifest import TensorSpec
from audotics.exporters.errors import ExportError, ParityError
from audotics.exporters.exported import ExportedModel
from audotics.exporters.formats import Formats
from audotics.exporters.kinds import deep
from audotics.exporters.parity import measure
from audotics.exporters.prepared import read_source
from audotics.exporters.saved_model import SavedModel
from audotics.features.deep import SideFeatures
from audotics.training.quiet import quiet_native_logs


@pytest.fixture
def source(make_run):
    """A run with an untrained deep model in place."""
    run = make_run(())
    split = run.split()
    with quiet_native_logs():
        import keras

        from audotics.models.deep import DeepModel, DeepOptions, build
        from audotics.training.deep import fit_preprocessing

        keras.utils.set_random_seed(1)
        options = DeepOptions(embedding_size=6, selected=9, components=4)
        features = SideFeatures.fit(split.tracks)
        rng = np.random.default_rng(0)
        preprocessing = fit_preprocessing(features, split.tracks, split.training, options, rng=rng)
        network = build(n_users=len(split.training), n_tracks=len(split.tracks), n_side=4, options=options)
        network.set_weights([rng.normal(0, 0.3, value.shape) for value in network.get_weights()])
        DeepModel(network, features, preprocessing).save(run.folder("deep"))
    run.record("deep", {"options": {}, "metrics": {"ndcg@10": 0.1}})
    return read_source(run)


def test_the_bundle_holds_one_graph_in_both_formats(source, tmp_path, progress):
    prepared = deep.prepare(source, tmp_path, progress)

    n_features = len(prepared.preprocessing["columns"])
    assert prepared.inputs == (
        TensorSpec("features", "float32", (-1, n_features)),
        TensorSpec("user", "int64", (-1,)),
        TensorSpec("track", "int64", (-1,)),
    )
    assert prepared.outputs == (TensorSpec("probability", "float32", (-1,)),)
    assert prepared.parity["max_abs_diff"] < 1e-5
    assert prepared.parity["saved_model_max_abs_diff"] < 1e-5
    assert prepared.metrics == {"ndcg@10": 0.1}
    assert prepared.framework == "keras"
    assert not any("sklearn" in entry.domain for entry in onnx.load(tmp_path / "model.onnx").opset_import)
    with np.load(tmp_path / "warmup.npz") as warmup:
        feeds = dict(warmup)
    probability = ExportedModel(tmp_path / "model.onnx").run(feeds)["probability"]
    np.testing.assert_allclose(SavedModel(tmp_path).run(feeds)["probability"], probability, atol=1e-5)
    assert probability.std() > 0.01


@pytest.mark.parametrize(("precision", "kept"), [("float16", "float32"), ("int8", "int8")])
def test_only_tables_become_smaller(source, tmp_path, progress, precision, kept):
    prepared = deep.prepare(source, tmp_path, progress, formats=Formats(saved_model=False, precision=precision))

    assert prepared.precision == kept
    assert prepared.parity["max_abs_diff"] <= prepared.parity["limit"]
    assert ("ndcg@10_float32" in prepared.metrics) == (kept == "int8")


def test_its_rows_are_named(source, tmp_path, progress):
    prepared = deep.prepare(source, tmp_path, progress)

    assert read_ids(tmp_path).tolist() == source.split.tracks.ids.tolist()
    listeners = read_histories(tmp_path)
    everybody = source.run.histories()
    whole = {
        user: set(everybody.rows[everybody.offsets[row] : everybody.offsets[row + 1]].tolist())
        for row, user in enumerate(everybody.user_ids)
    }
    assert len(listeners.user_ids) == prepared.preprocessing["unknown_user"] == len(source.split.training)
    assert len(set(listeners.user_ids)) < len(whole), "the core must lack listeners, or rows are not put to the test"
    for row, user in enumerate(listeners.user_ids):
        heard = listeners.rows[listeners.offsets[row] : listeners.offsets[row + 1]]
        np.testing.assert_array_equal(heard, source.split.training[row])
        assert set(source.split.rows[heard].tolist()) <= whole[user]


EDGES = {
    "no audio": lambda feeds: np.isnan(feeds["features"][:, :11]).all(axis=1),
    "an unknown listener": lambda feeds: feeds["user"] == feeds["user"].max(),
    "a batch of one": lambda feeds: np.full(len(feeds["user"]), len(feeds["user"]) == 1),
}


@pytest.mark.parametrize("edge", EDGES)
def test_an_export_that_is_wrong_on_one_edge_is_caught(source, edge):
    from audotics.models.deep import DeepModel

    model = DeepModel.load(source.run.folder("deep"))
    right = deep.as_function(model)

    def wrong(feeds):
        return {"probability": right(feeds)["probability"] + np.float32(0.01) * EDGES[edge](feeds)}

    with pytest.raises(ParityError):
        measure("deep", right, wrong, deep.deep_cases(model, source.split.tracks))


def test_a_damaged_model_is_named(source, tmp_path, progress):
    path = source.run.folder("deep") / "preprocessing.npz"
    path.write_bytes(path.read_bytes()[:100])

    with pytest.raises(ExportError, match=r"deep: the trained model cannot be read .*train it again"):
        deep.prepare(source, tmp_path, progress)
