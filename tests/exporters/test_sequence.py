"""The exported sequence model does what the counted one does, on any history, and is published with what it needs."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audotics.bundle.catalog import read_ids
from audotics.bundle.manifest import TensorSpec
from audotics.exporters.cases import history_cases
from audotics.exporters.exported import ExportedModel
from audotics.exporters.formats import Formats
from audotics.exporters.graphs.sequence import sequence_graph
from audotics.exporters.kinds import sequence
from audotics.exporters.parity import measure
from audotics.exporters.prepared import read_source
from audotics.features.history import pad_histories
from audotics.models.sequence import SequenceModel, SequenceOptions, count_transitions

N_TRACKS = 30

histories = st.lists(st.lists(st.integers(0, N_TRACKS - 1), max_size=40), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def model() -> SequenceModel:
    rng = np.random.default_rng(0)
    heard = [rng.choice(N_TRACKS - 2, 12, replace=False) for _ in range(40)]
    return count_transitions(heard, N_TRACKS, SequenceOptions(window=4, neighbours=9))


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory) -> ExportedModel:
    path = tmp_path_factory.mktemp("sequence") / "model.onnx"
    sequence_graph(model).save(path)
    return ExportedModel(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=histories)
def test_histories_are_scored_as_by_the_model(exported, model, drawn):
    feeds = {"history": pad_histories([np.asarray(history, np.int64) for history in drawn])}

    expected = model.scores([np.asarray(history, np.int64) for history in drawn])
    np.testing.assert_allclose(exported.run(feeds)["scores"], expected, rtol=0, atol=1e-5)


def test_parity_holds_on_every_edge(exported, model):
    cases = history_cases([np.asarray([1, 2, 3])], n_tracks=N_TRACKS)

    assert measure("sequence", sequence.as_function(model), exported.run, cases).max_abs_diff < 1e-5


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_no_listener_and_no_history_are_scored(exported, model, shape):
    scores = exported.run({"history": np.zeros(shape, np.int64)})["scores"]
    np.testing.assert_array_equal(scores, np.zeros((shape[0], len(model)), np.float32))


def test_the_signature_is_what_the_server_reads(exported):
    assert exported.inputs == (TensorSpec("history", "int64", (-1, -1)),)
    assert exported.outputs == (TensorSpec("scores", "float32", (-1, N_TRACKS)),)


def test_a_run_s_model_is_prepared_with_its_rows(make_run, tmp_path, progress):
    run = make_run(("collaborative",))
    split = run.split()
    trained = count_transitions(split.training, len(split.tracks), SequenceOptions())
    trained.save(run.folder("sequence"))
    run.record("sequence", {"options": asdict(trained.options)})
    folder = tmp_path / "bundle"
    folder.mkdir()

    prepared = sequence.prepare(read_source(run), folder, progress, formats=Formats(False, "float32"))

    assert (prepared.kind, prepared.framework) == ("sequence", "numpy")
    assert prepared.catalog_fingerprint == split.tracks.fingerprint()
    assert list(read_ids(folder)) == list(split.tracks.ids)
    assert {path.name for path in folder.iterdir()} >= {"model.onnx", "warmup.npz"}
    scores = sequence.as_scorer(ExportedModel(folder / "model.onnx").run)(split.training[:3])
    np.testing.assert_allclose(scores, trained.scores(split.training[:3]), atol=1e-5)
