"""`ClassifyTracks`: tracks go in, the probabilities of their moods and genres come out."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.descriptors import track_descriptors
from audotics.server.repository.classifier import ClassifierPart
from audotics.server.repository.records import columns_of
from audotics.server.repository.registry import Registry
from audotics.server.repository.snapshot import Snapshot
from audotics.server.runtime.model import InferenceError
from audotics.server.services.tracks import served_rows
from audotics.server.types import Classification, ClassifiedTrack, ClassifyQuery, Degradation, DegradationReason

_LOG: Final = logging.getLogger(__name__)

_Classes = tuple[tuple[str, float], ...]


class ClassifyService:
    """Runs the classifiers of one snapshot."""

    def __init__(self, *, registry: Registry, executor: Executor) -> None:
        self._registry = registry
        self._executor = executor

    async def classify(self, query: ClassifyQuery) -> Classification:
        """Raises NotFoundError that names every track which is not in the catalogue, NotReadyError, DeadlineError."""
        snapshot = self._registry.select(query.models)
        rows = served_rows(snapshot.catalog, query.track_ids)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _classify, snapshot, rows, query)


def _classify(snapshot: Snapshot, rows: NDArray[np.int64], query: ClassifyQuery) -> Classification:
    known, given = snapshot.catalog.columns.take(rows), columns_of(query.tracks)
    descriptors = np.concatenate([track_descriptors(known), track_descriptors(given)])
    degraded = list(snapshot.unclassified)
    found: dict[str, list[_Classes]] = {}
    for kind, part in snapshot.classifiers.items():
        try:
            found[kind] = _classes(part, descriptors, deadline=query.deadline)
        except InferenceError as error:
            _LOG.warning("left out of an answer: %s", error, exc_info=error)
            degraded.append(Degradation(kind, DegradationReason.FAILED, str(error)))
    nothing: list[_Classes] = [()] * len(descriptors)
    names = (*query.track_ids, *(track.track_id for track in query.tracks))
    classes = zip(names, found.get("mood", nothing), found.get("genre", nothing), strict=True)
    return Classification(
        tracks=tuple(ClassifiedTrack(*each) for each in classes),
        model_versions=tuple((kind, snapshot.classifiers[kind].version) for kind in sorted(found)),
        degraded=tuple(degraded),
    )


def _classes(part: ClassifierPart, descriptors: NDArray[np.float32], *, deadline: float | None) -> list[_Classes]:
    probabilities = part.probabilities(descriptors, deadline=deadline)
    orders = np.argsort(-probabilities, axis=1, kind="stable")
    return [
        () if np.isnan(row).any() else tuple((part.classes[column], float(row[column])) for column in order)
        for row, order in zip(probabilities, orders.tolist(), strict=True)
    ]
