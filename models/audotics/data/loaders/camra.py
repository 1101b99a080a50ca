"""Groups in the files of AGREE (Cao et al. 2018), such as CAMRa2011: a folder goes in, a group data set comes out.

groupMember.txt             group, a blank, its members between commas
groupRatingTrain.txt        group item rating, likewise groupRatingTest.txt, userRatingTrain.txt and userRatingTest.txt
groupRatingNegative.txt     (group,item) and the items that this test item is ranked against

The published split of CAMRa2011 has traps, which `report` counts. A group's rows are those of its members put together,
and the split was drawn row by row. So two fifths of the test items stand in the group's training rows too, from another
member; and the negatives were drawn from all items, so that one in twenty is an item that the group knows. The
interactions keep the number of rows as weights, and `GroupDataset.unheard` leaves the strict part. The rating itself is
not used: each row says that the group chose the item. Nothing tells the order of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError, Interactions, LoadReport
from audotics.data.groups import NO_TRACK, GroupCandidates, GroupDataset, check_members
from audotics.data.loaders.broken_rows import BrokenRowError, BrokenRows
from audotics.data.loaders.ids import numbers_as_ids
from audotics.data.loaders.lines import numbered_lines
from audotics.features.tracks import TrackColumns

MEMBER_FILE: Final = "groupMember.txt"
_GROUP_TRAIN: Final = "groupRatingTrain.txt"
_GROUP_TEST: Final = "groupRatingTest.txt"
_GROUP_NEGATIVE: Final = "groupRatingNegative.txt"
_USER_TRAIN: Final = "userRatingTrain.txt"
_USER_TEST: Final = "userRatingTest.txt"

Rows = list[tuple[int, int, int]]
"""Line number, group or user, item."""


def load_camra(path: Path, *, skip_bad_rows: bool = False) -> GroupDataset:
    """Read a folder. Ids are the numbers as text, rows stand in their order.

    `users` holds the users' training rows; their test rows only tell which users there are, since they repeat the
    groups' test rows. Raises DataError: for a broken line, a group without members or with one that no user file
    names, and for rows of a group that groupMember.txt lacks, with file and line.
    """
    report = LoadReport(str(path))
    broken = BrokenRows(report, skip_bad_rows)
    user_train, user_test = (_ratings(path / name, broken) for name in (_USER_TRAIN, _USER_TEST))
    group_train, group_test = (_ratings(path / name, broken) for name in (_GROUP_TRAIN, _GROUP_TEST))
    sampled = list(_negatives(path / _GROUP_NEGATIVE, broken))
    users = np.unique(np.asarray([user for _, user, _ in user_train + user_test], np.int64))
    items = np.unique(
        np.asarray(
            [item for rows in (user_train, group_train, group_test) for _, _, item in rows]
            + [item for _, _, negatives in sampled for item in negatives],
            np.int64,
        )
    )
    members = dict(_members(path / MEMBER_FILE, users, broken))
    groups = np.asarray(sorted(members), np.int64)
    if not len(groups) or not group_train:
        raise DataError("holds no usable groups", path=path)
    train = _interactions(path / _GROUP_TRAIN, group_train, groups, items, broken)
    test = _candidates(path, group_test, sampled, groups, items, broken)
    data = GroupDataset(
        name=path.resolve().name,
        tracks=TrackColumns.build(numbers_as_ids(items)),
        user_ids=numbers_as_ids(users),
        group_ids=numbers_as_ids(groups),
        members=[members[int(group)] for group in groups],
        users=_interactions(path / _USER_TRAIN, user_train, users, items, broken),
        groups=train,
        taste=np.zeros((len(users), 0), np.float32),
        test=test,
        report=report,
    )
    _count(data, report)
    return data


def _ratings(path: Path, broken: BrokenRows) -> Rows:
    rows = []
    for line, text in numbered_lines(path):
        cells = text.split()
        if len(cells) == 3 and cells[0].isdecimal() and cells[1].isdecimal() and _is_number(cells[2]):
            rows.append((line, int(cells[0]), int(cells[1])))
        elif cells:
            broken.reject(path, line, BrokenRowError("not an id, an item and a rating", detail=repr(text[:60])))
    return rows


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).isdecimal()


def _negatives(path: Path, broken: BrokenRows) -> Iterator[tuple[int, tuple[int, int], list[int]]]:
    """Yield line, (group, item) and sampled items of lines such as `(0,25) 1064 174`."""
    for line, text in numbered_lines(path):
        pair, *items = text.split() if text.strip() else ("",)
        group, comma, item = pair.removeprefix("(").removesuffix(")").partition(",")
        if comma and group.isdecimal() and item.isdecimal() and all(cell.isdecimal() for cell in items):
            yield line, (int(group), int(item)), [int(cell) for cell in items]
        elif text.strip():
            broken.reject(path, line, BrokenRowError("not (group,item) and item numbers", detail=repr(text[:60])))


def _members(path: Path, users: NDArray[np.int64], broken: BrokenRows) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Yield groups with the rows of their members in `users`."""
    found: set[int] = set()
    for line, text in numbered_lines(path):
        if not text.strip():
            continue
        group, _, listed = text.strip().partition(" ")
        numbers = [cell for cell in listed.strip().split(",") if cell]
        if not group.isdecimal() or not all(cell.isdecimal() for cell in numbers):
            broken.reject(path, line, BrokenRowError("not a group and its members", detail=repr(text[:60])))
            continue
        if int(group) in found:
            raise DataError(f"group {group} stands here a second time; give each group one line", path=path, line=line)
        found.add(int(group))
        wanted = np.asarray([int(cell) for cell in numbers], np.int64)
        rows = np.minimum(np.searchsorted(users, wanted), len(users) - 1)
        try:
            known = users[rows] == wanted
            check_members(np.where(known, rows, NO_TRACK), n_users=len(users), group=f"group {group}")
        except DataError as error:
            raise DataError(str(error), path=path, line=line) from error
        yield int(group), rows.astype(np.int32)


