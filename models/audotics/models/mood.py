"""Mood: features of a track go in, probabilities of the eight product moods come out.

Labelled data know four moods; the product has eight, which its rules describe as weights on audio features
(`features/moods.py`). Each of the eight belongs to one of the four, its family:

    Energetic ← energetic, party, workout     Calm ← chill, focused, romantic     Happy ← happy     Sad ← melancholic

    P(mood) = P(family) · P(mood | family)

P(mood | family) is the softmax of the rules' scores within the family. P(family) begins as what the rules say of the
family as a whole, and a network learns from labelled tracks what to add to that. So labels decide between families,
and rules within them. P(family), which is the sum of its moods, is calibrated on labelled tracks and measured; how
energetic, party and workout, or chill, focused and romantic, share their family's probability is measured nowhere.

The network is a bag of small ones. Each sees every feature as a thermometer, above or below random quantiles, since
moods change at thresholds, as boosted trees find; what is unknown is neither above nor below. Duration, popularity and
release year stand beside the audio features and are worth .03 of accuracy on the labelled tracks; part of that may be
how these were collected, so a share of all values is hidden in training, and the model works without them too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES, AUDIO_RANGES
from audotics.features.moods import MOODS, mood_weight_matrix
from audotics.models.mood_layers import Families, MemberDense, Moods, Rules, Standardise, Thermometer

FAMILIES: Final = ("Calm", "Energetic", "Happy", "Sad")
"""The moods of labelled data, in alphabetical order, as labelled tracks number them."""

FAMILY_OF: Final[dict[str, str]] = {
    "energetic": "Energetic",
    "chill": "Calm",
    "happy": "Happy",
    "melancholic": "Sad",
    "party": "Energetic",
    "focused": "Calm",
    "romantic": "Calm",
    "workout": "Energetic",
}

_NETWORK: Final = "model.keras"
_NAMES: Final = "mood.json"
_ROWS_AT_ONCE: Final = 4_096
_NO_SPREAD: Final = 1e-6


@dataclass(frozen=True, slots=True)
class MoodOptions:
    """Hyper-parameters. There are `folds` · `repeats` members; each leaves one fold out, on which it is judged.

    thresholds      of a feature, for each member
    hidden          units of a member
    dropout         of hidden units
    column_dropout  share of the values that are taken for unknown in training
    """

    folds: int = 10
    repeats: int = 3
    thresholds: int = 8
    hidden: int = 32
    dropout: float = 0.2
    column_dropout: float = 0.1
    epochs: int = 120
    batch_size: int = 128
    learning_rate: float = 0.003
    weight_decay: float = 0.01
    patience: int = 10


@dataclass(frozen=True, slots=True)
class MoodNetwork:
    """Two views of the same layers: `members` gives logits of families (n, members, 4), to train; `moods` serves."""

    members: keras.Model
    moods: keras.Model


@dataclass(frozen=True, slots=True)
class MoodModel:
    """A trained network with the input `features` (n, f), in the order of `feature_names`, NaN where unknown."""

    network: keras.Model
    feature_names: tuple[str, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        return MOODS

    def probabilities(self, x: NDArray[np.floating]) -> NDArray[np.float32]:
        """float32 (n, 8) in the order of MOODS."""
        features = np.asarray(x, np.float32)
        parts = [
            np.asarray(self.network([features[start : start + _ROWS_AT_ONCE]], training=False), np.float32)
            for start in range(0, len(features), _ROWS_AT_ONCE)
        ]
        return np.concatenate([np.zeros((0, len(MOODS)), np.float32), *parts])

    def families(self, x: NDArray[np.floating]) -> NDArray[np.float32]:
        """float32 (n, 4) in the order of FAMILIES: the calibrated sums of each family's moods."""
        return self.probabilities(x) @ family_matrix()

    def save(self, folder: Path) -> None:
        self.network.save(folder / _NETWORK)
        (folder / _NAMES).write_text(json.dumps({"feature_names": self.feature_names}, indent=2) + "\n", "utf-8")


