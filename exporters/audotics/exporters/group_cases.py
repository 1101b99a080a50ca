"""Inputs on which the exported group model is compared with its source: histories go in, named cases come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.groups import MAX_MEMBERS
from audotics.exporters.parity import Case
from audotics.features.groups import GroupEvents, GroupInputs

_SEED: Final = 20_180_708
_CANDIDATES: Final = 60
_REAL_GROUPS: Final = 4
_RANDOM_CASES: Final = 6
_HALF_LIFE: Final = 5.0


def group_cases(histories: Sequence[NDArray[np.integer]], *, n_tracks: int, taste_size: int) -> list[Case]:
    """Groups of real listeners, of random ones, and at the edges; the most ordinary one first."""
    rng = np.random.default_rng(_SEED)

    def draw(length: int) -> NDArray[np.int64]:
        return rng.integers(0, n_tracks, length)

    def case(name: str, members: Sequence[NDArray[np.integer]], events: GroupEvents, *, candidates: int) -> Case:
        taste = rng.normal(0.0, 1.0, (len(members), taste_size)).astype(np.float32)
        taste[rng.random(len(members)) < 0.3] = 0.0
        return Case(name, GroupInputs.of(members, events, draw(candidates), taste=taste).feeds())

    def events(length: int) -> GroupEvents:
        return GroupEvents.of(draw(length), skipped=rng.random(length) < 0.3, half_life=_HALF_LIFE)

    nothing = draw(0)
    real = [np.asarray(history) for history in histories if len(history)] or [draw(5)]
    cases = [
        case(
            f"group {number} of the training data",
            [real[index] for index in rng.integers(0, len(real), 3)],
            GroupEvents.of(real[number % len(real)]),
            candidates=_CANDIDATES,
        )
        for number in range(_REAL_GROUPS)
    ]
    cases += [
        case("a single member", [draw(8)], events(3), candidates=_CANDIDATES),
        case("one candidate", [draw(8), draw(3)], events(3), candidates=1),
        case("a group that has just met", [draw(8), draw(3)], events(0), candidates=_CANDIDATES),
        case("members without histories", [nothing, draw(6), nothing], events(5), candidates=_CANDIDATES),
        case("nothing known", [nothing, nothing], events(0), candidates=_CANDIDATES),
        case("only skipped", [draw(6), draw(6)], GroupEvents.of(draw(4), skipped=np.ones(4, bool)), candidates=20),
        case("equal members", [real[0], real[0]], events(4), candidates=_CANDIDATES),
        case("the largest group", [draw(4) for _ in range(MAX_MEMBERS)], events(10), candidates=20),
    ]
    for number in range(_RANDOM_CASES):
        members = [draw(length) for length in rng.integers(0, 60, rng.integers(1, 8))]
        cases.append(case(f"random group {number}", members, events(int(rng.integers(0, 30))), candidates=_CANDIDATES))
    return cases