def _interactions(
    path: Path, rows: Rows, known: NDArray[np.int64], items: NDArray[np.int64], broken: BrokenRows
) -> Interactions:
    """Joined pairs of rows in `known` and `items`; weights count the rows of each pair."""
    kept = [(owner, item) for _, owner, item in _of_known(path, rows, known, broken)]
    owners, tracks = np.asarray(kept, np.int64).reshape(-1, 2).T
    return Interactions.build(np.searchsorted(known, owners), np.searchsorted(items, tracks))


def _of_known(path: Path, rows: Rows, known: NDArray[np.int64], broken: BrokenRows) -> Iterator[tuple[int, int, int]]:
    names = set(known.tolist())
    for line, owner, item in rows:
        if owner in names:
            yield line, owner, item
        else:
            broken.reject(path, line, BrokenRowError(f"a group that {MEMBER_FILE} lacks", detail=str(owner)))


def _candidates(
    path: Path,
    test: Rows,
    sampled: list[tuple[int, tuple[int, int], list[int]]],
    groups: NDArray[np.int64],
    items: NDArray[np.int64],
    broken: BrokenRows,
) -> GroupCandidates:
    """The test rows with the negatives of the same pair, in the order of the negatives' file."""
    pairs = {(group, item) for _, group, item in _of_known(path / _GROUP_TEST, test, groups, broken)}
    kept = []
    for line, pair, negatives in sampled:
        if pair in pairs:
            kept.append((pair, negatives))
        else:
            error = BrokenRowError(f"a pair that {_GROUP_TEST} lacks", detail=str(pair))
            broken.reject(path / _GROUP_NEGATIVE, line, error)
    width = max((len(negatives) for _, negatives in kept), default=0)
    rows = np.full((len(kept), width), NO_TRACK, np.int32)
    for row, (_, negatives) in enumerate(kept):
        rows[row, : len(negatives)] = np.searchsorted(items, negatives)
    owners, positives = np.asarray([pair for pair, _ in kept], np.int64).reshape(-1, 2).T
    tracks = np.searchsorted(items, positives).astype(np.int32)
    equal = rows == tracks[:, None]
    rows[equal] = NO_TRACK
    broken.report.dropped["negatives equal to the held-out item"] += int(equal.sum())
    return GroupCandidates(np.searchsorted(groups, owners).astype(np.int32), tracks, rows)


def _count(data: GroupDataset, report: LoadReport) -> None:
    heard = data.heard()
    test = data.test
    report.read["users"], report.read["groups"] = data.n_users, data.n_groups
    report.read["tracks"] = data.n_tracks
    report.read["pairs of users"], report.read["pairs of groups"] = len(data.users), len(data.groups)
    report.read["rows of groups"] = int(data.groups.weights.sum())
    report.read["test rows"] = len(test)
    report.read["test rows whose item is in training too"] = int(heard[test.groups, test.positives].sum())
    real = test.negatives != NO_TRACK
    known = heard[test.groups[:, None], np.maximum(test.negatives, 0)]
    report.read["negatives"], report.read["negatives that the group knows"] = int(real.sum()), int((known & real).sum())
    report.dropped = +report.dropped
