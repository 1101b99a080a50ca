"""Groups of listeners: members and interactions go in, a checked data set with training and held-out parts comes out.

A group's interactions are what happened in its name. Where a source counts the same track more than once for a group,
because several members rated it, `weights` keep the count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError, Interactions, LoadReport
from audotics.features.tracks import TrackColumns

NO_TRACK = -1
MAX_MEMBERS = 100
"""Members that a group may have."""


@dataclass(frozen=True, slots=True)
class GroupCandidates:
    """Held-out tracks and what each is ranked against.

    groups and positives are int32 (r,); negatives int32 (r, k), with NO_TRACK where one was dropped.
    """

    groups: NDArray[np.int32]
    positives: NDArray[np.int32]
    negatives: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.groups)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> GroupCandidates:
        return GroupCandidates(self.groups[rows], self.positives[rows], self.negatives[rows])


@dataclass(frozen=True, slots=True)
class GroupDataset:
    """A catalogue, its listeners, and groups of them.

    `members` has one int32 array of listener rows a group. `users` holds the listeners' own training interactions,
    `groups` those of the groups, with group rows in place of user rows. `taste` float32 (n_users, t) is an encoded text
    of what each listener likes, a row of zeros where there is none; t may be 0. `simulated` groups were put together
    from single listeners and never met.
    """

    name: str
    tracks: TrackColumns
    user_ids: NDArray[np.object_]
    group_ids: NDArray[np.object_]
    members: Sequence[NDArray[np.int32]]
    users: Interactions
    groups: Interactions
    taste: NDArray[np.float32]
    test: GroupCandidates
    report: LoadReport
    simulated: bool = False

    def __post_init__(self) -> None:
        for kind, ids in (("track", self.tracks.ids), ("user", self.user_ids), ("group", self.group_ids)):
            distinct, counts = np.unique(ids.astype(str), return_counts=True)
            if (counts > 1).any():
                raise DataError(
                    f"{self.name}: {kind} id {str(distinct[counts > 1][0])!r} occurs twice; ids must be unique"
                )
        if len(self.members) != self.n_groups or not self.n_groups:
            raise DataError(f"{self.name}: {self.n_groups} groups have {len(self.members)} lists of members")
        for row, members in enumerate(self.members):
            check_members(members, n_users=self.n_users, group=f"{self.name}: group {self.group_ids[row]!r}")
        if self.taste.shape[:1] != (self.n_users,):
            raise DataError(f"{self.name}: taste has {len(self.taste)} rows for {self.n_users} users")

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_groups(self) -> int:
        return len(self.group_ids)

    @property
    def n_tracks(self) -> int:
        return len(self.tracks)

    def user_histories(self) -> list[NDArray[np.int32]]:
        return self.users.histories(self.n_users)

    def group_histories(self) -> list[NDArray[np.int32]]:
        return self.groups.histories(self.n_groups)

    def with_taste(self, taste: NDArray[np.float32]) -> GroupDataset:
        """The same groups whose listeners have encoded texts, float32 (n_users, t)."""
        return replace(self, taste=taste)

    def heard(self) -> NDArray[np.bool_]:
        """bool (n_groups, n_tracks): what stands in a group's history or in that of any of its members."""
        heard = np.zeros((self.n_groups, self.n_tracks), np.bool_)
        heard[self.groups.users, self.groups.tracks] = True
        histories = self.user_histories()
        for row, members in enumerate(self.members):
            for member in members:
                heard[row, histories[member]] = True
        return heard

    def unheard(self, candidates: GroupCandidates) -> GroupCandidates:
        """The rows whose positive is new to the group, against negatives that are new to it as well.

        Positives of the group's other rows are no negatives either.
        """
        heard = self.heard()
        kept = candidates.take(~heard[candidates.groups, candidates.positives])
        known = heard
        known[candidates.groups, candidates.positives] = True
        negatives = np.where(known[kept.groups[:, None], np.maximum(kept.negatives, 0)], NO_TRACK, kept.negatives)
        return replace(kept, negatives=negatives)


def check_members(members: NDArray[np.integer], *, n_users: int, group: str) -> None:
    """Raise DataError, which begins with `group`, for one that is empty, too large, or has members twice or unknown."""
    if not 0 < len(members) <= MAX_MEMBERS:
        raise DataError(f"{group} has {len(members)} members; 1 to {MAX_MEMBERS} are possible")
    if len(np.unique(members)) < len(members):
        raise DataError(f"{group} names a member twice")
    if members.min() < 0 or members.max() >= n_users:
        raise DataError(f"{group} has a member that is no known listener; give every member a history or leave it out")


def hold_out(data: GroupDataset, *, per_group: int, negatives: int, seed: int) -> tuple[GroupDataset, GroupCandidates]:
    """Cut up to `per_group` interactions of each group out of the training part, each against uniform negatives.

    This imitates how the test part of AGREE (Cao et al. 2018) was cut: it draws from single interactions. So of a track
    that counts twice for a group one count stays in training. Members lose the pairs that they brought to what was
    drawn: one member where counts stay, all of them where none does. A group keeps half of its tracks at least.
    """
    rng = np.random.default_rng(seed)
    counts = np.maximum(np.rint(data.groups.weights), 1.0).astype(np.int64)
    offsets = data.groups.offsets(data.n_groups)
    owners = _owners(data)
    left = counts.copy()
    lost: set[tuple[int, int]] = set()
    rows = []
    for group in range(data.n_groups):
        span = np.arange(offsets[group], offsets[group + 1])
        single = np.repeat(span, counts[span])
        for place in rng.permutation(single)[: min(per_group, len(span) // 2)]:
            rows.append(place)
            track = int(data.groups.tracks[place])
            having = [(user, track) for user in owners.get((group, track), ()) if (user, track) not in lost]
            if left[place] == 1:
                lost.update(having)
            elif having and rng.random() < len(having) / left[place]:
                lost.add(having[rng.integers(len(having))])
            left[place] -= 1
    if not rows:
        raise DataError(f"{data.name}: no group has two tracks, so none can be held out; bring more group data")
    chosen = np.asarray(rows)
    groups, positives = data.groups.users[chosen], data.groups.tracks[chosen]
    drawn = rng.integers(0, data.n_tracks, (len(chosen), negatives)).astype(np.int32)
    drawn[drawn == positives[:, None]] = NO_TRACK
    kept = left > 0
    remaining = Interactions(
        data.groups.users[kept],
        data.groups.tracks[kept],
        left[kept].astype(np.float32),
        data.groups.timestamps[kept],
    )
    users = data.users.take(
        np.asarray(
            [pair not in lost for pair in zip(data.users.users.tolist(), data.users.tracks.tolist(), strict=True)]
        )
    )
    return replace(data, groups=remaining, users=users), GroupCandidates(groups, positives, drawn)


def _owners(data: GroupDataset) -> dict[tuple[int, int], list[int]]:
    """The members who have each (group, track) in their own histories."""
    histories = data.user_histories()
    owners: dict[tuple[int, int], list[int]] = {}
    for group, members in enumerate(data.members):
        for member in members.tolist():
            for track in histories[member].tolist():
                owners.setdefault((group, track), []).append(member)
    return owners
