"""Learned attention: a group and its candidates go in, what the trained group model makes of them comes out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.errors import DeadlineError
from audotics.server.pipeline import groups
from audotics.server.pipeline.group_query import Deeds
from audotics.server.pipeline.groups import Floats
from audotics.server.pipeline.patience import patience
from audotics.server.repository.snapshot import Snapshot
from audotics.server.runtime.model import InferenceError
from audotics.server.types import Degradation, DegradationReason, Listener

_LOG: Final = logging.getLogger(__name__)
_MOST_REPEATS: Final = 128
"""Rows that members of unequal weight make in the group model, at most about."""


def attention(
    snapshot: Snapshot,
    listeners: Sequence[Listener],
    rows: NDArray[np.int64],
    *,
    weights: Floats,
    deeds: Deeds,
    otherwise: Floats,
    deadline: float | None,
) -> Floats | Sequence[Degradation]:
    """The group model's scores of `rows` (n,), scaled to 0..1; or why there are none.

    Tracks that the model does not know come after all others, in the order of `otherwise` (n,), which is in 0..1. To
    the model a member of twice the weight is two members, by which its attention to them doubles. `deadline` is when
    it must be done, on the clock of `time.monotonic()`.
    """
    part = snapshot.group
    if part is None:
        return snapshot.ungrouped
    histories = [
        listener.history for listener, count in zip(listeners, _repeats(weights), strict=True) for _ in range(count)
    ]
    try:
        scores = part.scores(histories, deeds.events, rows, deadline=patience(part.model, deadline))
    except DeadlineError:
        return (Degradation.late("group"),)
    except InferenceError as error:
        _LOG.warning("left out of a list: %s", error, exc_info=error)
        return (Degradation("group", DegradationReason.FAILED, str(error)),)
    known = ~np.isnan(scores)
    values = otherwise - 1.0
    if known.any():
        values[known] = groups.worths(scores[None, known])[0]
    return values


def _repeats(weights: Floats) -> list[int]:
    """How often each member stands for themselves: by weight, never for no weight."""
    having_say = weights[weights > 0]
    times = np.minimum(weights / having_say.min(), weights * max(_MOST_REPEATS, len(having_say)))
    counts: list[int] = np.where(weights > 0, np.maximum(np.rint(times), 1), 0).astype(int).tolist()
    return counts
