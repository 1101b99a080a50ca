"""Tilts of the hybrid: the actions that a bandit chooses among. A name goes in, factors on the weights come out.

A tilt multiplies the weight that the gate gives to one component, the same for all tracks of a list. A factor is never
beyond FACTOR or 1 / FACTOR, so that no choice, however bad, makes another recommender of the trained one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.hybrid import COMPONENTS

FACTOR: Final = 2.0

AS_TRAINED: Final = "as trained"
"""The tilt that changes nothing."""

_NONE: Final = (1.0,) * len(COMPONENTS)


def _single(component: str, factor: float) -> tuple[float, ...]:
    return tuple(factor if name == component else 1.0 for name in COMPONENTS)


TILTS: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {AS_TRAINED: _NONE}
    | {f"more {name}": _single(name, FACTOR) for name in COMPONENTS}
    | {f"less {name}": _single(name, 1 / FACTOR) for name in COMPONENTS}
)
"""Factors on the weights of COMPONENTS, by name."""


def tilted_weights(weights: NDArray[np.float32], factors: Sequence[float]) -> NDArray[np.float32]:
    """Weights (…, 6) multiplied by the `factors` (6,) of a tilt."""
    return weights * np.asarray(factors, np.float32)
