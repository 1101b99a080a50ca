"""GTZAN's features: columns, twins, broken and missing ones, and counts."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from audotics.data.dataset import DataError
from audotics.data.loaders.gtzan import CLIP_FEATURES, GTZAN_FILE, load_gtzan

WriteFiles = Callable[[dict[str, str]], Path]


def gtzan_csv(*changes: dict[str, object], without: str = "") -> str:
    """Ten clips, half blues and half metal, the first ones changed by `changes`."""
    rows = [
        {"filename": f"clip{row}.au", "length": 661794}
        | {name: row + column / 100 for column, name in enumerate(CLIP_FEATURES)}
        | {"label": "blues" if row < 5 else "metal"}
        for row in range(10)
    ]
    for row, change in zip(rows, changes, strict=False):
        row |= change
    text = io.StringIO()
    names = [name for name in rows[0] if name != without]
    writer = csv.DictWriter(text, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def test_features_of_the_music_are_read_and_the_length_of_the_file_is_not(write_files: WriteFiles) -> None:
    data = load_gtzan(write_files({GTZAN_FILE: gtzan_csv()}))

    assert data.feature_names == CLIP_FEATURES
    assert data.x.shape == (10, 57)
    assert data.x[3, :2].tolist() == [3.0, 3.01]
    assert data.ids[0] == "clip0.au"
    assert data.counts == {"blues": 5, "metal": 5}


def test_a_single_file_can_be_named(write_files: WriteFiles) -> None:
    assert len(load_gtzan(write_files({GTZAN_FILE: gtzan_csv()}) / GTZAN_FILE)) == 10


def test_a_missing_column_is_named(write_files: WriteFiles) -> None:
    folder = write_files({GTZAN_FILE: gtzan_csv(without="mfcc7_var")})

    with pytest.raises(DataError, match=r"features_30_sec\.csv: has no column 'mfcc7_var'"):
        load_gtzan(folder)


def test_a_repeated_clip_is_refused(write_files: WriteFiles) -> None:
    folder = write_files({GTZAN_FILE: gtzan_csv({}, {"filename": "clip0.au"})})

    with pytest.raises(DataError, match=r"1 ids stand twice or more: clip0\.au"):
        load_gtzan(folder)


def test_a_broken_row_is_named_or_left_out(write_files: WriteFiles) -> None:
    eleventh = gtzan_csv().splitlines()[1].replace("clip0", "clip10").replace("0.0,", "99.0,", 1)
    folder = write_files({GTZAN_FILE: f"{gtzan_csv({'tempo': 'fast'})}{eleventh}\n"})

    with pytest.raises(DataError, match=r":2: tempo is not a number: 'fast'"):
        load_gtzan(folder)
    data = load_gtzan(folder, skip_bad_rows=True)
    assert data.ids.tolist() == [f"clip{row}.au" for row in range(1, 11)]
    assert data.report.dropped == {"rows of features_30_sec.csv: tempo is not a number": 1}


def test_real_counts(real_data: Callable[[str], Path]) -> None:
    data = load_gtzan(real_data("gtzan"))

    assert data.x.shape == (1000, 57)
    assert set(data.counts.values()) == {100}
    assert data.report.read["tracks with the same features as another"] == 14
    assert data.report.read["of these, in another class"] == 1
    twins = {data.groups[data.ids.tolist().index(name)] for name in ("metal.00058.au", "rock.00016.au")}
    assert len(twins) == 1
