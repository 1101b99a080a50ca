"""The last step of every loader: columns and interactions go in, a data set with its counts comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport
from audotics.features.tracks import TrackColumns


def assemble(
    path: Path,
    *,
    tracks: TrackColumns,
    user_ids: NDArray[np.object_],
    interactions: Interactions,
    report: LoadReport,
) -> Dataset:
    """Name the set after its path, count users, tracks and pairs, and fill `tracks.plays`. Reasons
    that dropped nothing leave the report.

    Raises DataError when nothing is left.
    """
    if len(interactions) == 0:
        raise DataError(nothing_left(report), path=path)
    name = path.resolve().name
    return with_counts(Dataset(name, tracks, user_ids, interactions, report))


def with_counts(dataset: Dataset) -> Dataset:
    """Count users, tracks and pairs in the report, and fill `tracks.plays`."""
    report, tracks = dataset.report, dataset.tracks
    report.dropped = +report.dropped
    report.read["users"] = dataset.n_users
    report.read["tracks"] = dataset.n_tracks
    report.read["pairs"] = len(dataset.interactions)
    known = ~np.isnan(tracks.audio).all(axis=1)
    report.read["tracks with audio features"] = int(known.sum())
    report.read["tracks with tags"] = int((np.diff(tracks.tags.offsets) > 0).sum())
    return dataset.with_interactions(dataset.interactions)


def nothing_left(report: LoadReport) -> str:
    """What to say of a source without interactions, after its name."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in (+report.dropped).items())
    return f"holds no usable interactions{f'; dropped: {reasons}' if reasons else ''}"
