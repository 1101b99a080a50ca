"""Keras layers of the mood network: raw features with holes go in, evidence of every member, then moods, come out."""

from __future__ import annotations

from typing import Any, Final

import keras
from keras import layers, ops

_PACKAGE: Final = "audotics"
CLIP: Final = 4.0
"""Standardised values beyond this are no more extreme."""


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Standardise(layers.Layer):
    """features (n, f), NaN where unknown -> standardised and clipped (n, f), and 1 or 0 for known or not (n, f).

    Its weights `mean` and `scale` (f,) are set, not learnt. An unknown value becomes 0.
    """

    def build(self, shape: Any) -> None:
        self.mean = self.add_weight(name="mean", shape=(shape[-1],), initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=(shape[-1],), initializer="ones", trainable=False)

    def call(self, features: Any) -> Any:
        unknown = ops.isnan(features)
        completed = ops.where(unknown, self.mean, features)
        values = ops.clip((completed - self.mean) / self.scale, -CLIP, CLIP)
        return values, ops.cast(ops.logical_not(unknown), "float32")


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Thermometer(layers.Layer):
    """Features, their standardised values, and whether they are known, all (n, f) -> codes (n, members, f · (t + 1)).

    A feature is coded as +½ or -½ for being above each of its t thresholds or not, then by its standardised value; an
    unknown one as zeros, and so is each whose `used` (f,) is 0. Thresholds are compared with features as they came, so
    that no rounding on the way decides. Each member has thresholds of its own. In training, a share `dropout` of the
    features is taken for unknown.
    """

    def __init__(self, members: int, thresholds: int, *, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.members, self.n_thresholds, self.dropout = members, thresholds, dropout
        self.seed_generator = keras.random.SeedGenerator(0)

    def build(self, shape: Any, *_: Any) -> None:
        size = shape[-1]
        self.used = self.add_weight(name="used", shape=(size,), initializer="ones", trainable=False)
        self.thresholds = self.add_weight(
            name="thresholds", shape=(self.members, size, self.n_thresholds), initializer="zeros", trainable=False
        )

    def call(self, features: Any, values: Any, known: Any, training: bool = False) -> Any:
        kept = (known * self.used)[:, None, :]
        kept = ops.broadcast_to(kept, (ops.shape(values)[0], self.members, values.shape[-1]))
        if training and self.dropout > 0:
            drawn = keras.random.uniform(ops.shape(kept), seed=self.seed_generator)
            kept = kept * ops.cast(drawn >= self.dropout, "float32")
        above = ops.cast(features[:, None, :, None] > self.thresholds[None], "float32") - 0.5
        steps = above * kept[..., None]
        linear = (values[:, None, :] * kept / 2.0)[..., None]
        codes = ops.concatenate([steps, linear], axis=-1)
        return ops.reshape(codes, (-1, self.members, values.shape[-1] * (self.n_thresholds + 1)))

    def get_config(self) -> dict[str, Any]:
        own = {"members": self.members, "thresholds": self.n_thresholds, "dropout": self.dropout}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class MemberDense(layers.Layer):
    """A dense layer a member: (n, members, i) -> (n, members, units).

    Weights start with a standard deviation of `start`, by default that of He et al. 2015. They are drawn all at once,
    since an initializer of Keras that is called for each member gives the same numbers each time.
    """

    def __init__(self, units: int, *, start: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units, self.start = units, start

    def build(self, shape: Any) -> None:
        _, members, size = shape
        spread = keras.initializers.RandomNormal(stddev=(2.0 / size) ** 0.5 if self.start is None else self.start)
        self.kernel = self.add_weight(name="kernel", shape=(members, size, self.units), initializer=spread)
        self.bias = self.add_weight(name="bias", shape=(members, self.units), initializer="zeros")

    def call(self, values: Any) -> Any:
        return ops.einsum("nmi,mio->nmo", values, self.kernel) + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "start": self.start}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Rules(layers.Layer):
    """Standardised values (n, f) -> a score for each of the moods (n, moods), by `weights` (f, moods) that are set."""

    def __init__(self, moods: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.moods = moods

    def build(self, shape: Any) -> None:
        shape = (shape[-1], self.moods)
        self.rules = self.add_weight(name="rules", shape=shape, initializer="zeros", trainable=False)

    def call(self, values: Any) -> Any:
        return ops.matmul(values, self.rules)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "moods": self.moods}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Families(layers.Layer):
    """Scores of moods (n, moods) -> of families (n, families): the log of the sum of each one's exponentials.

    `family_of` is the family of each mood.
    """

    def __init__(self, family_of: list[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.family_of = list(family_of)

    def call(self, scores: Any) -> Any:
        columns = [
            ops.logsumexp(
                ops.take(scores, [mood for mood, own in enumerate(self.family_of) if own == family], axis=1), 1
            )
            for family in range(max(self.family_of) + 1)
        ]
        return ops.stack(columns, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "family_of": self.family_of}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Moods(layers.Layer):
    """Members' logits of families (n, members, families) and rules' scores (n, moods) -> probabilities (n, moods).

    A family's probability is the softmax of its mean logit over `temperature`, which is set; within the family it is
    shared out as the softmax of the rules' scores.
    """

    def __init__(self, family_of: list[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.family_of = list(family_of)
        self.families = Families(family_of)

    def build(self, *_: Any) -> None:
        self.temperature = self.add_weight(name="temperature", shape=(), initializer="ones", trainable=False)

    def call(self, logits: Any, scores: Any) -> Any:
        families = ops.log_softmax(ops.mean(logits, axis=1) / self.temperature, axis=-1)
        within = scores - ops.take(self.families(scores), self.family_of, axis=1)
        return ops.exp(ops.take(families, self.family_of, axis=1) + within)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "family_of": self.family_of}
