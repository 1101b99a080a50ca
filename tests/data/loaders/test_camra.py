"""The files of AGREE: groups, rows that repeat, held-out items with negatives, and what is wrong with a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.groups import NO_TRACK
from audotics.data.loaders.camra import load_camra

WriteFiles = Callable[[dict[str, str]], Path]

FILES = {
    "groupMember.txt": "7 4,1\n3 2\n",
    "userRatingTrain.txt": "1 10 60\n1 20 70\n2 30 80\n4 10 90\n",
    "userRatingTest.txt": "4 40 55\n",
    "groupRatingTrain.txt": "7 10 60\n7 20 70\n7 10 90\n3 30 80\n",
    "groupRatingTest.txt": "7 40 55\n",
    "groupRatingNegative.txt": "(7,40) 20 50 40\n",
}


def test_groups_with_rows_in_place_of_numbers(write_files: WriteFiles) -> None:
    data = load_camra(write_files(FILES))

    assert list(data.group_ids) == ["3", "7"]
    assert list(data.user_ids) == ["1", "2", "4"]
    assert [members.tolist() for members in data.members] == [[1], [2, 0]]
    assert list(data.tracks.ids) == ["10", "20", "30", "40", "50"]
    assert [history.tolist() for history in data.user_histories()] == [[0, 1], [2], [0]]
    assert [history.tolist() for history in data.group_histories()] == [[2], [0, 1]]
    assert not data.simulated


def test_rows_that_repeat_are_counted(write_files: WriteFiles) -> None:
    assert load_camra(write_files(FILES)).groups.weights.tolist() == [1, 2, 1]


def test_a_negative_that_is_the_held_out_item_is_dropped(write_files: WriteFiles) -> None:
    data = load_camra(write_files(FILES))

    assert (data.test.groups.tolist(), data.test.positives.tolist()) == ([1], [3])
    assert data.test.negatives.tolist() == [[1, 4, NO_TRACK]]
    assert data.report.dropped == {"negatives equal to the held-out item": 1}
    assert data.report.read["negatives that the group knows"] == 1


@pytest.mark.parametrize(
    ("file", "text", "line", "reason"),
    [
        ("groupRatingTrain.txt", "7 10 60\n7 ten 60\n", 2, "not an id, an item and a rating"),
        ("userRatingTrain.txt", FILES["userRatingTrain.txt"] + "\n4 10\n", 6, "not an id, an item and a rating"),
        ("groupMember.txt", FILES["groupMember.txt"] + "x 1\n", 3, "not a group and its members"),
        (
            "groupRatingNegative.txt",
            FILES["groupRatingNegative.txt"] + "7,x 3\n",
            2,
            "not (group,item) and item numbers",
        ),
        ("groupRatingTrain.txt", FILES["groupRatingTrain.txt"] + "9 10 60\n", 5, "a group that groupMember.txt lacks"),
        (
            "groupRatingNegative.txt",
            FILES["groupRatingNegative.txt"] + "(7,20) 3\n",
            2,
            "a pair that groupRatingTest.txt",
        ),
    ],
)
def test_a_broken_row_is_named_or_skipped(
    write_files: WriteFiles, file: str, text: str, line: int, reason: str
) -> None:
    folder = write_files(FILES | {file: text})
    with pytest.raises(DataError) as caught:
        load_camra(folder)
    assert str(caught.value).startswith(f"{folder / file}:{line}: {reason}")
    assert sum(load_camra(folder, skip_bad_rows=True).report.dropped.values()) == 2


@pytest.mark.parametrize(
    ("members", "line", "reason"),
    [
        ("7 4,1\n3 2,9\n", 2, "group 3 has a member that is no known listener"),
        ("7 4,1,4\n3 2\n", 1, "group 7 names a member twice"),
        ("7 4,1\n3\n", 2, "group 3 has 0 members"),
        ("7 4,1\n3 2\n7 1\n", 3, "group 7 stands here a second time"),
    ],
)
def test_a_group_that_cannot_be_is_named(write_files: WriteFiles, members: str, line: int, reason: str) -> None:
    folder = write_files(FILES | {"groupMember.txt": members})
    with pytest.raises(DataError) as caught:
        load_camra(folder, skip_bad_rows=True)
    assert str(caught.value).startswith(f"{folder / 'groupMember.txt'}:{line}: {reason}")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"userRatingTrain\.txt: cannot be read"):
        load_camra(tmp_path)


def test_real_counts(real_data: Callable[[str], Path]) -> None:
    data = load_camra(real_data("camra2011"))

    assert (data.n_groups, data.n_users, data.n_tracks) == (290, 602, 7_710)
    assert (int(data.groups.weights.sum()), len(data.users), len(data.test)) == (143_618, 113_334, 1_450)
    assert data.report.dropped == {"negatives equal to the held-out item": 24}
    assert data.report.read["test rows whose item is in training too"] == 576
    new = data.unheard(data.test)
    assert len(new) == 874
    assert np.bincount([len(members) for members in data.members]).tolist() == [0, 0, 272, 14, 4]
