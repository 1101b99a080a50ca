"""Deep model: who listens and what the track is go in, the probability that it is a match comes out.

    probability = sigmoid(tower([listener embedding, track embedding, side features]))        tower 128-64-32-1

Side features are the track's audio and tags behind `StandardScaler → SelectKBest → PCA` (`models/preprocessing.py`).
The tower's first layer acts on listener and track apart and is added up, which is the same as acting on all of them
joined, and spares most of the work when many tracks are scored for one listener.

An embedding a listener knows only the listeners of the training data. The last row of either table stands for everybody
else, and is learnt: in training, a share of the listeners and tracks hides behind it. So a listener who came later gets
what listeners on the whole like, and a track that came later is judged by its side features.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from audotics.features.deep import SideFeatures
from audotics.features.tracks import TrackColumns
from audotics.models.preprocessing import Preprocessing

TOWER = (128, 64, 32)
SCORED_AT_ONCE = 50_000
"""Listener-track pairs in one pass of the tower."""


@dataclass(frozen=True, slots=True)
class DeepOptions:
    """Hyper-parameters of training. `selected` and `components` bound what SelectKBest and PCA keep.

    `negatives` tracks that the listener has not heard stand beside each one heard. `hidden_listeners` and
    `hidden_tracks` are the shares of examples whose listener or track is taken for an unknown one.
    """

    embedding_size: int = 64
    selected: int = 128
    components: int = 32
    epochs: int = 30
    batch_size: int = 4096
    learning_rate: float = 0.003
    negatives: int = 16
    dropout: float = 0.5
    hidden_listeners: float = 0.1
    hidden_tracks: float = 0.05
    patience: int = 3


def build(*, n_users: int, n_tracks: int, n_side: int, options: DeepOptions) -> keras.Model:
    """The network over preprocessed side features, with inputs and output named as the bundle's signature has them.

    Row `n_users` of the listeners and row `n_tracks` of the tracks stand for unknown ones.
    """
    user = keras.Input((), name="user", dtype="int64")
    track = keras.Input((), name="track", dtype="int64")
    side = keras.Input((n_side,), name="preprocessed", dtype="float32")
    listener = layers.Embedding(n_users + 1, options.embedding_size, embeddings_initializer=_small(0), name="listeners")
    tracks = layers.Embedding(n_tracks + 1, options.embedding_size, embeddings_initializer=_small(1), name="tracks")
    of_listener = layers.Dropout(options.dropout)(listener(user))
    of_track = layers.Concatenate()([layers.Dropout(options.dropout)(tracks(track)), side])
    first = layers.Add()(
        [
            layers.Dense(TOWER[0], use_bias=False, name="first_of_listener")(of_listener),
            layers.Dense(TOWER[0], name="first_of_track")(of_track),
        ]
    )
    hidden = layers.Activation("relu")(first)
    for name, width in zip(("second", "third"), TOWER[1:], strict=True):
        hidden = layers.Dense(width, activation="relu", name=name)(hidden)
    last = layers.Dense(1, activation="sigmoid", name="last")(hidden)
    probability = layers.Reshape((), name="probability")(last)
    return keras.Model([user, track, side], probability, name="deep")


class PairModel(keras.Model):
    """Trains a network on rows (user, track, row of the table of side features)."""

    def __init__(self, network: keras.Model, side: NDArray[np.float32]) -> None:
        super().__init__()
        self.network = network
        self.side = ops.convert_to_tensor(side)

    def call(self, pairs: Any, training: bool = False) -> Any:
        """Probabilities (b,)."""
        side = ops.take(self.side, pairs[:, 2], axis=0)
        return self.network([pairs[:, 0], pairs[:, 1], side], training=training)


@dataclass(frozen=True, slots=True)
class DeepModel:
    """The network with what makes its inputs: side features of tracks, and the preprocessing of these."""

    network: keras.Model
    features: SideFeatures
    preprocessing: Preprocessing

    @property
    def unknown_user(self) -> int:
        return int(self.network.get_layer("listeners").input_dim) - 1

    @property
    def unknown_track(self) -> int:
        return int(self.network.get_layer("tracks").input_dim) - 1

    def side(self, tracks: TrackColumns) -> NDArray[np.float32]:
        """float32 (n, n_side): the preprocessed side features of any tracks."""
        return self.preprocessing.transform(self.features.encode(tracks))

    def scores(
        self, users: NDArray[np.integer], tracks: NDArray[np.integer], side: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """float32 (b, n): probabilities of the listeners in rows `users` for the tracks in rows `tracks`."""
        layer = self.network.get_layer
        of_listener = layer("first_of_listener")(layer("listeners")(users))
        of_track = layer("first_of_track")(ops.concatenate([layer("tracks")(tracks), side], axis=1))
        step = max(1, SCORED_AT_ONCE // max(1, len(tracks)))
        parts = [np.zeros((0, len(tracks)), np.float32)]
        for start in range(0, len(users), step):
            first = ops.relu(of_listener[start : start + step, None] + of_track[None])
            hidden = layer("third")(layer("second")(ops.reshape(first, (-1, TOWER[0]))))
            parts.append(np.asarray(layer("last")(hidden), np.float32).reshape(-1, len(tracks)))
        return np.concatenate(parts)

    def scorer(
        self, tracks: TrackColumns, histories: Sequence[NDArray[np.integer]]
    ) -> Callable[[Sequence[NDArray[np.integer]]], NDArray[np.float32]]:
        """Scores all of `tracks`, those of the training data, for listeners given by what they heard.

        `histories` are those of the training data, in the order of the listeners' rows; see KnownListeners.
        """
        rows, side, known = np.arange(len(tracks)), self.side(tracks), KnownListeners(histories, self.unknown_user)
        return lambda heard: self.scores(known.rows(heard), rows, side)

    def save(self, folder: Path) -> None:
        self.network.save(folder / "model.keras")
        self.preprocessing.save(folder)
        (folder / "features.json").write_text(json.dumps(self.features.to_json(), ensure_ascii=False), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> DeepModel:
        network = keras.models.load_model(folder / "model.keras", compile=False)
        features = SideFeatures.from_json(json.loads((folder / "features.json").read_text("utf-8")))
        return cls(network, features, Preprocessing.load(folder))


class KnownListeners:
    """Rows of listeners by what they heard, since a ranking knows nothing else of a listener.

    Whoever heard exactly what one of `histories` holds is that listener, the first of several; others are `unknown`.
    """

    def __init__(self, histories: Sequence[NDArray[np.integer]], unknown: int) -> None:
        self._unknown = unknown
        self._rows = {_key(history): row for row, history in reversed(list(enumerate(histories)))}

    def rows(self, heard: Sequence[NDArray[np.integer]]) -> NDArray[np.int64]:
        """int64 (b,)."""
        return np.asarray([self._rows.get(_key(history), self._unknown) for history in heard], np.int64)


def _key(history: NDArray[np.integer]) -> bytes:
    return np.asarray(history, np.int32).tobytes()


def _small(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.05, seed=seed)
