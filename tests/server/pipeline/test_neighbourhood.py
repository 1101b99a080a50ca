"""What is near to a listener: how deep the indexes are searched, and what they are searched for."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.server.pipeline.neighbourhood import SearchDepth, search
from audotics.server.pipeline.options import PipelineOptions
from audotics.server.pipeline.taste import Taste


@pytest.mark.parametrize(
    ("limit", "n_seen", "depth"),
    [
        (10, 0, (100, 25)),
        (50, 0, (100, 25)),
        (100, 0, (200, 50)),
        (10, 40, (100, 25)),  # they are less than the half
        (10, 80, (130, 38)),
        (10, 300, (350, 112)),
        (10, 9000, (350, 112)),
        (100, 300, (400, 125)),
    ],
)
def test_a_search_is_deep_enough_for_a_list_without_what_is_known(limit, n_seen, depth):
    assert SearchDepth.of(PipelineOptions(), limit=limit, n_seen=n_seen) == SearchDepth(*depth, 3)


@pytest.mark.parametrize("kind", ["collaborative", "content"])
async def test_only_what_is_allowed_is_searched_for(tmp_path, make_repository, open_stage, kind):
    files = make_repository(tmp_path / "repository", kinds=("catalog", kind), other_rows=True)
    async with open_stage(files.path) as stage:
        snapshot, depth = stage.snapshot, SearchDepth(12, 8, 2)
        of_two = np.concatenate([stage.listener(user_id).history for user_id in ("u01", "u02")])
        taste = Taste.read(snapshot, of_two)
        count = 12
        if kind == "content":
            assert len(taste.interests(2)) == 2
            count = 8 * 2
        allowed = np.arange(200) % 5 == 0

        everything = search(snapshot, taste, depth)
        found = search(snapshot, taste, depth, allowed=allowed)

        assert len(np.unique(found)) == len(np.unique(everything)) == count
        assert allowed[found].all()
        assert not allowed[everything].all()
        if kind == "collaborative":
            scores = snapshot.collaborative.scores(taste.user_vector, np.flatnonzero(allowed))
            best = np.flatnonzero(allowed)[np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")[:12]]
            assert set(found) == set(best)


async def test_nothing_is_near_to_whom_nothing_is_known_of(stage):
    assert (
        search(stage.snapshot, Taste.read(stage.snapshot, np.empty(0, np.int64)), SearchDepth(9, 9, 3)).tolist() == []
    )
