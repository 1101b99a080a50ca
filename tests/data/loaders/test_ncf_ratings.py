"""NCF rating files: the training pairs, the paper's split, broken lines and counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.loaders import NO_ITEM, load, load_ncf_split

WriteFiles = Callable[[dict[str, str]], Path]

FILES = {
    "x.train.rating": "0\t10\t1\t0\n0\t2\t1\t0\n3\t2\t1\t0\n4\t2\t1\t0\n",
    "x.test.rating": "0\t5\t4\t978824351\n3\t10\t2\t978300174\n",
    "x.test.negative": "(0,5)\t7\t5\t10\n(3,10)\t2\t7\n",
}


def test_training_pairs_with_the_catalogue_of_all_files(write_files: WriteFiles) -> None:
    dataset = load(write_files(FILES))
    assert list(dataset.tracks.ids) == ["2", "5", "7", "10"]
    assert list(dataset.user_ids) == ["0", "3", "4"]
    assert [history.tolist() for history in dataset.interactions.histories(3)] == [[3, 0], [0], [0]]
    assert dataset.interactions.weights.tolist() == [1, 1, 1, 1]


def test_times_are_used_where_they_differ(write_files: WriteFiles) -> None:
    dataset = load(write_files({"x.train.rating": "0\t1\t5\t300\n0\t2\t3\t100\n"}))
    assert dataset.interactions.tracks.tolist() == [1, 0]
    assert dataset.interactions.timestamps.tolist() == [100, 300]


def test_split_drops_negatives_equal_to_the_held_out_item(write_files: WriteFiles) -> None:
    split = load_ncf_split(write_files(FILES))
    assert split.test_items.tolist() == [1, 3, NO_ITEM]
    assert split.negatives.tolist() == [[2, NO_ITEM, 3], [0, 2, NO_ITEM], [NO_ITEM] * 3]
    assert split.dataset.report.dropped == {"negatives equal to the held-out item": 1}
    assert split.dataset.report.read["negatives"] == 4


def test_a_split_needs_the_test_part(write_files: WriteFiles) -> None:
    with pytest.raises(DataError, match=r"has no test part: looked for \*\.test\.rating and \*\.test\.negative"):
        load_ncf_split(write_files({"x.train.rating": FILES["x.train.rating"]}))


def test_two_sets_in_a_folder_are_refused(write_files: WriteFiles) -> None:
    with pytest.raises(DataError, match=r"several data sets: x\.train\.rating, y\.train\.rating"):
        load(write_files(FILES | {"y.train.rating": "0\t1\t1\t0\n"}))


@pytest.mark.parametrize(
    ("file", "text", "line", "reason"),
    [
        ("x.train.rating", "0\t2\t1\t0\n0\ttwo\t1\t0\n", 2, "item is not an integer: 'two'"),
        ("x.train.rating", "0\t2\t1\t0\n\n-1\t2\t1\t0\n", 3, "user is out of range: -1 is outside 0 .. inf"),
        ("x.train.rating", "0\t2\t1\t0\n0\t2\t\t0\n", 2, "rating is not a number: ''"),
        ("x.test.rating", "0\t5\t4\n", 1, "wrong number of fields: expected 4, found 3"),
        ("x.test.negative", "(0,5)\t7\n(3,10)\t2\tx\n", 2, "not (user,item) and item numbers"),
    ],
)
def test_a_broken_row_is_named_or_skipped(
    write_files: WriteFiles, file: str, text: str, line: int, reason: str
) -> None:
    folder = write_files(FILES | {file: text})
    with pytest.raises(DataError) as caught:
        load_ncf_split(folder)
    assert str(caught.value).startswith(f"{folder / file}:{line}: {reason}")
    report = load_ncf_split(folder, skip_bad_rows=True).dataset.report
    assert report.dropped[f"rows of {file}: {reason.partition(':')[0]}"] == 1


def test_real_counts(real_data: Callable[[str], Path]) -> None:
    split = load_ncf_split(real_data("ml-1m-ncf"))
    dataset = split.dataset
    assert (dataset.n_users, dataset.n_tracks, len(dataset.interactions)) == (6_040, 3_706, 994_169)
    assert (split.test_items != NO_ITEM).sum() == 6_040
    assert split.negatives.shape == (6_040, 99)
    assert (split.negatives == NO_ITEM).sum() == dataset.report.dropped["negatives equal to the held-out item"] == 156
    held_out = np.arange(6_040, dtype=np.int64) * dataset.n_tracks + split.test_items
    trained = dataset.interactions.users.astype(np.int64) * dataset.n_tracks + dataset.interactions.tracks
    assert not np.isin(held_out, trained).any()
