"""Content embedding: what a track is (audio features, tags, artist) goes in, a unit vector and a length come out.

    sum = audio·A + tags·T + artist[bucket] + residual(audio, tags, artist)
    embedding = sum / |sum|,  length = |sum| / L

L is the mean of |sum| over the tracks that the network starts with.

The linear part starts as the closed form of `models/content_map.py`, which maps content to listening factors, and the
residual, a hidden layer, at zero. Training goes on from there, so that tracks heard by the same listeners point the
same way: the loss is a cosine softmax (InfoNCE, van den Oord et al. 2018), in which each track has to find another one
that a listener of it heard among random tracks. Rivals drawn from the pairs themselves, as is usual, were tried: they
are the popular tracks, and pushed these away from everything. A track that nobody has heard is embedded like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.content import ContentEncoder, ContentInputs, Embeddings
from audotics.models.content_map import ContentMap

ENCODED_AT_ONCE = 8_192

START_LENGTH = 10.0
"""L above. It is free, and so long that a step of the optimizer is small."""


@dataclass(frozen=True, slots=True)
class ContentOptions:
    """Hyper-parameters of training. A batch has `rivals` random tracks a pair; `pairs_per_epoch` bounds an epoch."""

    embedding_size: int = 64
    epochs: int = 50
    batch_size: int = 64
    learning_rate: float = 0.001
    validation_split: float = 0.2
    temperature: float = 0.1
    dropout: float = 0.2
    rivals: int = 4
    patience: int = 3
    pairs_per_epoch: int = 200_000


def build(encoder: ContentEncoder, options: ContentOptions) -> keras.Model:
    """The embedding network, with inputs and outputs named as the bundle's signature has them."""
    audio = keras.Input((2 * len(AUDIO_FEATURES),), name="audio", dtype="float32")
    tags = keras.Input((len(encoder.tag_vocabulary),), name="tags", dtype="float32")
    artist = keras.Input((), name="artist", dtype="int64")
    size = options.embedding_size
    linear = [
        layers.Dense(size, use_bias=False, name="audio_map")(audio),
        layers.Dense(size, use_bias=False, name="tag_map")(tags),
        layers.Embedding(encoder.artist_buckets, size, embeddings_initializer="zeros", name="artist_map")(artist),
    ]
    hidden = layers.Dense(2 * size, activation="relu", name="hidden")(layers.Concatenate()([audio, tags, linear[2]]))
    dropped = layers.Dropout(options.dropout)(hidden)
    linear.append(layers.Dense(size, kernel_initializer="zeros", name="residual")(dropped))
    total = layers.Add()(linear)
    embedding = layers.UnitNormalization(name="embedding")(total)
    length = ops.sqrt(ops.sum(ops.square(total), axis=1)) / START_LENGTH
    return keras.Model([audio, tags, artist], {"embedding": embedding, "length": length}, name="content")


def start(network: keras.Model, content_map: ContentMap, inputs: ContentInputs) -> None:
    """Put the closed form into the linear part, scaled so that sums over `inputs` are START_LENGTH long on average."""
    length = float(np.linalg.norm(content_map.factors(inputs), axis=1).mean())
    scale = START_LENGTH / max(length, 1e-9)
    network.get_layer("audio_map").set_weights([scale * content_map.audio])
    network.get_layer("tag_map").set_weights([scale * content_map.tags])
    network.get_layer("artist_map").set_weights([scale * content_map.artist])
    residual = network.get_layer("residual")
    residual.set_weights([np.zeros_like(residual.get_weights()[0]), scale * content_map.constant])


class PairModel(keras.Model):
    """Trains an embedding network on pairs of rows of a table of inputs, with the cosine softmax of a batch."""

    def __init__(self, network: keras.Model, inputs: ContentInputs, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.table = [keras.ops.convert_to_tensor(value) for value in inputs.feeds().values()]

    def call(self, rows: Any, training: bool = False) -> Any:
        """Cosines over temperature (b, 1 + r·b): of the anchors rows[:, 0] with their partners rows[:, 1], then rivals.

        Rivals are rows[:, 2:], shared by the batch; one that is the anchor's own partner does not count.
        """
        anchors, partners = (self._embed(rows[:, side], training) for side in (0, 1))
        rivals = ops.reshape(rows[:, 2:], (-1,))
        own = ops.sum(anchors * partners, axis=1, keepdims=True)
        others = ops.matmul(anchors, ops.transpose(self._embed(rivals, training)))
        others = ops.where(ops.equal(rows[:, 1][:, None], rivals[None, :]), -1e9, others / self.temperature)
        return ops.concatenate([own / self.temperature, others], axis=1)

    def _embed(self, rows: Any, training: bool) -> Any:
        columns = [ops.take(column, rows, axis=0) for column in self.table]
        return self.network(columns, training=training)["embedding"]


def encode(network: keras.Model, inputs: ContentInputs) -> Embeddings:
    """Of all rows of `inputs`, at least one."""
    vectors, lengths = [], []
    for start in range(0, len(inputs), ENCODED_AT_ONCE):
        outputs = network([value[start : start + ENCODED_AT_ONCE] for value in inputs.feeds().values()], training=False)
        vectors.append(np.asarray(outputs["embedding"], np.float32))
        lengths.append(np.asarray(outputs["length"], np.float32))
    return Embeddings(np.concatenate(vectors), np.concatenate(lengths))


def save(network: keras.Model, folder: Path) -> None:
    network.save(folder / "model.keras")


def load(folder: Path) -> keras.Model:
    return keras.models.load_model(folder / "model.keras", compile=False)
