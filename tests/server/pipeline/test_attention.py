"""What a group asks of its model, and what becomes of the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audotics.features.groups import GroupEvents
from audotics.server.errors import DeadlineError
from audotics.server.pipeline.attention import attention
from audotics.server.pipeline.group_query import NOTHING_DONE
from audotics.server.runtime.model import InferenceError
from audotics.server.types import DegradationReason
from tests.server.group_bundles import write_group_model

ROWS = np.arange(0, 200, 3)


class Watched:
    """The group model, which notes what it is given; or fails with `error`."""

    waits = False

    def __init__(self, model, error=None) -> None:
        self.model, self.error = model, error
        self.given: list[dict[str, np.ndarray]] = []

    def run(self, feeds, outputs, *, deadline=None):
        self.given.append(dict(feeds))
        if self.error is not None:
            raise self.error
        return self.model.run(feeds, outputs, deadline=deadline)


@pytest.fixture
async def watch(repository, open_stage):
    """`watch(weights, …)`: what attention makes of ROWS for u00, u01, … of these weights, and what the model saw."""
    write_group_model(repository, ids=repository.tracks.ids[:-10])
    async with open_stage(repository.path) as stage:

        def watched(weights, *, deeds=NOTHING_DONE, otherwise=None, error=None):
            snapshot = stage.snapshot
            model = Watched(snapshot.group.model, error)
            values = attention(
                replace(snapshot, group=replace(snapshot.group, model=model)),
                [stage.listener(f"u{number:02d}") for number in range(len(weights))],
                ROWS,
                weights=np.asarray(weights) / np.sum(weights),
                deeds=deeds,
                otherwise=np.linspace(0, 1, len(ROWS)) if otherwise is None else otherwise,
                deadline=None,
            )
            return values, model.given[0]

        yield watched


async def test_a_member_of_twice_the_weight_is_two_members_and_one_of_none_is_nobody(watch):
    def counts(*weights):
        histories = watch(weights)[1]["member_history"]
        return [int((histories == own).all(axis=1).sum()) for own in watch([1] * len(weights))[1]["member_history"]]

    assert counts(1, 1) == [1, 1]
    assert counts(2, 1, 0.5) == [4, 2, 1]
    assert counts(0, 3, 3) == [0, 1, 1]
    assert counts(1, 1e-9) == [128, 1]  # at most about so many, however unequal they are


async def test_what_the_group_did_counts(watch):
    deeds = replace(NOTHING_DONE, events=GroupEvents(np.asarray([3, 199]), np.asarray([1.0, -0.5], np.float32)))
    given = watch([1, 1], deeds=deeds)[1]
    assert (given["event"].tolist(), given["event_weight"].tolist()) == ([3], [1.0])  # it does not know the other one


async def test_unknown_tracks_come_after_all_others_in_their_own_order(watch):
    values, _ = watch([1, 1], otherwise=np.linspace(1, 0, len(ROWS)))
    known = ROWS < 190
    assert values[known].min() == 0.0
    assert values[known].max() == 1.0
    assert (values[~known] <= 0.0).all()
    assert (np.diff(values[~known]) < 0).all()


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (InferenceError("row 7 is beyond its tables"), DegradationReason.FAILED, "row 7 is beyond its tables"),
        (DeadlineError("late"), DegradationReason.DEADLINE, "deadline"),
    ],
)
async def test_a_model_that_gives_no_scores_is_said(watch, error, reason, words):
    (left_out,), _ = watch([1, 1], error=error)
    assert (left_out.part, left_out.reason) == ("group", reason)
    assert words in left_out.detail
