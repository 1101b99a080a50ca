"""Exported graphs do what the trained models do, on any history and any scores."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from audotics.bundle.manifest import TensorSpec
from audotics.exporters.exported import ExportedModel
from audotics.exporters.graphs.collaborative import collaborative_graph
from audotics.exporters.graphs.hybrid import hybrid_graph
from audotics.exporters.graphs.ncf import ncf_graph
from audotics.exporters.kinds import collaborative, hybrid, ncf
from audotics.features.history import MAX_HISTORY, pad_histories
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES

N_TRACKS = 30

many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
histories = st.lists(st.lists(st.integers(0, N_TRACKS - 1), max_size=MAX_HISTORY), min_size=1, max_size=4)


def of_shape(rows: int, columns: int):
    return arrays.arrays(np.float32, (rows, columns), elements=st.floats(-20, 20, width=32, allow_subnormal=False))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module")
def exported_collaborative(folder, make_collaborative):
    model = make_collaborative(N_TRACKS)
    collaborative_graph(model).save(folder / "collaborative.onnx")
    return collaborative.as_function(model), ExportedModel(folder / "collaborative.onnx")


@pytest.fixture(scope="module", params=[N_TRACKS, N_TRACKS - 1], ids=["precomputed", "computed for each row"])
def exported_ncf(folder, make_ncf, request):
    model = make_ncf(N_TRACKS)
    ncf_graph(model, precomputed_tracks=request.param).save(folder / "ncf.onnx")
    return ncf.as_function(model), ExportedModel(folder / "ncf.onnx")


@pytest.fixture(scope="module")
def exported_gate(folder, gate):
    hybrid_graph(gate).save(folder / "hybrid.onnx")
    return hybrid.as_function(gate), ExportedModel(folder / "hybrid.onnx")


@many
@given(drawn=histories)
def test_listeners_are_folded_in_as_by_the_collaborative_model(exported_collaborative, drawn):
    source, exported = exported_collaborative
    feeds = {"history": pad_histories([np.asarray(history, np.int64) for history in drawn])}

    np.testing.assert_allclose(exported.run(feeds)["user_vector"], source(feeds)["user_vector"], rtol=0, atol=1e-5)


def test_a_history_of_padding_gives_the_zero_vector(exported_collaborative):
    _, exported = exported_collaborative

    vectors = exported.run({"history": np.asarray([[-1, -1], [4, -1]])})["user_vector"]

    assert (vectors[0] == 0).all()
    assert (vectors[1] != 0).all()


def test_scores_of_a_user_vector_are_those_of_the_model(exported_collaborative, make_collaborative):
    model = make_collaborative(N_TRACKS)
    vectors = exported_collaborative[1].run({"history": np.asarray([[3, 7, 12]])})["user_vector"]

    np.testing.assert_allclose(
        vectors @ model.track_vectors.T, model.scores([np.asarray([3, 7, 12])]), rtol=0, atol=1e-5
    )


@many
@given(drawn=histories, data=st.data())
def test_pairs_are_scored_as_by_ncf(exported_ncf, drawn, data):
    source, exported = exported_ncf
    pairs = st.tuples(st.integers(0, len(drawn) - 1), st.integers(0, N_TRACKS - 1))
    users, tracks = np.asarray(data.draw(st.lists(pairs, min_size=1, max_size=40)), np.int64).T
    feeds = {
        "history": pad_histories([np.asarray(history, np.int64) for history in drawn]),
        "user_index": np.ascontiguousarray(users),
        "track": np.ascontiguousarray(tracks),
    }

    result = exported.run(feeds)
    for name, expected in source(feeds).items():
        np.testing.assert_allclose(result[name], expected, rtol=0, atol=2e-5)


def test_logits_of_all_tracks_are_those_that_training_ranks_by(exported_ncf, make_ncf):
    history = np.asarray([1, 2, 5])
    feeds = {"history": history[None], "user_index": np.zeros(N_TRACKS, np.int64), "track": np.arange(N_TRACKS)}

    logits = exported_ncf[1].run(feeds)["logit"]

    np.testing.assert_allclose(logits, make_ncf(N_TRACKS).scores([history])[0], rtol=0, atol=2e-5)
    assert logits.std() > 0.1


@many
@given(
    components=of_shape(7, len(COMPONENTS)),
    available=arrays.arrays(np.bool_, (7, len(COMPONENTS))),
    context=of_shape(7, len(CONTEXT_FEATURES)),
)
def test_components_are_weighed_as_by_the_gate(exported_gate, components, available, context):
    source, exported = exported_gate
    feeds = {"components": components * available, "available": available.astype(np.float32), "context": context}

    result = exported.run(feeds)

    for name, expected in source(feeds).items():
        np.testing.assert_allclose(result[name], expected, rtol=1e-5, atol=1e-4)
    contributions = result["weights"] * feeds["components"]
    np.testing.assert_allclose(contributions.sum(axis=1), result["score"], rtol=1e-4, atol=1e-3)
    assert (result["weights"][~available] == 0).all()


def test_inputs_and_outputs_are_those_that_the_server_reads(exported_collaborative, exported_ncf, exported_gate):
    _, collaborative_model = exported_collaborative
    assert collaborative_model.inputs == (TensorSpec("history", "int64", (-1, -1)),)
    assert collaborative_model.outputs == (TensorSpec("user_vector", "float32", (-1, 8)),)
    _, ncf_model = exported_ncf
    assert ncf_model.inputs == (
        TensorSpec("history", "int64", (-1, -1)),
        TensorSpec("user_index", "int64", (-1,)),
        TensorSpec("track", "int64", (-1,)),
    )
    assert ncf_model.outputs == (TensorSpec("logit", "float32", (-1,)), TensorSpec("user_vector", "float32", (-1, 16)))
    _, gate_model = exported_gate
    assert gate_model.inputs == tuple(
        TensorSpec(name, "float32", (-1, len(columns)))
        for name, columns in (("components", COMPONENTS), ("available", COMPONENTS), ("context", CONTEXT_FEATURES))
    )
    assert gate_model.outputs == (
        TensorSpec("weights", "float32", (-1, len(COMPONENTS))),
        TensorSpec("score", "float32", (-1,)),
        TensorSpec("confidence", "float32", (-1,)),
    )


def test_axes_carry_the_names_of_the_contract(folder, exported_ncf):
    graph = onnx.load(folder / "ncf.onnx").graph
    axes = {value.name: [dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in graph.input}

    assert axes == {"history": ["users", "length"], "user_index": ["rows"], "track": ["rows"]}


def test_a_model_too_large_for_one_file_keeps_its_arrays_beside_it(tmp_path, make_collaborative):
    graph = collaborative_graph(make_collaborative(N_TRACKS))
    feeds = {"history": np.asarray([[3, 7, 12]])}
    graph.save(tmp_path / "whole.onnx")
    graph.save(tmp_path / "model.onnx", inline_limit_bytes=1000)

    assert (tmp_path / "model.onnx.data").stat().st_size > 900
    assert (tmp_path / "model.onnx").stat().st_size < (tmp_path / "whole.onnx").stat().st_size
    assert (tmp_path / "model.onnx.data").stat().st_mode == (tmp_path / "model.onnx").stat().st_mode
    expected = ExportedModel(tmp_path / "whole.onnx").run(feeds)["user_vector"]
    np.testing.assert_array_equal(ExportedModel(tmp_path / "model.onnx").run(feeds)["user_vector"], expected)
