"""Simulated groups are listeners of like taste, and what is held out of them is nowhere in their histories."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.groups import NO_TRACK, GroupDataset
from audotics.data.simulated_groups import SimulationOptions, simulate_groups
from audotics.features.tracks import TrackColumns
from tests.groups import N_TRACKS, ids


@pytest.fixture(scope="module")
def histories() -> list[np.ndarray]:
    """Even listeners hear 12 of tracks 0..19, odd ones of 20..39."""
    rng = np.random.default_rng(0)
    return [(rng.choice(20, 12, replace=False) + 20 * (user % 2)).astype(np.int32) for user in range(40)]


@pytest.fixture(scope="module")
def data(histories: list[np.ndarray]) -> GroupDataset:
    options = SimulationOptions(neighbours=10, per_group=2, negatives=30)
    return simulate_groups("made", TrackColumns.build(ids("t", N_TRACKS)), ids("u", 40), histories, options, seed=0)


def test_members_share_a_taste_and_belong_to_one_group(data: GroupDataset) -> None:
    assert data.simulated
    assert data.n_groups >= 8
    assert all(len({int(member) % 2 for member in members}) == 1 for members in data.members)
    everybody = np.concatenate(data.members)
    assert len(np.unique(everybody)) == len(everybody)
    assert {len(members) for members in data.members} <= {2, 3, 4, 5}


def test_a_group_has_what_two_members_heard(data: GroupDataset, histories: list[np.ndarray]) -> None:
    for members, own in zip(data.members, data.group_histories(), strict=True):
        counts = np.bincount(np.concatenate([histories[member] for member in members]), minlength=N_TRACKS)
        assert (counts[own] >= 2).all()
        assert len(own) >= 2


def test_held_out_tracks_are_in_no_history_of_the_group(data: GroupDataset, histories: list[np.ndarray]) -> None:
    assert len(data.test) >= data.n_groups
    assert not data.heard()[data.test.groups, data.test.positives].any()
    for group, track in zip(data.test.groups, data.test.positives, strict=True):
        assert sum(track in histories[member] for member in data.members[group]) >= 2


def test_negatives_are_tracks_that_no_member_heard(data: GroupDataset, histories: list[np.ndarray]) -> None:
    for group, negatives in zip(data.test.groups, data.test.negatives, strict=True):
        heard = np.concatenate([histories[member] for member in data.members[group]])
        real = negatives[negatives != NO_TRACK]
        assert len(real) > 5
        assert not np.isin(real, heard).any()


def test_the_seed_decides(histories: list[np.ndarray]) -> None:
    tracks, users = TrackColumns.build(ids("t", N_TRACKS)), ids("u", 40)
    first, again, other = (simulate_groups("made", tracks, users, histories, seed=seed) for seed in (3, 3, 4))

    assert [row.tolist() for row in first.members] == [row.tolist() for row in again.members]
    assert [row.tolist() for row in first.members] != [row.tolist() for row in other.members]


def test_listeners_with_nothing_in_common_are_no_groups() -> None:
    alone = [np.arange(5, dtype=np.int32) + 5 * user for user in range(4)]
    with pytest.raises(DataError, match="no two listeners share 4 tracks"):
        simulate_groups("made", TrackColumns.build(ids("t", 20)), ids("u", 4), alone, seed=0)
