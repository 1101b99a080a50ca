"""Inputs on which exported classifiers are compared with their sources: labelled tracks go in, named cases come out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.labelled import LabelledTracks
from audotics.exporters.parity import Case

FEATURES: Final = "features"
"""The input of every classifier: float32 (batch, f), NaN where unknown."""

_TRACKS: Final = 256
_DRAWN: Final = 64
_SEED: Final = 20_170_407


def labelled_cases(data: LabelledTracks) -> list[Case]:
    """Cases with the input FEATURES; the tracks of `data` come first, and then what may come in service."""
    rng = np.random.default_rng(_SEED)
    x = data.x[rng.permutation(len(data))[:_TRACKS]].astype(np.float32)
    size = x.shape[1]
    holes = x.copy()
    holes[rng.random(x.shape) < 0.3] = np.nan
    one_unknown = np.tile(x[:1], (size, 1))
    one_unknown[np.diag_indices(size)] = np.nan
    known = ~np.isnan(data.x).all(axis=0)
    middle, spread, lowest, highest = np.zeros((4, size))
    middle[known], spread[known] = np.nanmean(data.x[:, known], axis=0), np.nanstd(data.x[:, known], axis=0)
    lowest[known], highest[known] = np.nanmin(data.x[:, known], axis=0), np.nanmax(data.x[:, known], axis=0)
    cases: dict[str, NDArray[np.floating]] = {
        "tracks of the training data": x,
        "a batch of one": x[:1],
        "one unknown feature": one_unknown,
        "holes": holes,
        "nothing known": np.full((2, size), np.nan),
        "zeros": np.zeros((1, size)),
        "features at their bounds": np.stack([lowest, highest]),
        "random tracks": rng.normal(middle, spread + 1e-3, (_DRAWN, size)),
        "far from all tracks": rng.normal(middle, 10 * spread + 1e-3, (_DRAWN, size)),
    }
    return [Case(name, {FEATURES: value.astype(np.float32)}) for name, value in cases.items()]
