"""Training of the text embeddings: what is announced, what is repeatable, and how their vectors rank."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audotics.data.synthetic import synthetic
from audotics.models.bert import load_encoder
from audotics.models.text import TextOptions
from audotics.training.nearest import nearest_vectors
from audotics.training.text import encode_descriptions, train_text
from tests.tiny_bert import SIZE, write_tiny_bert
from tests.training.conftest import Watcher


def test_training_announces_its_steps(watcher: Watcher) -> None:
    tracks = synthetic(n_tracks=80, n_users=20, seed=3, mean_history=8).tracks

    model = train_text(tracks, TextOptions(embedding_size=5), seed=0, progress=watcher)

    assert watcher.stages == [("text", 2, 2)]
    assert model.record == {"tokens": len(model.encoder.vocabulary), "embedding_size": 5}


def test_the_same_seed_gives_the_same_vectors(watcher: Watcher) -> None:
    tracks = synthetic(n_tracks=80, n_users=20, seed=3, mean_history=8).tracks
    first, second = (train_text(tracks, TextOptions(), seed=4, progress=watcher).vectors(tracks) for _ in range(2))

    np.testing.assert_array_equal(first, second)


def test_an_encoder_encodes_every_description(watcher: Watcher, tmp_path: Path) -> None:
    tracks = synthetic(n_tracks=70, n_users=20, seed=3, mean_history=8).tracks

    vectors = encode_descriptions(load_encoder(str(write_tiny_bert(tmp_path))), tracks, progress=watcher)

    assert vectors.shape == (70, SIZE)
    assert watcher.stages == [("bert", 70, 70)]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_nearest_ranks_by_cosine() -> None:
    vectors = np.asarray([[1, 0], [0, 1], [0.6, 0.8], [0, 0]], np.float32)
    scores = nearest_vectors(vectors)([np.asarray([0]), np.asarray([1, 2]), np.zeros(0, np.int32)])

    np.testing.assert_allclose(scores, [[1, 0, 0.6, 0], [0.3, 0.9, 0.9, 0], [0, 0, 0, 0]], atol=1e-6)
