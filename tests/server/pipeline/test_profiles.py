"""How a likeness compares with that of other listeners."""

from __future__ import annotations

import numpy as np

from audotics.features.profile import FACETS
from audotics.server.pipeline.profiles import Strangers, StrangersCache, share_below
from audotics.server.types import TrackRecord


def test_the_share_below_counts_ties_half_and_leaves_what_is_unknown() -> None:
    values = np.asarray([0.5, 1.0, 2.0, 2.5, 3.0, 4.0, np.nan])
    shares = share_below(np.asarray([1.0, 2.0, 2.0, 3.0]), values)
    np.testing.assert_array_equal(shares, [0.0, 0.125, 0.5, 0.75, 0.875, 1.0, np.nan])
    assert share_below(np.empty(0), values[:1]).tolist() == [0.0]


async def test_pairs_of_listeners_are_what_a_likeness_is_compared_with(stage):
    strangers = Strangers.measure(stage.snapshot.catalog)
    assert [len(others) <= 30 * 29 / 2 for others in strangers.likeness] == [True] * len(FACETS)
    least, most = (np.asarray([others[place] for others in strangers.likeness]) for place in (0, -1))
    assert (strangers.exceeded(least - 0.1) == 0.0).all()
    assert (strangers.exceeded(most + 0.1) == 1.0).all()
    assert (np.diff(strangers.genre_diversity) >= 0).all()
    assert len(strangers.genre_diversity) == len(strangers.mood_diversity) == 30


async def test_with_too_few_listeners_a_likeness_is_what_it_is(tmp_path, make_repository, open_stage):
    files = make_repository(tmp_path / "repository", n_users=9, kinds=("catalog",))
    async with open_stage(files.path) as stage:
        strangers = Strangers.measure(stage.snapshot.catalog)
        values = np.linspace(0.1, 0.4, len(FACETS))
        assert strangers.exceeded(values).tolist() == values.tolist()
        assert len(strangers.genre_diversity) == len(strangers.mood_diversity) == 0


async def test_each_catalogue_is_measured_once(stage):
    cache, before = StrangersCache(), stage.snapshot.catalog
    measured = cache.of(before)
    assert cache.of(before) is measured
    await stage.registry.apply_tracks(upserts=[TrackRecord("t000", tags=("rock",))])
    assert cache.of(stage.snapshot.catalog) is not measured
