"""Lists that were made can be made again by another tilt."""

from __future__ import annotations

import pytest

from audotics.server.types import Draw, multiplied

TILT = (1.0, 0.2, 3.0, 1.0, 1.0, 1.0)
OTHER = (0.1, 2.0, 1.0, 1.0, 4.0, 1.0)


DRAWN = (3.0, 1.0, 0.1, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("tilt", [(), TILT])
async def test_the_list_of_another_draw_is_the_one_that_would_have_been_made(stage, tilt):
    """For the same listener in the same arm, whatever was drawn."""
    await stage.recommend("u01", 20, tilt=tilt, draw=Draw("", "", "drawn", DRAWN, 0.5, 1))
    await stage.recommend("u01", 20, tilt=multiplied(tilt, OTHER))
    made, other = stage.made
    listed = [track.track_id for track in other.answer.tracks]
    assert made.snapshot.catalog.columns.ids[made.listed_with(OTHER)].tolist() == listed
    assert listed != [track.track_id for track in made.answer.tracks]
