"""Single conditions of filters, at their limits and where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.features.audio import AUDIO_FEATURES
from audotics.server.pipeline.filters import FilterMasks
from audotics.server.types import FeatureRange, TrackFilter, TrackRecord

AUDIO = tuple(0.5 if name == "energy" else 0.1 for name in AUDIO_FEATURES)
TRACKS = [
    TrackRecord("unknown"),
    TrackRecord("old", release_year=1980, explicit=False, duration_ms=1000, popularity=0.25, audio=AUDIO),
    TrackRecord("new", release_year=2000, explicit=True, duration_ms=2000, popularity=0.75, tags=("Jazz", "live")),
    TrackRecord("fusion", release_year=1990, tags=("jazz fusion",), artist="Somebody"),
]


@pytest.fixture
async def passing(stage):
    """`passing(filter)`: the ids of those of TRACKS that pass."""
    await stage.registry.apply_tracks(upserts=TRACKS)
    catalog, masks = stage.snapshot.catalog, FilterMasks()

    def ids(**conditions):
        mask = masks.mask(catalog, TrackFilter(**conditions))
        assert not mask.flags.writeable  # it is given to others, too
        return set(catalog.columns.ids[200:][mask[200:]])

    return ids


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, {"unknown", "old", "new", "fusion"}),
        ({"min_release_year": 1990}, {"new", "fusion"}),
        ({"min_release_year": 0}, {"old", "new", "fusion"}),
        ({"max_release_year": 1990}, {"old", "fusion"}),
        ({"min_release_year": 1980, "max_release_year": 1980}, {"old"}),
        ({"explicit": False}, {"old"}),
        ({"explicit": True}, {"new"}),
        ({"genres": ("jazz",)}, {"new", "fusion"}),
        ({"genres": (" JAZZ ",)}, {"new", "fusion"}),
        ({"genres": ("live",)}, {"new"}),
        ({"excluded_genres": ("jazz",)}, {"unknown", "old"}),
        ({"artists": ("Somebody",)}, {"fusion"}),
        ({"excluded_artists": ("Somebody",)}, {"unknown", "old", "new"}),
    ],
)
async def test_a_condition_holds_at_its_limit_and_not_where_nothing_is_known(passing, conditions, expected):
    assert passing(**conditions) == expected


@pytest.mark.parametrize(
    ("feature", "low", "high"), [("duration_ms", 1000, 2000), ("popularity", 0.25, 0.75), ("energy", 0.5, None)]
)
async def test_a_range_holds_at_its_limits_and_not_where_nothing_is_known(passing, feature, low, high):
    def within(**limits):
        return passing(ranges=(FeatureRange(feature, **limits),))

    assert within(min=low) == ({"old", "new"} if high else {"old"})
    assert within() == within(min=low)
    assert within(max=low) == {"old"}
    assert within(min=low, max=low) == {"old"}
    assert within(min=np.nextafter(np.float32(low), np.float32(9e9))) == ({"new"} if high else set())
    assert within(max=np.nextafter(np.float32(low), np.float32(-1))) == set()


async def test_the_catalogue_of_this_moment_is_filtered(stage):
    masks, jazz = FilterMasks(), TrackFilter(genres=("jazz",))
    before = masks.mask(stage.snapshot.catalog, jazz)
    row = int(np.flatnonzero(before)[0])
    await stage.registry.apply_tracks(
        upserts=[TrackRecord("new", tags=("jazz",))], deletes=[stage.snapshot.catalog.columns.ids[row]]
    )
    after = masks.mask(stage.snapshot.catalog, jazz)
    assert (len(after), after[200], after[row]) == (201, True, False)
