"""Labelled tracks: features, one class a track, and which tracks belong together; what a classifier is trained on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from audotics.data.dataset import DataError, LoadReport

LEAST_IN_CLASS: Final = 5
"""A class with fewer tracks can be neither learnt nor tested."""

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class LabelledTracks:
    """n tracks of known classes.

    x        float64 (n, f), columns named by `feature_names`, NaN where unknown
    labels   int64 (n,), positions in `class_names`
    groups   int64 (n,); tracks of one group are alike (the same recording, or of one artist), so that a fair test never
             has them on both sides
    """

    name: str
    ids: NDArray[np.object_]
    feature_names: tuple[str, ...]
    x: NDArray[np.float64]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: NDArray[np.int64]
    report: LoadReport

    @classmethod
    def build(
        cls,
        name: str,
        *,
        ids: NDArray[np.object_],
        feature_names: Sequence[str],
        x: NDArray[np.floating],
        classes: NDArray[np.object_],
        report: LoadReport,
        groups: NDArray[np.integer] | None = None,
    ) -> LabelledTracks:
        """Check the tracks, number their classes in alphabetical order, and join tracks with the same known features.

        `groups` (n,) joins tracks for another reason too. Tracks of which no feature is known are left out and counted.
        Raises DataError with repeated ids, fewer than two classes, a class of fewer than LEAST_IN_CLASS tracks,
        features that are nowhere known or infinite.
        """
        _refuse_repeats(name, ids)
        values = np.asarray(x, np.float64)
        if np.isinf(values).any():
            column = feature_names[int(np.flatnonzero(np.isinf(values).any(axis=0))[0])]
            raise DataError(f"{name}: feature {column!r} is infinite in some track; repair the data")
        known = ~np.isnan(values).all(axis=1)
        if not known.any():
            raise DataError(
                f"{name}: no feature is known of any of {len(ids):,} tracks; a classifier needs at least one of "
                f"{', '.join(feature_names[:_SHOWN])}, …"
            )
        report = LoadReport(report.source, Counter(report.read), Counter(report.dropped))
        report.dropped["tracks without any known feature"] += int((~known).sum())
        values, classes = values[known], classes[known]
        class_names, labels, counts = np.unique(classes.astype(str), return_inverse=True, return_counts=True)
        if len(class_names) < 2:
            raise DataError(
                f"{name}: all {len(labels):,} tracks have the class {str(class_names[0])!r}; a classifier needs two"
            )
        if counts.min() < LEAST_IN_CLASS:
            scarce = int(np.argmin(counts))
            raise DataError(
                f"{name}: class {str(class_names[scarce])!r} has {counts[scarce]} tracks, but each needs "
                f"{LEAST_IN_CLASS}; bring more of it, or leave it out"
            )
        twins = np.unique(np.nan_to_num(values, nan=-np.inf), axis=0, return_inverse=True)[1].ravel()
        joined = twins if groups is None else _joined(twins, np.asarray(groups, np.int64)[known])
        report.read["tracks"] = len(labels)
        report.read["classes"] = len(class_names)
        report.read["tracks with the same features as another"] = len(twins) - len(np.unique(twins))
        report.read["of these, in another class"] = _conflicts(twins, labels)
        report.read["groups of tracks that belong together"] = len(np.unique(joined))
        report.dropped = +report.dropped
        return cls(
            name,
            ids[known],
            tuple(feature_names),
            values,
            labels.astype(np.int64),
            tuple(str(value) for value in class_names),
            joined.astype(np.int64),
            report,
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counts(self) -> dict[str, int]:
        """Tracks a class."""
        numbers = np.bincount(self.labels, minlength=len(self.class_names)).tolist()
        return dict(zip(self.class_names, numbers, strict=True))

    def take(self, rows: NDArray[np.integer]) -> LabelledTracks:
        """Some of the tracks, of the same classes."""
        return replace(self, ids=self.ids[rows], x=self.x[rows], labels=self.labels[rows], groups=self.groups[rows])

    def fingerprint(self) -> str:
        """Hex SHA-256 that tells data sets apart: names, ids, features and classes."""
        digest = hashlib.sha256()
        for text in (*self.feature_names, "", *self.class_names, "", *self.ids):
            digest.update(str(text).encode() + b"\0")
        digest.update(self.x.tobytes())
        digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def to_json(self) -> dict[str, Any]:
        """What a manifest says of the data."""
        return {
            "dataset": self.name,
            "fingerprint": self.fingerprint(),
            "report": self.report.to_json(),
            "counts": self.counts,
        }


def _refuse_repeats(name: str, ids: NDArray[np.object_]) -> None:
    distinct, counts = np.unique(ids.astype(str), return_counts=True)
    repeated = distinct[counts > 1].tolist()
    if repeated:
        shown = ", ".join(repeated[:_SHOWN]) + (", …" if len(repeated) > _SHOWN else "")
        raise DataError(f"{name}: {len(repeated)} ids stand twice or more: {shown}; keep one row of each")


def _joined(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups in which tracks are together if they are together in either, directly or through others."""
    n = len(first)
    second = np.unique(second, return_inverse=True)[1]
    rows = np.tile(np.arange(n), 2)
    columns = np.concatenate([n + first, n + first.max() + 1 + second])
    size = int(columns.max()) + 1
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(size, size))
    labels: NDArray[np.int64] = connected_components(graph, directed=False)[1][:n]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _conflicts(twins: NDArray[np.int64], labels: NDArray[np.int64]) -> int:
    """Sets of tracks with the same features that do not all have one class."""
    pairs = np.unique(np.stack([twins, labels]), axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())
