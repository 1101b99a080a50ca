"""Groups are checked when they are made; held-out parts leave no trace in what remains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.groups import MAX_MEMBERS, NO_TRACK, GroupCandidates, GroupDataset, hold_out
from tests.groups import group_dataset, two_tastes

USERS = [[0, 1, 2], [2, 3], [4]]


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([], "has 0 members; 1 to 100 are possible"),
        ([0, 1, 0], "names a member twice"),
        ([0, 3], "has a member that is no known listener"),
        ([-1], "has a member that is no known listener"),
    ],
)
def test_a_group_that_cannot_be_is_refused(members: list[int], problem: str) -> None:
    with pytest.raises(DataError, match=f"made: group 'g1' {problem}"):
        group_dataset(members=[[0], members], users=USERS, groups=[[1], [2]])


def test_a_hundred_members_are_possible_and_no_more() -> None:
    users = [[0]] * (MAX_MEMBERS + 1)
    assert group_dataset(members=[list(range(MAX_MEMBERS))], users=users, groups=[[1]]).n_groups == 1
    with pytest.raises(DataError, match="has 101 members"):
        group_dataset(members=[list(range(MAX_MEMBERS + 1))], users=users, groups=[[1]])


def test_ids_must_be_unique() -> None:
    data = group_dataset(members=[[0]], users=USERS, groups=[[1]])
    with pytest.raises(DataError, match="user id 'u0' occurs twice"):
        replace(data, user_ids=np.asarray(["u0", "u1", "u0"], object))


def test_taste_needs_a_row_a_user() -> None:
    with pytest.raises(DataError, match="taste has 2 rows for 3 users"):
        group_dataset(members=[[0]], users=USERS, groups=[[1]], taste=np.zeros((2, 4)))


def test_heard_is_what_the_group_or_a_member_had() -> None:
    data = group_dataset(members=[[0, 1], [2]], users=USERS, groups=[[5], [6, 7]], n_tracks=9)

    assert [np.flatnonzero(row).tolist() for row in data.heard()] == [[0, 1, 2, 3, 5], [4, 6, 7]]


def test_unheard_keeps_rows_and_negatives_that_are_new_to_the_group() -> None:
    data = group_dataset(members=[[0, 1], [2]], users=USERS, groups=[[5], [6, 7]], n_tracks=12)
    rows = GroupCandidates(
        np.asarray([0, 0, 0, 1], np.int32),
        np.asarray([3, 8, 9, 0], np.int32),
        np.asarray([[10, 11], [5, 10], [8, 11], [6, NO_TRACK]], np.int32),
    )

    new = data.unheard(rows)

    assert new.positives.tolist() == [8, 9, 0]
    assert new.negatives.tolist() == [[NO_TRACK, 10], [NO_TRACK, 11], [NO_TRACK, NO_TRACK]]


@pytest.fixture(scope="module")
def cut() -> tuple[GroupDataset, GroupDataset, GroupCandidates]:
    data = two_tastes()
    return data, *hold_out(data, per_group=3, negatives=50, seed=1)


def test_held_out_pairs_are_gone_from_the_group_and_its_members(
    cut: tuple[GroupDataset, GroupDataset, GroupCandidates],
) -> None:
    data, fitting, held = cut

    assert np.bincount(held.groups).tolist() == [3] * data.n_groups
    assert len(fitting.groups) == len(data.groups) - len(held)
    assert data.heard()[held.groups, held.positives].all()
    assert not fitting.heard()[held.groups, held.positives].any()
    assert len(fitting.users) < len(data.users)


def test_negatives_are_uniform_and_never_the_positive(
    cut: tuple[GroupDataset, GroupDataset, GroupCandidates],
) -> None:
    data, _, held = cut

    assert held.negatives.shape == (len(held), 50)
    assert not (held.negatives == held.positives[:, None]).any()
    drawn = held.negatives[held.negatives != NO_TRACK]
    assert np.bincount(drawn, minlength=data.n_tracks).min() > 0.6 * len(drawn) / data.n_tracks
    assert 0 < (held.negatives == NO_TRACK).mean() < 0.06


def test_of_a_track_that_counts_twice_one_count_stays_with_one_member() -> None:
    data = group_dataset(
        members=[[0, 1]], users=[[0, 1, 2, 3], [0, 1, 2, 3]], groups=[[0, 1, 2, 3]], weights=[2.0] * 4, n_tracks=6
    )

    fitting, held = hold_out(data, per_group=1, negatives=5, seed=0)

    track = int(held.positives[0])
    assert fitting.group_histories()[0].tolist() == [0, 1, 2, 3]
    assert fitting.groups.weights[track] == 1.0
    assert sum(track in history for history in fitting.user_histories()) == 1


def test_a_group_keeps_half_of_its_tracks() -> None:
    data = group_dataset(members=[[0], [1]], users=USERS, groups=[[0, 1, 2], [5]])

    fitting, held = hold_out(data, per_group=5, negatives=4, seed=0)

    assert held.groups.tolist() == [0]
    assert [len(history) for history in fitting.group_histories()] == [2, 1]


def test_the_same_seed_cuts_the_same_part() -> None:
    data = two_tastes()
    first, again, other = (hold_out(data, per_group=2, negatives=9, seed=seed)[1] for seed in (4, 4, 5))

    np.testing.assert_array_equal(first.positives, again.positives)
    np.testing.assert_array_equal(first.negatives, again.negatives)
    assert (first.positives != other.positives).any()


def test_nothing_to_hold_out_is_an_error() -> None:
    with pytest.raises(DataError, match="no group has two tracks"):
        hold_out(group_dataset(members=[[0]], users=USERS, groups=[[1]]), per_group=1, negatives=1, seed=0)
