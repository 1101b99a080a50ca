"""Vectors to search: sizes go in; seeded vectors that lie as learned ones do, and queries of their kind, come out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_LATENT: Final = 24
_CLUSTERS: Final = 500
_WITHIN: Final = 0.7
_NOISE: Final = 0.3


def track_vectors(
    n: int, dimension: int, *, queries: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Unit vectors (n, d) and unit queries (q, d): 500 clusters in 24 latent dimensions, and a little noise in all."""
    random = np.random.default_rng(seed)
    projection = random.normal(size=(_LATENT, dimension)).astype(np.float32)
    centres = random.normal(size=(_CLUSTERS, _LATENT)).astype(np.float32)
    total = n + queries
    latent = centres[random.integers(0, _CLUSTERS, total)]
    latent += _WITHIN * random.standard_normal((total, _LATENT), dtype=np.float32)
    vectors = latent @ projection + _NOISE * random.standard_normal((total, dimension), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[:n].copy(), vectors[n:].copy()


def stretched(vectors: NDArray[np.float32], *, spread: float, seed: int = 0) -> NDArray[np.float32]:
    """The vectors with log-normal lengths; `spread` is the standard deviation of a length's logarithm."""
    lengths = np.exp(spread * np.random.default_rng(seed).normal(size=(len(vectors), 1)))
    return (vectors * lengths).astype(np.float32)