def load(folder: Path) -> MoodModel:
    """Raises OSError or ValueError when a file is missing or damaged."""
    names = json.loads((folder / _NAMES).read_text("utf-8"))
    return MoodModel(keras.models.load_model(folder / _NETWORK, compile=False), tuple(names["feature_names"]))


def family_columns() -> list[int]:
    """The family of each of MOODS, as a position in FAMILIES."""
    return [FAMILIES.index(FAMILY_OF[mood]) for mood in MOODS]


def family_matrix() -> NDArray[np.float32]:
    """float32 (8, 4): 1 where a mood is of a family."""
    return np.eye(len(FAMILIES), dtype=np.float32)[family_columns()]


def build(
    x: NDArray[np.floating], feature_names: tuple[str, ...], options: MoodOptions, *, members: int, seed: int
) -> MoodNetwork:
    """An untrained network whose scales and thresholds are those of `x` (n, f), NaN where unknown.

    A feature that is nowhere known in `x` is left to the rules.
    """
    keras.utils.set_random_seed(seed)
    values = np.asarray(x, np.float64)
    mean, scale, used = _scales(values, feature_names)
    features = keras.Input((len(feature_names),), name="features", dtype="float32")
    standardise = Standardise(name="standardise")
    thermometer = Thermometer(members, options.thresholds, dropout=options.column_dropout, name="thermometer")
    rules = Rules(len(MOODS), name="rules")
    standardised, known = standardise(features)
    hidden = MemberDense(options.hidden, name="hidden")(thermometer(features, standardised, known))
    hidden = layers.Dropout(options.dropout)(layers.ReLU()(hidden))
    learnt = MemberDense(len(FAMILIES), start=0.05, name="learnt")(hidden)
    scores = rules(standardised)
    start = Families(family_columns(), name="families")(scores)
    logits = layers.Add(name="logits")([learnt, layers.Reshape((1, len(FAMILIES)))(start)])
    probabilities = Moods(family_columns(), name="probabilities")(logits, scores)
    standardise.set_weights([mean, scale])
    rules.set_weights([_rule_weights(feature_names)])
    thermometer.set_weights([used, _thresholds(values, used, options, members=members, seed=seed)])
    return MoodNetwork(
        keras.Model(features, logits, name="members"), keras.Model([features], probabilities, name="mood")
    )


def _scales(values: NDArray[np.float64], names: tuple[str, ...]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Mean, standard deviation and whether there is anything to learn from, (f,) each.

    Rules need a scale for what is unknown in all of the data too: the middle and half of the range of an audio feature.
    """
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    scale = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count)
    used = known.any(axis=0) & (scale > _NO_SPREAD)
    scale = np.where(scale > _NO_SPREAD, scale, 1.0)
    for column in np.flatnonzero(~known.any(axis=0)):
        low, high = AUDIO_RANGES.get(names[column], (-1.0, 1.0))
        mean[column], scale[column] = (low + high) / 2, (high - low) / 2
    return mean.astype(np.float32), scale.astype(np.float32), used.astype(np.float32)


def _rule_weights(names: tuple[str, ...]) -> NDArray[np.float32]:
    """float32 (f, 8): the rules' weights on the audio features among `names`, 0 on other features."""
    matrix = mood_weight_matrix()
    nothing = np.zeros(len(MOODS), np.float32)
    return np.stack([matrix[AUDIO_FEATURES.index(name)] if name in AUDIO_FEATURES else nothing for name in names])


def _thresholds(
    values: NDArray[np.float64],
    used: NDArray[np.float32],
    options: MoodOptions,
    *,
    members: int,
    seed: int,
) -> NDArray[np.float32]:
    """float32 (members, f, thresholds): one quantile drawn from each equal share of a feature's known values."""
    rng = np.random.default_rng(seed)
    levels = np.arange(options.thresholds) + rng.random((members, len(used), options.thresholds))
    result = np.zeros(levels.shape, np.float32)
    for column in np.flatnonzero(used):
        result[:, column] = np.nanquantile(values[:, column], levels[:, column] / options.thresholds)
    return result
