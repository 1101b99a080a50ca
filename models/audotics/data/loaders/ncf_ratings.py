"""Rating files of the NCF paper (He et al. 2017): a folder goes in, a data set or the paper's split comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport
from audotics.data.loaders.assemble import assemble
from audotics.data.loaders.broken_rows import BrokenRowError, BrokenRows
from audotics.data.loaders.fields import Field
from audotics.data.loaders.ids import numbers_as_ids
from audotics.data.loaders.lines import TextLayout, numbered_lines
from audotics.data.loaders.table import Table, read_table
from audotics.features.tracks import TrackColumns

NO_ITEM: Final = -1

TRAIN_SUFFIX: Final = ".train.rating"
_TEST_SUFFIX: Final = ".test.rating"
_NEGATIVE_SUFFIX: Final = ".test.negative"

_FIELDS: Final = (
    Field("user", "integer", minimum=0),
    Field("item", "integer", minimum=0),
    Field("rating", "number"),
    Field("timestamp", "integer"),
)


@dataclass(frozen=True, slots=True)
class NcfSplit:
    """Leave-one-out with sampled negatives; NO_ITEM where there is none.

    `dataset` holds the training pairs. `test_items` int32 (n_users,) is the row of the item held out for each user,
    `negatives` int32 (n_users, width) the rows of the items that it is ranked against.
    """

    dataset: Dataset
    test_items: NDArray[np.int32]
    negatives: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The files as they are: user and item numbers, before they become rows."""

    train: Table
    test: Table | None
    negatives: dict[int, list[int]]


def load_ncf_ratings(path: Path, *, skip_bad_rows: bool = False) -> Dataset:
    """Read the training pairs of a folder. Ids are the numbers as text, rows stand in their order.

    Items and users of the test files, where there are any, are in the catalogue, so that rows agree with
    `load_ncf_split`. Ratings are not used: each pair weighs 1. Times are used where they differ, or else the order of
    the file. Raises DataError.
    """
    report = LoadReport(str(path))
    numbers = _read(path, BrokenRows(report, skip_bad_rows))
    return _dataset(path, numbers, report)


def load_ncf_split(path: Path, *, skip_bad_rows: bool = False) -> NcfSplit:
    """Read the training pairs with the held-out items and sampled negatives of `*.test.rating` and `*.test.negative`.

    A negative that equals the user's held-out item is dropped and counted: ranking an item against itself says nothing.
    Raises DataError.
    """
    report = LoadReport(str(path))
    numbers = _read(path, BrokenRows(report, skip_bad_rows))
    if numbers.test is None:
        raise DataError(f"has no test part: looked for *{_TEST_SUFFIX} and *{_NEGATIVE_SUFFIX}", path=path)
    users, items = _numbers_in_use(numbers)
    test_items = np.full(len(users), NO_ITEM, np.int32)
    test_rows = np.searchsorted(users, numbers.test.integers("user"))
    test_items[test_rows] = np.searchsorted(items, numbers.test.integers("item"))
    width = max(map(len, numbers.negatives.values()), default=0)
    negatives = np.full((len(users), width), NO_ITEM, np.int32)
    for user, sampled in numbers.negatives.items():
        negatives[np.searchsorted(users, user), : len(sampled)] = np.searchsorted(items, sampled)
    equal = (negatives == test_items[:, None]) & (negatives != NO_ITEM)
    negatives[equal] = NO_ITEM
    report.read["test rows"] = int((test_items != NO_ITEM).sum())
    report.read["negatives"] = int((negatives != NO_ITEM).sum())
    report.dropped["negatives equal to the held-out item"] += int(equal.sum())
    return NcfSplit(_dataset(path, numbers, report), test_items, negatives)


def _read(path: Path, broken: BrokenRows) -> _Numbers:
    layout = TextLayout("\t", header=False, quoted=False)
    train_file = _only_file(path, TRAIN_SUFFIX)
    if train_file is None:
        raise DataError(f"has no *{TRAIN_SUFFIX} file", path=path)
    test_file = _only_file(path, _TEST_SUFFIX)
    negative_file = _only_file(path, _NEGATIVE_SUFFIX)
    return _Numbers(
        train=read_table(train_file, _FIELDS, layout=layout, broken=broken),
        test=None if test_file is None else read_table(test_file, _FIELDS, layout=layout, broken=broken),
        negatives={} if negative_file is None else dict(_read_negatives(negative_file, broken)),
    )


def _only_file(path: Path, suffix: str) -> Path | None:
    found = sorted(path.glob(f"*{suffix}"))
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise DataError(f"holds several data sets: {names}; give each a folder of its own", path=path)
    return found[0] if found else None


def _read_negatives(path: Path, broken: BrokenRows) -> Iterator[tuple[int, list[int]]]:
    """Yield the user and the sampled items of lines such as `(0,25)<TAB>1064<TAB>174`."""
    for line, text in numbered_lines(path):
        pair, *items = text.split() if text.strip() else ("",)
        user = pair.removeprefix("(").partition(",")[0]
        if user.isdecimal() and all(item.isdecimal() for item in items):
            yield int(user), [int(item) for item in items]
        elif text.strip():
            error = BrokenRowError("not (user,item) and item numbers", detail=repr(text[:60]))
            broken.reject(path, line, error)


def _numbers_in_use(numbers: _Numbers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted user and item numbers of all files: a number's place is its row."""
    tables = [table for table in (numbers.train, numbers.test) if table is not None]
    sampled = np.asarray([item for items in numbers.negatives.values() for item in items], np.int64)
    users = [table.integers("user") for table in tables]
    items = [table.integers("item") for table in tables]
    return (
        np.unique(np.concatenate([*users, np.asarray(list(numbers.negatives), np.int64)])),
        np.unique(np.concatenate([*items, sampled])),
    )


def _dataset(path: Path, numbers: _Numbers, report: LoadReport) -> Dataset:
    users, items = _numbers_in_use(numbers)
    times = numbers.train.integers("timestamp")
    interactions = Interactions.build(
        np.searchsorted(users, numbers.train.integers("user")),
        np.searchsorted(items, numbers.train.integers("item")),
        timestamps=times if len(times) and times.min() < times.max() else None,
    )
    report.read["ratings"] = len(numbers.train)
    report.dropped["repeats of a user and an item, joined"] += len(numbers.train) - len(interactions)
    return assemble(
        path,
        tracks=TrackColumns.build(numbers_as_ids(items)),
        user_ids=numbers_as_ids(users),
        interactions=interactions,
        report=report,
    )
