"""Shortlists that travel: one goes in, bytes come out, and from those the same again, bit by bit.

Rows in it are those of one catalogue; whoever stores the bytes keeps them with the name of that catalogue.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.hybrid import COMPONENTS
from audotics.server.pipeline.relevance import Relevance
from audotics.server.pipeline.shortlist import Shortlist
from audotics.server.pipeline.taste import Taste

_HEADER: Final = struct.Struct("<5I")
"""Rows, components, places of the history, its whole length, and dimension of the user vector plus one, 0 without."""


def shortlist_to_bytes(shortlist: Shortlist) -> bytes:
    """Without `degraded`: what took no part in one list says nothing of another."""
    relevance, taste = shortlist.relevance, shortlist.taste
    dimension = 0 if taste.user_vector is None else len(taste.user_vector) + 1
    vector = np.empty(0, "<f4") if taste.user_vector is None else taste.user_vector
    numbers = (
        (shortlist.rows, "<i4"),
        (relevance.score, "<f4"),
        (relevance.confidence, "<f4"),
        (relevance.weights, "<f4"),
        (relevance.components, "<f4"),
        (relevance.available, "u1"),
        (taste.history, "<i4"),
        (vector, "<f4"),
    )
    rows, width = relevance.components.shape
    header = _HEADER.pack(rows, width, len(taste.history), taste.history_length, dimension)
    return header + b"".join(np.ascontiguousarray(array, kind).tobytes() for array, kind in numbers)


def shortlist_from_bytes(content: bytes, *, n_tracks: int) -> Shortlist | None:
    """None for bytes that are no shortlist of a catalogue with `n_tracks` rows."""
    if len(content) < _HEADER.size:
        return None
    n, width, n_heard, history_length, dimension = _HEADER.unpack_from(content)
    counts = (n, n, n, n * width, n * width, n * width, n_heard, max(0, dimension - 1))
    kinds = ("<i4", "<f4", "<f4", "<f4", "<f4", "u1", "<i4", "<f4")
    sizes = [count * np.dtype(kind).itemsize for count, kind in zip(counts, kinds, strict=True)]
    if width != len(COMPONENTS) or len(content) != _HEADER.size + sum(sizes):
        return None
    arrays: list[NDArray[Any]] = []
    start = _HEADER.size
    for count, kind, size in zip(counts, kinds, sizes, strict=True):
        arrays.append(np.frombuffer(content, kind, count, start))
        start += size
    rows, score, confidence, weights, components, available, history, vector = arrays
    if any(len(each) and not 0 <= each.min() <= each.max() < n_tracks for each in (rows, history)):
        return None
    taste = Taste(history.astype(np.int64), history_length, vector if dimension else None, None, ())
    shape = (n, width)
    relevance = Relevance(
        score, confidence, weights.reshape(shape), components.reshape(shape), available.reshape(shape).astype(np.bool_)
    )
    return Shortlist(taste, rows.astype(np.int64), relevance, ())
