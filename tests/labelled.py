"""Labelled tracks that are drawn for a test: classes as clouds of points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audotics.data.dataset import LoadReport
from audotics.data.labelled import LabelledTracks


def clouds(
    class_names: Sequence[str] = ("folk", "metal", "techno"),
    *,
    each: int = 30,
    n_features: int = 6,
    spread: float = 1.0,
    seed: int = 0,
    feature_names: Sequence[str] | None = None,
) -> LabelledTracks:
    """`each` tracks a class, around a centre of its own in all but the last feature, which says nothing."""
    rng = np.random.default_rng(seed)
    centres = 3.0 * np.eye(n_features)[: len(class_names)]
    labels = np.repeat(np.arange(len(class_names)), each)
    x = centres[labels] + spread * rng.normal(size=(len(labels), n_features))
    return labelled(x, [class_names[label] for label in labels], feature_names=feature_names)


def labelled(x: np.ndarray, classes: Sequence[str], *, feature_names: Sequence[str] | None = None) -> LabelledTracks:
    """Tracks t0, t1, … with features f0, f1, … unless these are named."""
    return LabelledTracks.build(
        "drawn",
        ids=np.asarray([f"t{row}" for row in range(len(x))], object),
        feature_names=feature_names or [f"f{column}" for column in range(x.shape[1])],
        x=x,
        classes=np.asarray(classes, object),
        report=LoadReport("drawn"),
    )
