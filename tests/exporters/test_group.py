"""The exported group model does what the trained one does, for any group, with and without texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audotics.bundle.catalog import read_ids
from audotics.bundle.manifest import TensorSpec
from audotics.exporters.errors import ExportError
from audotics.exporters.exported import MODEL_FILE, ExportedModel
from audotics.exporters.formats import Formats
from audotics.exporters.graphs.group import group_graph
from audotics.exporters.group_cases import group_cases
from audotics.exporters.kinds.group import prepare
from audotics.exporters.parity import measure
from audotics.exporters.prepared import read_source
from audotics.models.group import GroupModel
from audotics.training.group_run import GroupRun, GroupRunOptions
from tests.groups import two_tastes

N_TRACKS = 30
ONNX_ONLY = Formats(saved_model=False)


def make(n_tracks: int, *, taste_size: int = 0) -> GroupModel:
    torch.manual_seed(3)
    model = GroupModel(n_tracks, rank=6, embedding_size=4, taste_size=taste_size)
    with torch.no_grad():
        for values in (*model.parameters(), model.history_factors, model.track_factors, model.popularity):
            values.normal_(std=0.5)
        for factors in (model.history_factors, model.track_factors):
            factors[-1] = 0.0
        model.own[:] = (model.history_factors * model.track_factors).sum(dim=1)[:-1]
        model.familiarity_penalty.fill_(1.5)
        model.compatibility_range[:] = torch.tensor([0.2, 0.4])
    return model.eval()


@pytest.mark.parametrize("taste_size", [0, 5])
def test_every_case_agrees(tmp_path, taste_size):
    model = make(N_TRACKS, taste_size=taste_size)
    group_graph(model).save(tmp_path / MODEL_FILE)
    cases = group_cases([np.arange(7), np.arange(3, 12)], n_tracks=N_TRACKS, taste_size=taste_size)

    parity = measure("group", model.run, ExportedModel(tmp_path / MODEL_FILE).run, cases)

    assert parity.cases == len({case.name for case in cases}) >= 18
    assert parity.max_abs_diff < 2e-5


def test_cases_differ_enough_to_tell_models_apart():
    cases = group_cases([np.arange(7), np.arange(3, 12)], n_tracks=N_TRACKS, taste_size=0)
    model, other = make(N_TRACKS), make(N_TRACKS)
    with torch.no_grad():
        other.raw_influence += 1.0

    different = [np.abs(model.run(c.feeds)["score"] - other.run(c.feeds)["score"]).max() > 1e-3 for c in cases]

    assert sum(different) > len(cases) / 2


def test_inputs_and_outputs_are_those_of_the_contract(tmp_path):
    group_graph(make(N_TRACKS, taste_size=5)).save(tmp_path / MODEL_FILE)
    exported = ExportedModel(tmp_path / MODEL_FILE)

    assert set(exported.inputs) == {
        TensorSpec("member_history", "int64", (-1, -1)),
        TensorSpec("known", "float32", (-1, -1)),
        TensorSpec("event", "int64", (-1,)),
        TensorSpec("event_weight", "float32", (-1,)),
        TensorSpec("event_known", "float32", (-1,)),
        TensorSpec("familiarity", "float32", (-1,)),
        TensorSpec("candidate", "int64", (-1,)),
        TensorSpec("taste", "float32", (-1, 5)),
        TensorSpec("has_taste", "float32", (-1,)),
    }
    assert exported.outputs == (
        TensorSpec("score", "float32", (-1,)),
        TensorSpec("weights", "float32", (-1, -1)),
        TensorSpec("member_score", "float32", (-1, -1)),
        TensorSpec("compatibility", "float32", (-1, -1)),
        TensorSpec("group_compatibility", "float32", (1,)),
    )


@pytest.mark.parametrize("kind", ["groups", "listening"])
def test_a_trained_run_becomes_a_bundle(tmp_path, make_run, progress, kind):
    if kind == "groups":
        data = two_tastes()
        run, tracks = GroupRun.create_or_open(tmp_path / "run", data, GroupRunOptions()), data.tracks
    else:
        run = make_run([])
        tracks = run.split().tracks
    make(len(tracks)).save(run.folder("group"))
    run.record("group", {"options": {}})
    run.record_metrics("group", {"hr@5": 0.6})
    folder = tmp_path / "bundle"
    folder.mkdir()

    prepared = prepare(read_source(run), folder, progress, formats=ONNX_ONLY)

    assert (prepared.kind, prepared.framework) == ("group", "pytorch")
    assert prepared.metrics == {"hr@5": 0.6}
    assert prepared.parity["max_abs_diff"] < 2e-5
    assert prepared.catalog_fingerprint == tracks.fingerprint()
    assert list(read_ids(folder)) == list(tracks.ids)
    with np.load(folder / "warmup.npz", allow_pickle=False) as feeds:
        outputs = ExportedModel(folder / MODEL_FILE).run(dict(feeds))
    assert np.isfinite(outputs["score"]).all()


def test_a_model_that_cannot_be_read_says_how_to_train_it_again(tmp_path, make_run, progress):
    run = make_run([])
    (run.folder("group") / "model.pt").write_bytes(b"no model")
    run.record("group", {"options": {}})

    with pytest.raises(ExportError, match="train it again with `audotics train group"):
        prepare(read_source(run), tmp_path, progress, formats=ONNX_ONLY)
