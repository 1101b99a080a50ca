"""Content embedding: what a track is (audio features, tags, artist) goes in, a unit vector and a length come out.

    sum = audio·A + tags·T + artist[bucket] + residual(audio, tags)
    embedding = sum / |sum|,  length = (|sum| / L)^exponent

L is the mean of |sum| over the tracks that the network starts with.

The linear part starts as the closed form of `models/content_map.py`, which maps content to listening factors, and the
residual, a hidden layer, at zero. Training goes on from there, so that tracks heard by the same listeners score high:
the loss is a softmax (InfoNCE, van den Oord et al. 2018), in which each track has to find another one that a listener
of it heard among random tracks, by its cosine to them times their length, as tracks are scored later. With cosines
alone lengths drifted, and what was scored got worse with each epoch. What is served is a blend: the closed form, some
way towards what training made of it. Rivals drawn from the pairs themselves, as is usual, were tried: they
are the popular tracks, and pushed these away from everything. A track that nobody has heard is embedded like any other.
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


@dataclass(frozen=True, slots=True)
class Blend:
    """How far a network goes from its start to the end of its training, 0 to 1, and the exponent of its lengths."""

    share: float
    exponent: float

    def of(self, begun: NDArray[np.float32], ended: NDArray[np.float32]) -> Embeddings:
        """Embeddings of n tracks from their sums (n, d) over L at both ends."""
        total = begun + np.float32(self.share) * (ended - begun)
        lengths = np.maximum(np.linalg.norm(total, axis=1), np.float32(1e-9))
        return Embeddings(total / lengths[:, None], (lengths ** np.float32(self.exponent)).astype(np.float32))


def build(encoder: ContentEncoder, options: ContentOptions, *, exponent: float = 1.0) -> keras.Model:
    """The embedding network, with inputs and outputs named as the bundle's signature has them.

    `exponent` is that of the lengths; while a network is trained it is 1.
    """
    audio = keras.Input((2 * len(AUDIO_FEATURES),), name="audio", dtype="float32")
    tags = keras.Input((len(encoder.tag_vocabulary),), name="tags", dtype="float32")
    artist = keras.Input((), name="artist", dtype="int64")
    size = options.embedding_size
    linear = [
        layers.Dense(size, use_bias=False, name="audio_map")(audio),
        layers.Dense(size, use_bias=False, name="tag_map")(tags),
        layers.Embedding(encoder.artist_buckets, size, embeddings_initializer="zeros", name="artist_map")(artist),
    ]
    hidden = layers.Dense(2 * size, activation="relu", name="hidden")(layers.Concatenate()([audio, tags]))
    dropped = layers.Dropout(options.dropout)(hidden)
    linear.append(layers.Dense(size, kernel_initializer="zeros", name="residual")(dropped))
    total = layers.Add()(linear)
    embedding = layers.UnitNormalization(name="embedding")(total)
    length = ops.sqrt(ops.sum(ops.square(total), axis=1)) / START_LENGTH
    if exponent != 1.0:
        length = ops.power(length, exponent)
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


def blended(
    network: keras.Model,
    content_map: ContentMap,
    encoder: ContentEncoder,
    inputs: ContentInputs,
    options: ContentOptions,
    blend: Blend,
) -> keras.Model:
    """The network whose sums stand between those of `content_map` and those of `network`, which started as it.

    Sums are linear in all weights but those of the hidden layer, which the start does not use. They are scaled so that
    sums over `inputs` are START_LENGTH long on average again.
    """
    result = build(encoder, options, exponent=blend.exponent)
    start(result, content_map, inputs)
    result.get_layer("hidden").set_weights(network.get_layer("hidden").get_weights())
    summed = ("audio_map", "tag_map", "artist_map", "residual")
    for name in summed:
        begun, ended = result.get_layer(name).get_weights(), network.get_layer(name).get_weights()
        result.get_layer(name).set_weights([a + blend.share * (b - a) for a, b in zip(begun, ended, strict=True)])
    scale = float((encode(result, inputs).lengths ** (1.0 / blend.exponent)).mean())
    for name in summed:
        result.get_layer(name).set_weights([value / max(scale, 1e-9) for value in result.get_layer(name).get_weights()])
    return result


class PairModel(keras.Model):
    """Trains an embedding network on pairs of rows of a table of inputs, with the softmax of a batch."""

    def __init__(self, network: keras.Model, inputs: ContentInputs, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.table = [keras.ops.convert_to_tensor(value) for value in inputs.feeds().values()]

    def call(self, rows: Any, training: bool = False) -> Any:
        """Scores over temperature (b, 1 + r·b): of the partners rows[:, 1] for the anchors rows[:, 0], then of rivals.

        Rivals are rows[:, 2:], shared by the batch; one that is the anchor's own partner does not count.
        """
        anchors, _ = self._embed(rows[:, 0], training)
        _, partners = self._embed(rows[:, 1], training)
        rivals = ops.reshape(rows[:, 2:], (-1,))
        own = ops.sum(anchors * partners, axis=1, keepdims=True)
        others = ops.matmul(anchors, ops.transpose(self._embed(rivals, training)[1]))
        others = ops.where(ops.equal(rows[:, 1][:, None], rivals[None, :]), -1e9, others / self.temperature)
        return ops.concatenate([own / self.temperature, others], axis=1)

    def _embed(self, rows: Any, training: bool) -> tuple[Any, Any]:
        """Directions, and the same times their lengths."""
        columns = [ops.take(column, rows, axis=0) for column in self.table]
        outputs = self.network(columns, training=training)
        return outputs["embedding"], outputs["embedding"] * outputs["length"][:, None]


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
