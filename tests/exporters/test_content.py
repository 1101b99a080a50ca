"""Keras: the content embedding as ONNX and SavedModel, and a run of all kinds in service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from audotics.bundle.catalog import read_ids
from audotics.bundle.manifest import TensorSpec
from audotics.bundle.store import BundleStore
from audotics.data.synthetic import synthetic
from audotics.exporters.cases import content_cases
from audotics.exporters.errors import ParityError
from audotics.exporters.exported import ExportedModel
from audotics.exporters.graphs.content import write_content_graph
from audotics.exporters.kinds.content import as_function
from audotics.exporters.parity import measure
from audotics.exporters.publish import export_run
from audotics.exporters.saved_model import SavedModel, write_saved_model
from audotics.features.audio import AudioScaler
from audotics.features.content import ContentEncoder
from audotics.server.repository.registry import Registry
from audotics.training.quiet import quiet_native_logs


@pytest.fixture(scope="module")
def tracks():
    return synthetic(n_tracks=120, n_users=60, seed=5, mean_history=12).tracks


@pytest.fixture(scope="module")
def encoder(tracks):
    fitted = ContentEncoder.fit(tracks, max_tags=12, artist_buckets=16)
    return ContentEncoder(AudioScaler.fit(tracks.audio), fitted.tag_vocabulary, 16)


@pytest.fixture(scope="module")
def network(encoder):
    with quiet_native_logs():
        import keras

        from audotics.models.content import ContentOptions, build

        keras.utils.set_random_seed(1)
        return build(encoder, ContentOptions(embedding_size=6), exponent=0.5)


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("content")
    write_content_graph(network, folder / "model.onnx")
    write_saved_model(network, folder)
    return folder


def test_onnx_and_saved_model_do_what_the_network_does(exported, network, encoder, tracks):
    cases = content_cases(encoder, tracks)
    for model in (ExportedModel(exported / "model.onnx"), SavedModel(exported)):
        assert measure("content", as_function(network), model.run, cases).max_abs_diff < 1e-5


def test_embeddings_are_unit_vectors_that_differ(exported, encoder, tracks):
    vectors = ExportedModel(exported / "model.onnx").run(encoder.encode(tracks).feeds())["embedding"]

    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors.std(axis=0).max() > 0.05


def test_the_onnx_graph_has_the_signature_that_the_server_reads(exported, encoder):
    model = ExportedModel(exported / "model.onnx")
    assert model.inputs == (
        TensorSpec("audio", "float32", (-1, 22)),
        TensorSpec("tags", "float32", (-1, len(encoder.tag_vocabulary))),
        TensorSpec("artist", "int64", (-1,)),
    )
    assert model.outputs == (TensorSpec("embedding", "float32", (-1, 6)), TensorSpec("length", "float32", (-1,)))
    graph = onnx.load(exported / "model.onnx").graph
    assert {value.type.tensor_type.shape.dim[0].dim_param for value in (*graph.input, *graph.output)} == {"batch"}


def test_the_saved_model_lies_where_tensorflow_serving_looks_and_keeps_the_names(exported):
    import tensorflow as tf

    assert (exported / "saved_model.pb").is_file()
    assert (exported / "variables" / "variables.index").is_file()
    signature = tf.saved_model.load(str(exported)).signatures["serving_default"]
    _, inputs = signature.structured_input_signature
    assert {name: (spec.shape[0], spec.dtype) for name, spec in inputs.items()} == {
        "audio": (None, tf.float32),
        "tags": (None, tf.float32),
        "artist": (None, tf.int64),
    }
    assert signature.structured_outputs.keys() == {"embedding", "length"}


CONTENT_EDGES = {
    "no audio": lambda feeds: ~feeds["audio"].any(axis=1),
    "no tags": lambda feeds: ~feeds["tags"].any(axis=1),
    "an unknown artist": lambda feeds: feeds["artist"] == 0,
    "a single track": lambda feeds: np.full(len(feeds["artist"]), len(feeds["artist"]) == 1),
}


@pytest.mark.parametrize("edge", CONTENT_EDGES)
def test_an_export_that_is_wrong_on_one_edge_is_caught(network, encoder, tracks, edge):
    source = as_function(network)

    def wrong(feeds):
        outputs = source(feeds)
        return outputs | {"embedding": outputs["embedding"] + 0.01 * CONTENT_EDGES[edge](feeds)[:, None]}

    with pytest.raises(ParityError):
        measure("content", source, wrong, content_cases(encoder, tracks))


async def test_a_run_of_every_kind_is_in_service(make_run, network, encoder, tracks, tmp_path, progress):
    from audotics.models.content import encode, save

    run = make_run(("collaborative", "ncf", "hybrid"))
    save(network, run.folder("content"))
    run.record("content", {"encoder": encoder.to_json(), "options": {}})
    store = BundleStore(tmp_path / "repository")

    bundles = export_run(run, store, progress=progress)

    assert [str(bundle) for bundle in bundles] == ["catalog/1", "collaborative/1", "content/1", "ncf/1", "hybrid/1"]
    content = bundles[2]
    assert read_ids(content.path).tolist() == run.tracks().ids.tolist()
    assert content.manifest.preprocessing == {"content_encoder": encoder.to_json()}
    assert 0 <= content.manifest.parity["saved_model_max_abs_diff"] <= 1e-4
    assert {"saved_model.pb", "variables/variables.index"} <= content.manifest.files.keys()
    assert {"keras", "tensorflow"} <= content.manifest.tools.keys()
    assert bundles[-1].manifest.parts == {"catalog": 1, "collaborative": 1, "content": 1, "ncf": 1}
    assert SavedModel(content.path).run(encoder.encode(tracks).feeds())["embedding"].shape == (120, 6)

    with ThreadPoolExecutor(1) as executor:
        async with Registry(store, executor=executor) as registry:
            await registry.start()
            snapshot = registry.snapshot
            assert snapshot.model_versions == (("collaborative", 1), ("content", 1), ("hybrid", 1), ("ncf", 1))
            assert snapshot.degraded == ()
            vectors, lengths = snapshot.content.vectors(np.arange(120)), snapshot.content.lengths_of(np.arange(120))
    expected = encode(network, encoder.encode(run.tracks()))
    np.testing.assert_allclose(vectors, expected.vectors, atol=1e-5)
    np.testing.assert_allclose(lengths, expected.lengths, atol=1e-5)
