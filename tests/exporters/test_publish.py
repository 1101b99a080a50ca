"""A run becomes bundles that the server takes, and a run that does not hold becomes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
import torch

from audotics.bundle.catalog import read_ids
from audotics.bundle.store import BundleStore
from audotics.exporters.errors import ExportError, ParityError
from audotics.exporters.exported import ExportedModel
from audotics.exporters.formats import Formats
from audotics.exporters.publish import export_run
from audotics.features.history import pad_histories
from audotics.server.repository.registry import Registry
from audotics.training.run import RunError

ALL_BUT_CONTENT = ("collaborative", "ncf", "hybrid")


@pytest.fixture
def store(tmp_path):
    return BundleStore(tmp_path / "repository")


def entries(store: BundleStore) -> list[str]:
    return sorted(path.name for path in store.root.iterdir())


def test_each_trained_kind_is_published_with_what_is_known_of_it(make_run, store, progress):
    run = make_run(ALL_BUT_CONTENT)

    bundles = export_run(run, store, progress=progress)

    assert [str(bundle) for bundle in bundles] == ["catalog/1", "collaborative/1", "ncf/1", "hybrid/1"]
    catalog, collaborative, ncf, hybrid = (bundle.manifest for bundle in bundles)
    assert {catalog.framework, collaborative.framework} == {"numpy"}
    assert {ncf.framework, hybrid.framework} == {"pytorch"}
    assert collaborative.metrics == {"hr@10": 0.4, "ndcg@10": 0.25, "recall@100": 1.0}
    assert catalog.catalog_fingerprint == hybrid.catalog_fingerprint == run.tracks().fingerprint()
    assert collaborative.catalog_fingerprint == ncf.catalog_fingerprint == run.split().tracks.fingerprint()
    assert hybrid.parts == {"catalog": 1, "collaborative": 1, "ncf": 1}
    assert ncf.parts == {}
    for manifest in (collaborative, ncf, hybrid):
        assert 0 <= manifest.parity["max_abs_diff"] <= manifest.parity["limit"] == 1e-4
        assert manifest.parity["cases"] >= 10
        assert {"model.onnx", "warmup.npz"} <= manifest.files.keys()
        assert [tensor.name for tensor in manifest.inputs]
        assert manifest.training_data == run.training_data
        assert {"audotics", "numpy", "onnx", "faiss"} <= manifest.tools.keys()
    assert ncf.tools["torch"] == torch.__version__
    assert progress.lines == [f"{kind}: left out, it is not trained in {run.path}" for kind in ("sequence", "content")]
    assert progress.stages["export"] == progress.stages["publish"] == 4


def test_formats_and_precision_are_as_asked_for_and_triton_is_told(make_run, store, progress):
    bundles = export_run(make_run(ALL_BUT_CONTENT), store, progress=progress, formats=Formats(False, "int8"))

    catalog, collaborative, ncf, hybrid = (bundle.manifest for bundle in bundles)
    assert (collaborative.precision, ncf.precision, hybrid.precision) == ("int8", "int8", "float32")
    assert {"ndcg@10", "ndcg@10_float32"} <= ncf.metrics.keys()
    for manifest in (collaborative, ncf, hybrid):
        assert "saved_model.pb" not in manifest.files
        assert f'name: "{manifest.name}"' in (store.root / manifest.name / "config.pbtxt").read_text()
    assert not (store.root / catalog.name / "config.pbtxt").exists()


def test_a_tenant_gets_models_of_its_own(make_run, store, progress):
    run = make_run(("ncf",))
    with pytest.raises(ExportError, match="'acme--eu' is no tenant"):
        export_run(run, store, progress=progress, tenant="acme--eu", formats=Formats(False))
    for version in (1, 2):
        (bundle,) = export_run(run, store, progress=progress, tenant="acme", formats=Formats(False))
        assert str(bundle) == f"acme--ncf/{version}"
        assert bundle.manifest.kind == "ncf"
    assert 'name: "acme--ncf"' in (store.root / "acme--ncf" / "config.pbtxt").read_text()
    assert store.models() == ["acme--ncf"]


def test_both_formats_are_written_and_compared(make_run, store, progress):
    _, ncf = export_run(make_run(("ncf",)), store, progress=progress)

    assert {"model.onnx", "saved_model.pb", "variables/variables.index"} <= ncf.manifest.files.keys()
    for name in ("max_abs_diff", "saved_model_max_abs_diff", "onnx_saved_model_max_abs_diff"):
        assert 0 <= ncf.manifest.parity[name] <= 1e-4
    assert ncf.manifest.precision == "float32"


def test_nothing_but_the_models_is_left_in_the_repository(make_run, store, progress):
    export_run(make_run(ALL_BUT_CONTENT), store, progress=progress)

    assert entries(store) == ["catalog", "collaborative", "hybrid", "ncf"]


def test_rows_of_the_models_are_named_by_track(make_run, store, progress):
    run = make_run(ALL_BUT_CONTENT)
    _, collaborative, ncf, _ = export_run(run, store, progress=progress)

    expected = run.tracks().ids[run.split().rows].tolist()
    assert read_ids(collaborative.path).tolist() == expected
    assert read_ids(ncf.path).tolist() == expected


def test_recorded_inputs_run_on_the_exported_models(make_run, store, progress):
    for bundle in export_run(make_run(ALL_BUT_CONTENT), store, progress=progress)[1:]:
        onnx.checker.check_model(str(bundle.file("model.onnx")))
        with np.load(bundle.file("warmup.npz"), allow_pickle=False) as recorded:
            outputs = ExportedModel(bundle.file("model.onnx")).run(dict(recorded))
        assert all(np.isfinite(values).all() and len(values) for values in outputs.values())


def test_a_second_export_adds_the_next_versions(make_run, store, progress):
    run = make_run(ALL_BUT_CONTENT)
    export_run(run, store, progress=progress, kinds=["catalog", "ncf"])

    bundles = export_run(run, store, progress=progress)

    assert [str(bundle) for bundle in bundles] == ["catalog/2", "collaborative/1", "ncf/2", "hybrid/1"]
    assert bundles[-1].manifest.parts == {"catalog": 2, "collaborative": 1, "ncf": 2}


async def test_the_server_takes_what_is_exported(make_run, make_ncf, store, progress):
    run = make_run(ALL_BUT_CONTENT)
    export_run(run, store, progress=progress)
    split = run.split()

    with ThreadPoolExecutor(1) as executor:
        async with Registry(store, executor=executor) as registry:
            await registry.start()
            snapshot = registry.snapshot
            assert snapshot.model_versions == (("collaborative", 1), ("hybrid", 1), ("ncf", 1))
            assert len(snapshot.catalog) == len(run.tracks())
            rows = split.rows[split.training[0]]
            heard = snapshot.ncf.rows.to_model(rows)
            logits = snapshot.ncf.pairs([heard], [np.arange(len(split.rows))]).logits()

    np.testing.assert_array_equal(heard, split.training[0])
    np.testing.assert_allclose(logits, make_ncf(len(split.rows)).scores([split.training[0]])[0], atol=1e-4)
    assert pad_histories([heard]).max() < len(split.rows)


def test_a_model_that_diverged_in_training_stops_the_whole_export(make_run, store, progress):
    run = make_run(ALL_BUT_CONTENT)
    path = run.folder("ncf") / "model.pt"
    state = torch.load(path, weights_only=True)
    state["second.weight"][0, 0] = torch.nan
    torch.save(state, path)

    with pytest.raises(ParityError, match=r"ncf: output 'logit' on .* is not finite in the trained model"):
        export_run(run, store, progress=progress)

    assert entries(store) == []


def test_a_failed_export_leaves_earlier_versions_alone(make_run, store, progress):
    run = make_run(ALL_BUT_CONTENT)
    export_run(run, store, progress=progress)
    (run.folder("hybrid") / "model.pt").write_bytes(b"no model")

    with pytest.raises(ExportError, match=r"hybrid: the trained model cannot be read .*audotics train hybrid"):
        export_run(run, store, progress=progress)

    assert entries(store) == ["catalog", "collaborative", "hybrid", "ncf"]
    assert all(store.versions(name) == [1] for name in store.models())


def test_an_untrained_run_says_which_command_trains_it(make_run, store, progress):
    run = make_run(())

    with pytest.raises(ExportError, match=f"nothing is trained .*audotics train all .*--output {run.path}"):
        export_run(run, store, progress=progress)
    assert not store.root.exists()


def test_asking_for_a_kind_that_is_not_trained_or_not_known(make_run, store, progress):
    run = make_run(("ncf",))

    with pytest.raises(ExportError, match=r"hybrid is not trained .*audotics train all"):
        export_run(run, store, progress=progress, kinds=["hybrid"])
    with pytest.raises(ExportError, match="unknown kind 'nfc'; known kinds: catalog, collaborative"):
        export_run(run, store, progress=progress, kinds=["nfc"])
    assert not store.root.exists()


def test_a_repository_that_is_a_file_is_named(make_run, store, progress):
    store.root.write_text("not a folder")

    with pytest.raises(ExportError, match=r"repository: is no folder; choose another --repository"):
        export_run(make_run(("ncf",)), store, progress=progress)


def test_a_run_whose_data_is_gone_is_named(make_run, store, progress):
    run = make_run(("ncf",))
    (run.path / "data" / "split.npz").unlink()

    with pytest.raises(RunError, match=r"run/data"):
        export_run(run, store, progress=progress)
    assert entries(store) == []
