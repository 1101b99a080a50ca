"""What can be had at once when no list can be made: an earlier shortlist or nothing goes in, a shortlist comes out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.history import MAX_HISTORY
from audotics.features.hybrid import COMPONENTS
from audotics.server.pipeline.candidates import first_allowed
from audotics.server.pipeline.relevance import Relevance
from audotics.server.pipeline.shortlist import Shortlist
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Degradation, DegradationReason, Listener

_LIST: Final = "list"
"""Stands in `degraded` when the answer is not a list made for this request."""


def earlier_list(
    shortlist: Shortlist, *, allowed: NDArray[np.bool_], limit: int, age_s: float, reason: DegradationReason
) -> Shortlist | None:
    """What is still `allowed`, bool over the catalogue, of a shortlist made `age_s` ago; None when it is too little."""
    said = Degradation(_LIST, reason, f"{_why(reason)} for a new list; this one was made {age_s:.0f} s ago")
    left = shortlist.without(~allowed[shortlist.rows], [said])
    return left if len(left.rows) >= limit else None


def popular_list(
    snapshot: Snapshot, listener: Listener, *, allowed: NDArray[np.bool_], most: int, reason: DegradationReason
) -> Shortlist:
    """The most played of the `allowed` tracks, at most `most`, by popularity alone."""
    signals = snapshot.catalog.signals
    rows = first_allowed(signals.popular_order, allowed, most)
    components = np.zeros((len(rows), len(COMPONENTS)), np.float32)
    available = np.zeros(components.shape, np.bool_)
    popularity = COMPONENTS.index("popularity")
    components[:, popularity] = signals.popularity.take(rows)
    available[:, popularity] = True
    taste = Taste(listener.history[-MAX_HISTORY:], len(listener.history), None, None, ())
    why = _why(reason)
    said = Degradation(_LIST, reason, f"{why} for a list of the listener's own; these are popular tracks")
    models = [Degradation(name, reason, f"{why} for it") for name, _ in snapshot.model_versions]
    return Shortlist(taste, rows, Relevance.fallback(components, available), (said, *models))


def _why(reason: DegradationReason) -> str:
    return "the deadline left no time" if reason is DegradationReason.DEADLINE else "the models failed"
