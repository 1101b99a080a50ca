"""What an index is asked for: recall at a depth within some memory. And the settings that are worth a try for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.indexes.settings import IndexKind, IndexSettings, Metric

EXACT_TRACKS: Final = 50_000
"""Up to this many vectors an index that is not asked for by kind compares every one: about a third of a millisecond."""

GRAPH_TRACKS: Final = 300_000
"""Beyond so many vectors a graph takes many minutes to build, and is tried only when it is asked for by kind."""

MEMORY_MATTERS_BYTES: Final = 64 << 20
"""Vectors that take less than this are served whatever their index takes."""

PROBES: Final = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
WIDTHS: Final = (10, 12, 14, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
RESCORED_SHARES: Final = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 12.0, 16.0, 24.0)

_LISTS_PER_ROOT: Final = 4
"""Lists are 4 √n, the fewest that FAISS's own guide advises; with √n a search takes twice as long at equal recall."""

_HEAD_SHARES: Final = (0.01, 0.04)
_LENGTHS_DIFFER: Final = 1.05
_LINKS: Final = 16


@dataclass(frozen=True, slots=True)
class Goal:
    """`memory_ratio` bounds what serving takes, as a multiple of the vectors alone. `kinds` None leaves them to size.

    `batch` is how many queries come at once. A server's come alone.
    """

    k: int = 100
    recall: float = 0.95
    memory_ratio: float = 1.5
    metric: Metric = Metric.INNER_PRODUCT
    kinds: tuple[IndexKind, ...] | None = None
    batch: int = 1

    def kinds_for(self, n: int) -> tuple[IndexKind, ...]:
        """What is tried for `n` vectors. FLAT is always among them: it reaches every recall."""
        if self.kinds is not None:
            return self.kinds
        if n <= EXACT_TRACKS:
            return (IndexKind.FLAT,)
        approximate = (IndexKind.IVF_FLAT, IndexKind.IVF_PQ)
        return (IndexKind.FLAT, *approximate, *((IndexKind.HNSW,) if n <= GRAPH_TRACKS else ()))

    def fits_memory(self, settings: IndexSettings, n: int, dimension: int) -> bool:
        raw = 4.0 * dimension
        return n * raw <= MEMORY_MATTERS_BYTES or settings.bytes_per_vector(dimension) <= self.memory_ratio * raw


def structures(vectors: NDArray[np.float32], goal: Goal) -> list[IndexSettings]:
    """What is built and then searched in several ways: settings that search as little as they can."""
    n, dimension = vectors.shape
    flat = IndexSettings(metric=goal.metric, depth=goal.k)
    found: list[IndexSettings] = []
    for kind in goal.kinds_for(n):
        if kind is IndexKind.FLAT:
            found.append(flat)
        elif kind is IndexKind.HNSW:
            found.append(replace(flat, kind=kind, links=_LINKS, width=max(WIDTHS[0], goal.k)))
        else:
            for head in _head_sizes(vectors, goal):
                lists = max(1, min(round(_LISTS_PER_ROOT * (n - head) ** 0.5), (n - head) // 8))
                # One dimension a part: with two, a million vectors need five times the rescored rows, at half speed.
                parts = dimension if kind is IndexKind.IVF_PQ else 0
                rescored = goal.k if kind is IndexKind.IVF_PQ else 0
                found.append(
                    replace(flat, kind=kind, head_rows=head, lists=lists, probes=1, code_parts=parts, rescored=rescored)
                )
    return found


def ways_to_search(settings: IndexSettings, n: int) -> Iterator[tuple[IndexSettings, ...]]:
    """Ladders of settings for one structure. Along each, a search looks at more, takes longer and finds more."""
    k = settings.depth
    if settings.kind is IndexKind.FLAT:
        yield (settings,)
    elif settings.kind is IndexKind.HNSW:
        widths = sorted(
            {k, *(width for width in WIDTHS if width > k), *(round(k * share) for share in RESCORED_SHARES)}
        )
        yield tuple(replace(settings, width=width) for width in widths)
    else:
        probes = [number for number in PROBES if number < settings.lists] or [settings.lists]
        shares = RESCORED_SHARES if settings.kind is IndexKind.IVF_PQ else (0.0,)
        for share in shares:
            rescored = min(round(share * k), n)
            yield tuple(replace(settings, probes=number, rescored=rescored) for number in probes)


def _head_sizes(vectors: NDArray[np.float32], goal: Goal) -> tuple[int, ...]:
    if goal.metric is Metric.COSINE:
        return (0,)
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    if lengths.max() <= _LENGTHS_DIFFER * np.median(lengths):
        return (0,)
    return tuple(max(1, round(share * len(vectors))) for share in _HEAD_SHARES)
