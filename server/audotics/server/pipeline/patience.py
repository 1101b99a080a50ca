"""How long a list waits for a model: when the list's models must be done goes in, when this one must be comes out.

A model on another server that is still waited for when time runs out leaves some of it to make the list without. One
at home is not waited for: it runs when there is time to begin.
"""

from __future__ import annotations

from typing import Final

from audotics.server.runtime.model import Model

FAR_RESERVE_S: Final = 0.01
"""Enough, on a busy machine, to hear that there is no answer, to run the models at home and to make the list."""


def patience(model: Model, deadline: float | None) -> float | None:
    """The `deadline` of a run of `model`, on the clock of `time.monotonic()`; None for no limit."""
    if deadline is None or not model.waits:
        return deadline
    return deadline - FAR_RESERVE_S
