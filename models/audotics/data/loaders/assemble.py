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
    report.dropped = +report.dropped
    if len(interactions) == 0:
        reasons = ", ".join(f"{count} {reason}" for reason, count in report.dropped.items())
        raise DataError(f"holds no usable interactions{f'; dropped: {reasons}' if reasons else ''}", path=path)
    report.read["users"] = len(user_ids)
    report.read["tracks"] = len(tracks)
    report.read["pairs"] = len(interactions)
    known = ~np.isnan(tracks.audio).all(axis=1)
    report.read["tracks with audio features"] = int(known.sum())
    report.read["tracks with tags"] = int((np.diff(tracks.tags.offsets) > 0).sum())
    name = path.resolve().name
    return Dataset(name, tracks, user_ids, interactions, report).with_interactions(interactions)
