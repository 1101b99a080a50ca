"""Labelled tracks: what is refused, what is left out, and which tracks belong together."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.data.dataset import DataError, LoadReport
from audotics.data.labelled import LabelledTracks
from tests.labelled import clouds, labelled

CLASSES = ["calm"] * 5 + ["loud"] * 5


def table() -> np.ndarray:
    return np.arange(20, dtype=np.float64).reshape(10, 2)


def build(x: np.ndarray, *, ids: list[str] | None = None, groups: list[int] | None = None) -> LabelledTracks:
    return LabelledTracks.build(
        "some",
        ids=np.asarray(ids or [f"t{row}" for row in range(len(x))], object),
        feature_names=("energy", "tempo"),
        x=x,
        classes=np.asarray(CLASSES, object),
        report=LoadReport("some"),
        groups=None if groups is None else np.asarray(groups),
    )


def test_classes_are_numbered_in_alphabetical_order() -> None:
    data = labelled(table(), ["loud"] * 5 + ["calm"] * 5)

    assert data.class_names == ("calm", "loud")
    assert data.labels.tolist() == [1] * 5 + [0] * 5
    assert data.counts == {"calm": 5, "loud": 5}


def test_tracks_with_the_same_features_belong_together_and_conflicts_are_counted() -> None:
    x = table()
    x[3], x[9] = x[0], x[1]
    data = build(x)

    assert data.groups[3] == data.groups[0]
    assert data.groups[9] == data.groups[1]
    assert len(set(data.groups.tolist())) == 8
    assert data.report.read["tracks with the same features as another"] == 2
    assert data.report.read["of these, in another class"] == 1


def test_unknown_features_are_the_same_where_they_are_unknown_in_both() -> None:
    x = table()
    x[[0, 1], 0] = np.nan
    x[1, 1] = x[0, 1]

    assert build(x).groups[0] == build(x).groups[1]


def test_groups_are_joined_through_others() -> None:
    x = table()
    x[2] = x[0]
    groups = build(x, groups=[0, 1, 2, 2, 4, 5, 6, 7, 8, 1]).groups

    assert groups[0] == groups[2] == groups[3]
    assert groups[1] == groups[9]
    assert len(set(groups.tolist())) == 7


def test_a_track_of_which_nothing_is_known_is_left_out() -> None:
    data = clouds(each=6)
    x = data.x.copy()
    x[4] = np.nan
    left = labelled(x, [data.class_names[label] for label in data.labels])

    assert len(left) == 17
    assert "t4" not in left.ids
    assert left.report.dropped == {"tracks without any known feature": 1}


@pytest.mark.parametrize(
    ("x", "classes", "message"),
    [
        (table(), ["calm"] * 10, r"drawn: all 10 tracks have the class 'calm'; a classifier needs two"),
        (np.full((10, 2), np.nan), CLASSES, r"no feature is known of any of 10 tracks; .*at least one of f0, f1"),
        (table(), ["calm"] * 8 + ["loud"] * 2, r"class 'loud' has 2 tracks, but each needs 5"),
        (np.where(table() == 7, np.inf, table()), CLASSES, r"feature 'f1' is infinite in some track"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(x: np.ndarray, classes: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        labelled(x, classes)


def test_repeated_ids_are_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"2 ids stand twice or more: a, b; keep one row of each"):
        build(table(), ids=["a", "b", "a", "b", "e", "f", "g", "h", "i", "j"])


def test_a_part_keeps_its_classes_and_the_fingerprint_tells_parts_apart() -> None:
    data = clouds(each=5)
    part = data.take(np.arange(5))

    assert part.class_names == data.class_names
    assert set(part.labels.tolist()) == {0}
    assert part.fingerprint() != data.fingerprint() == clouds(each=5).fingerprint()
