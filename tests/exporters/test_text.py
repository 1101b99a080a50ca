"""The bundles of the text embeddings: TF-IDF and BERT as ONNX and SavedModel, with their index and vocabulary."""

from __future__ import annotations

import json

import faiss
import numpy as np
import pytest

from audotics.bundle.catalog import read_ids
from audotics.bundle.manifest import TensorSpec
from audotics.exporters.errors import ExportError, ParityError
from audotics.exporters.exported import ExportedModel
from audotics.exporters.graphs.bert import bert_graph
from audotics.exporters.kinds import bert, text
from audotics.exporters.parity import measure
from audotics.exporters.prepared import read_source
from audotics.exporters.saved_model import SavedModel
from audotics.features.text import TextEncoder, descriptions
from audotics.features.wordpiece import WordPiece
from audotics.models.bert import load_encoder
from audotics.models.text import TextOptions
from audotics.training.progress import Quiet
from audotics.training.text import encode_descriptions, train_text
from tests.tiny_bert import SIZE, VOCABULARY, write_tiny_bert


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_bert(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def source(make_run, tiny):
    """A run in which both text embeddings are in place."""
    run = make_run(())
    tracks = run.tracks()
    train_text(tracks, TextOptions(embedding_size=6), seed=0, progress=Quiet()).save(run.folder("text"))
    run.record("text", {"options": {}, "metrics": {"ndcg@10": 0.1}})
    encoder = load_encoder(str(tiny))
    encoder.save(run.folder("bert"))
    np.save(run.folder("bert") / "vectors.npy", encode_descriptions(encoder, tracks, progress=Quiet()))
    run.record("bert", {"options": {"encoder": "tiny"}})
    return read_source(run)


def test_the_text_bundle_embeds_in_both_formats(source, tmp_path, progress):
    prepared = text.prepare(source, tmp_path, progress)

    assert prepared.inputs == (TensorSpec("tokens", "int64", (-1, -1)),)
    assert prepared.outputs == (TensorSpec("embedding", "float32", (-1, 6)),)
    assert prepared.parity["max_abs_diff"] < 1e-5
    assert prepared.parity["saved_model_max_abs_diff"] < 1e-5
    assert prepared.metrics == {"ndcg@10": 0.1, "recall@100": 1.0}
    assert read_ids(tmp_path).tolist() == source.tracks.ids.tolist()
    encoder = TextEncoder.from_json(json.loads((tmp_path / prepared.preprocessing["text_encoder"]).read_text("utf-8")))
    feeds = {"tokens": encoder.encode(source.tracks).padded()}
    vectors = np.load(tmp_path / "vectors.npy")
    for model in (ExportedModel(tmp_path / "model.onnx"), SavedModel(tmp_path)):
        np.testing.assert_allclose(model.run(feeds)["embedding"], vectors, atol=1e-5)
    assert faiss.read_index(str(tmp_path / "index.faiss")).ntotal == len(source.tracks)


def test_the_bert_bundle_embeds_in_both_formats_by_its_own_vocabulary(source, tmp_path, progress):
    prepared = bert.prepare(source, tmp_path, progress)

    names = ("input_ids", "attention_mask")
    assert prepared.inputs == tuple(TensorSpec(name, "int64", (-1, -1)) for name in names)
    assert prepared.outputs == (TensorSpec("embedding", "float32", (-1, SIZE)),)
    assert prepared.parity["max_abs_diff"] < 1e-5
    assert prepared.parity["saved_model_max_abs_diff"] < 1e-5
    vocabulary = (tmp_path / "vocab.txt").read_text("utf-8").splitlines()
    assert tuple(vocabulary) == VOCABULARY
    wordpiece = WordPiece.from_json(prepared.preprocessing["wordpiece"], vocabulary)
    feeds = wordpiece.encode(descriptions(source.tracks)).feeds()
    vectors = np.load(tmp_path / "vectors.npy")
    for model in (ExportedModel(tmp_path / "model.onnx"), SavedModel(tmp_path)):
        np.testing.assert_allclose(model.run(feeds)["embedding"], vectors, atol=1e-5)
    assert prepared.preprocessing["encoder"] == "tiny"


def test_another_activation_is_exported_too(tmp_path, source):
    encoder = load_encoder(str(write_tiny_bert(tmp_path, activation="relu")))
    bert_graph(encoder).save(tmp_path / "relu.onnx")
    cases = bert.bert_cases(encoder.wordpiece, source.tracks)

    assert measure("bert", bert.as_function(encoder), ExportedModel(tmp_path / "relu.onnx").run, cases).cases == 6


def test_an_activation_that_is_not_known_is_refused(tmp_path):
    encoder = load_encoder(str(write_tiny_bert(tmp_path, activation="silu")))

    with pytest.raises(ExportError, match=r"activation is 'silu', and only gelu, relu can be exported"):
        bert_graph(encoder)


TEXT_EDGES = {
    "a track without a word": lambda tokens: (tokens < 0).all(axis=1),
    "a batch of one": lambda tokens: np.full(len(tokens), len(tokens) == 1),
    "the last token": lambda tokens: (tokens == tokens.max()).any(axis=1) & (tokens.shape[1] == 1),
}


@pytest.mark.parametrize("edge", TEXT_EDGES)
def test_a_text_export_that_is_wrong_on_one_edge_is_caught(source, edge):
    model = train_text(source.tracks, TextOptions(embedding_size=6), seed=0, progress=Quiet())
    right = text.as_function(model)

    def wrong(feeds):
        return {"embedding": right(feeds)["embedding"] + np.float32(0.01) * TEXT_EDGES[edge](feeds["tokens"])[:, None]}

    with pytest.raises(ParityError):
        measure("text", right, wrong, text.text_cases(model.encoder, source.tracks))


@pytest.mark.parametrize(
    ("kind", "prepare", "file"), [("text", text.prepare, "table.npy"), ("bert", bert.prepare, "vocab.txt")]
)
def test_a_model_that_lacks_a_file_is_named(source, tmp_path, progress, kind, prepare, file):
    (source.run.folder(kind) / file).unlink()

    with pytest.raises(ExportError, match=rf"{kind}: the trained model cannot be read .*train it again"):
        prepare(source, tmp_path, progress)
