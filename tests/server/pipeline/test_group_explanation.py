"""Why tracks are in a group's list: for whom they are good, and what the models said of them."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.features.hybrid import COMPONENTS
from audotics.server.pipeline.group_explanation import explain
from audotics.server.pipeline.group_query import GroupTrack
from audotics.server.pipeline.relevance import Relevance

NAMES = ("ann", "bob", "eve")
WORTH = np.asarray([[0.9, 0.8, 0.1, 0.4], [0.2, 0.7, 0.9, 0.4], [0.3, 0.3, 0.2, 0.4]])


def relevance(weight: float) -> Relevance:
    """Of four rows: the first component is `weight` times 0, 1, 2, 3, the second is not available."""
    weights, components = np.zeros((4, len(COMPONENTS))), np.zeros((4, len(COMPONENTS)))
    weights[:, 0], weights[:, 1] = weight, 0.5
    components[:, 0], components[:, 1] = np.arange(4), 9.0
    available = np.zeros((4, len(COMPONENTS)), np.bool_)
    available[:, 0] = True
    return Relevance(np.zeros(4), np.zeros(4), weights, components, available)


def explained(places, *, worth=WORTH, weights=(0.5, 0.25, 0.25), chosen_for=""):
    places = np.asarray(places, np.int64)
    tracks = [GroupTrack(f"t{place}", "", "", 0.0, chosen_for) for place in places]
    members = [relevance(weight) for weight in (1.0, 0.5, 0.1)[: len(worth)]]
    return explain(tracks, members, worth, np.asarray(weights), places, names=NAMES[: len(worth)])


def test_it_is_said_for_whom_a_track_is_good() -> None:
    first, second = explained([1, 2])
    assert first.reasons == ("Among the best 2 for all 3 members", "Worth most to ann (80%), least to eve (30%)")
    assert second.reasons == ("Among the best 2 for 1 of 3 members", "Worth most to bob (90%), least to ann (10%)")
    assert first.worth == (0.8, 0.7, 0.3)


def test_it_is_said_whose_turn_it_was_and_nothing_where_all_agree() -> None:
    (track,) = explained([3], chosen_for="bob")
    assert track.reasons == (
        "Chosen for bob, whom the list had served least so far",
        "Among the best 1 for 1 of 3 members",
    )


def test_one_member_is_told_what_a_track_is_worth() -> None:
    (track,) = explained([1], worth=WORTH[:1], weights=(1.0,))
    assert track.reasons == ("Worth 80% of what the best track is",)


def test_contributions_are_the_members_weighted_means_of_what_was_available() -> None:
    for track, place in zip(explained([2, 1]), (2, 1), strict=True):
        (part,) = track.contributions
        assert part.model == COMPONENTS[0]
        assert part.weight == pytest.approx(0.5 * 1.0 + 0.25 * 0.5 + 0.25 * 0.1)
        assert part.contribution == pytest.approx(part.weight * place)


def test_an_empty_list_needs_no_reasons() -> None:
    assert explained([]) == ()
