"""Groups of listeners of two tastes, for the tests of several rooms."""

from __future__ import annotations

import numpy as np

from audotics.data.dataset import Interactions, LoadReport
from audotics.data.groups import GroupCandidates, GroupDataset
from audotics.features.tracks import TrackColumns

N_TRACKS = 40


def ids(prefix: str, n: int) -> np.ndarray:
    column = np.empty(n, object)
    column[:] = [f"{prefix}{number}" for number in range(n)]
    return column


def interactions(histories: list[list[int]], weights: list[float] | None = None) -> Interactions:
    owners = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    tracks = np.concatenate([np.zeros(0, np.int64), *[np.asarray(history, np.int64) for history in histories]])
    return Interactions.build(owners, tracks, weights=None if weights is None else np.asarray(weights))


def group_dataset(
    *,
    members: list[list[int]],
    users: list[list[int]],
    groups: list[list[int]],
    n_tracks: int = N_TRACKS,
    weights: list[float] | None = None,
    test: GroupCandidates | None = None,
    taste: np.ndarray | None = None,
) -> GroupDataset:
    nothing = GroupCandidates(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 1), np.int32))
    return GroupDataset(
        name="made",
        tracks=TrackColumns.build(ids("t", n_tracks)),
        user_ids=ids("u", len(users)),
        group_ids=ids("g", len(groups)),
        members=[np.asarray(row, np.int32) for row in members],
        users=interactions(users),
        groups=interactions(groups, weights),
        taste=np.zeros((len(users), 0), np.float32) if taste is None else taste.astype(np.float32),
        test=nothing if test is None else test,
        report=LoadReport("made"),
    )


def two_tastes(*, with_taste: bool = False) -> GroupDataset:
    """60 listeners of 40 tracks: the even ones hear 8 of tracks 0..19, the odd ones 8 of 20..39.

    30 groups are two neighbours of a taste, whose history is 8 more tracks of it. The test has 2 unheard tracks of each
    group's taste against all of the other. A taste is the vector (1, 0) or (0, 1).
    """
    rng = np.random.default_rng(0)
    users = [(rng.choice(20, 8, replace=False) + 20 * (user % 2)).tolist() for user in range(60)]
    members = [[user, user + 2] for block in range(0, 60, 4) for user in (block, block + 1)]
    groups, rows = [], []
    for number, (first, second) in enumerate(members):
        own = rng.permutation(20) + 20 * (first % 2)
        groups.append(own[:8].tolist())
        unheard = [track for track in own[8:].tolist() if track not in users[first] + users[second]]
        rows += [(number, track) for track in unheard[:2]]
    owners, positives = np.asarray(rows, np.int32).T
    against = np.where(owners[:, None] % 2 == 0, np.arange(20, 40), np.arange(20)).astype(np.int32)
    return group_dataset(
        members=members,
        users=users,
        groups=groups,
        test=GroupCandidates(owners, positives, against),
        taste=np.eye(2)[np.arange(60) % 2] if with_taste else None,
    )
