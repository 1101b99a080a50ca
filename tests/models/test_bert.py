"""BERT as an encoder: pooling, padding, what cannot be loaded, and disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from audotics.features.tracks import TagSets, TrackColumns
from audotics.models.bert import BertEncoder, EncoderError, load_encoder
from audotics.training.progress import Quiet
from audotics.training.text import encode_descriptions
from tests.tiny_bert import POSITIONS, SIZE, VOCABULARY, write_tiny_bert

TEXTS = ["indie rock by the a", "", "jazz"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> BertEncoder:
    return load_encoder(str(folder))


def test_vectors_are_means_over_the_tokens_at_unit_length(encoder: BertEncoder) -> None:
    pieces = encoder.wordpiece.encode(TEXTS[:1])
    with torch.no_grad():
        states = encoder.network.bert(torch.from_numpy(pieces.input_ids)).last_hidden_state[0].numpy()
    mean = states.mean(axis=0)

    np.testing.assert_allclose(encoder.vectors(TEXTS[:1])[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_padding_changes_nothing(encoder: BertEncoder) -> None:
    alone = np.concatenate([encoder.vectors([text]) for text in TEXTS])

    np.testing.assert_allclose(encoder.vectors(TEXTS), alone, atol=1e-6)
    assert np.abs(alone[0] - alone[2]).max() > 0.1


def test_texts_are_cut_where_the_network_ends(encoder: BertEncoder) -> None:
    assert encoder.wordpiece.max_tokens == POSITIONS
    assert encoder.vectors(["rock " * 100]).shape == (1, SIZE)


def test_it_comes_back_from_disk_alone(encoder: BertEncoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    loaded = BertEncoder.load(tmp_path)

    assert loaded.wordpiece == encoder.wordpiece
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors", ".txt"}
    np.testing.assert_array_equal(loaded.vectors(TEXTS), encoder.vectors(TEXTS))


def test_the_settings_of_the_tokenizer_are_kept(tmp_path: Path) -> None:
    wordpiece = load_encoder(str(write_tiny_bert(tmp_path, lower_case=False)), max_tokens=7).wordpiece

    assert (wordpiece.lower_case, wordpiece.strip_accents, wordpiece.max_tokens) == (False, False, 7)
    assert wordpiece.vocabulary == VOCABULARY


@pytest.mark.parametrize("name", ["no/such-encoder", "no-such-encoder"])
def test_what_is_not_there_says_how_to_get_it(name: str) -> None:
    with pytest.raises(EncoderError, match=rf"'{name}' cannot be loaded .*path of a folder.*hf download {name}"):
        load_encoder(name)


def test_a_tokenizer_of_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    tokenizer["normalizer"] = {"type": "NFC"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")

    with pytest.raises(EncoderError, match="not BERT's WordPiece"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("damage", ["model.safetensors", "config.json"])
def test_a_folder_that_lacks_a_file_is_refused(folder: Path, tmp_path: Path, damage: str) -> None:
    for path in folder.iterdir():
        if path.name != damage:
            (tmp_path / path.name).write_bytes(path.read_bytes())

    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder(str(tmp_path))


def test_descriptions_are_encoded_in_the_order_of_the_tracks(encoder: BertEncoder) -> None:
    tags = TagSets.from_lists([["rock", "calm"]] * 70 + [["jazz"]] + [[]])
    tracks = TrackColumns.build([f"t{row}" for row in range(72)], tags=tags)

    vectors = encode_descriptions(encoder, tracks, progress=Quiet())

    expected = encoder.vectors(["rock, calm.", "jazz.", ""])
    np.testing.assert_allclose(vectors, expected[[0] * 70 + [1, 2]], atol=1e-6)
