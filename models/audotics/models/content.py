"""Content embedding: what a track is (audio features, tags, artist) goes in, a unit vector comes out.

Three branches, joined and projected; trained so that tracks heard by the same listeners point the same way. The loss
is the cosine softmax over a batch of co-listened pairs (InfoNCE, van den Oord et al. 2018): each anchor has to find its
own partner among those of the batch. A track that nobody has heard is embedded like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.content import ContentEncoder, ContentInputs

ENCODED_AT_ONCE = 8_192


@dataclass(frozen=True, slots=True)
class ContentOptions:
    """Hyper-parameters of training; `pairs_per_epoch` bounds an epoch on large data."""

    embedding_size: int = 64
    epochs: int = 50
    batch_size: int = 256
    learning_rate: float = 0.001
    validation_split: float = 0.2
    temperature: float = 0.1
    dropout: float = 0.2
    patience: int = 3
    pairs_per_epoch: int = 200_000


def build(encoder: ContentEncoder, options: ContentOptions) -> keras.Model:
    """The embedding network, with inputs and output named as the bundle's signature has them."""
    audio = keras.Input((2 * len(AUDIO_FEATURES),), name="audio", dtype="float32")
    tags = keras.Input((len(encoder.tag_vocabulary),), name="tags", dtype="float32")
    artist = keras.Input((), name="artist", dtype="int64")
    size = options.embedding_size
    branches = [
        layers.Dense(size, activation="relu", name="audio_branch")(audio),
        layers.Dense(2 * size, activation="relu", name="tag_branch")(tags),
        layers.Embedding(encoder.artist_buckets, size, embeddings_initializer=_small(), name="artist_branch")(artist),
    ]
    joined = layers.Dropout(options.dropout)(layers.Concatenate()(branches))
    hidden = layers.Dense(2 * size, activation="relu", name="hidden")(joined)
    # The artist reaches the output by a path of its own, so that what its tracks share need not pass the hidden layer.
    projected = layers.Add()([layers.Dense(size, name="projection")(hidden), branches[2]])
    embedding = layers.UnitNormalization(name="embedding")(projected)
    return keras.Model([audio, tags, artist], embedding, name="content")


class PairModel(keras.Model):
    """Trains an embedding network on pairs of rows of a table of inputs, with the cosine softmax of a batch."""

    def __init__(self, network: keras.Model, inputs: ContentInputs, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.table = [keras.ops.convert_to_tensor(value) for value in inputs.feeds().values()]

    def call(self, pairs: Any, training: bool = False) -> Any:
        """Cosines over temperature (b, b) of the anchors pairs[:, 0] with the partners pairs[:, 1]."""
        anchors, partners = (
            self.network([ops.take(column, pairs[:, side], axis=0) for column in self.table], training=training)
            for side in (0, 1)
        )
        logits = ops.matmul(anchors, ops.transpose(partners)) / self.temperature
        # A partner that stands in the batch twice is right in both places, so the other one does not count.
        same = ops.equal(pairs[:, 1][:, None], pairs[:, 1][None, :])
        other = ops.logical_and(same, ops.logical_not(ops.eye(ops.shape(pairs)[0], dtype="bool")))
        return ops.where(other, -1e9, logits)


def encode(network: keras.Model, inputs: ContentInputs) -> NDArray[np.float32]:
    """float32 (n, d): unit vectors of all rows of `inputs`."""
    parts = []
    for start in range(0, len(inputs), ENCODED_AT_ONCE):
        chunk = [value[start : start + ENCODED_AT_ONCE] for value in inputs.feeds().values()]
        parts.append(np.asarray(network(chunk, training=False), np.float32))
    return np.concatenate(parts) if parts else np.zeros((0, int(network.output_shape[-1])), np.float32)


def save(network: keras.Model, folder: Path) -> None:
    network.save(folder / "model.keras")


def load(folder: Path) -> keras.Model:
    return keras.models.load_model(folder / "model.keras", compile=False)


def _small() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.05, seed=0)
