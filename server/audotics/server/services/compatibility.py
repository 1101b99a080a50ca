"""`ScoreCompatibility`: listeners go in, how well each two go together and what joins and divides them come out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.profile import FACETS, TasteProfile, likeness
from audotics.server.pipeline.profiles import StrangersCache, profile_of
from audotics.server.repository.registry import Registry
from audotics.server.repository.snapshot import Snapshot
from audotics.server.runtime.model import InferenceError
from audotics.server.services.factors import TasteFactor, dividing_factors, shared_factors
from audotics.server.services.listeners import Listeners
from audotics.server.types import Degradation, DegradationReason, Listener, ModelSelector, Subject

_LOG: Final = logging.getLogger(__name__)
_LIKE_STRANGERS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Compatibility:
    """The answer to `ScoreCompatibility`. `matrix` has a row a listener, each with 1 for themselves."""

    user_ids: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    group_score: float
    facets: tuple[tuple[str, float], ...]
    shared: tuple[TasteFactor, ...]
    dividing: tuple[TasteFactor, ...]
    model_versions: tuple[tuple[str, int], ...]
    degraded: tuple[Degradation, ...]


class CompatibilityService:
    """Compares the histories of listeners on one snapshot."""

    def __init__(
        self, *, registry: Registry, listeners: Listeners, strangers: StrangersCache, executor: Executor
    ) -> None:
        self._registry = registry
        self._listeners = listeners
        self._strangers = strangers
        self._executor = executor

    async def score(
        self, user_ids: Sequence[str], *, models: ModelSelector | None = None, deadline: float | None = None
    ) -> Compatibility:
        """Of two listeners or more. Raises NotFoundError for unknown versions, NotReadyError, DeadlineError.

        `deadline` is on the clock of `time.monotonic()`.
        """
        snapshot = self._registry.select(models)
        resolved = await asyncio.gather(
            *(self._listeners.resolve(Subject("user", user_id=user_id), snapshot.catalog) for user_id in user_ids)
        )
        degraded = [part for _, parts in resolved for part in parts]
        listeners = [listener for listener, _ in resolved]
        loop = asyncio.get_running_loop()
        work = partial(self._compare, snapshot, user_ids, listeners, degraded, deadline=deadline)
        return await loop.run_in_executor(self._executor, work)

    def _compare(
        self,
        snapshot: Snapshot,
        user_ids: Sequence[str],
        listeners: Sequence[Listener],
        degraded: Sequence[Degradation],
        *,
        deadline: float | None,
    ) -> Compatibility:
        profiles = [profile_of(snapshot.catalog, listener.history) for listener in listeners]
        by_facet = self._by_facet(snapshot, profiles)
        matrix, failed = _by_model(snapshot, listeners, deadline=deadline)
        if matrix is None:
            matrix = _mean_of_known(by_facet)
        np.fill_diagonal(matrix, 1.0)
        pairs = np.triu_indices(len(user_ids), 1)
        return Compatibility(
            user_ids=tuple(user_ids),
            matrix=tuple(tuple(row) for row in matrix.tolist()),
            group_score=float(matrix[pairs].mean()),
            facets=tuple(
                (name, float(values[~np.isnan(values)].mean()))
                for name, values in zip(FACETS, by_facet[pairs].T, strict=True)
                if not np.isnan(values).all()
            ),
            shared=shared_factors(snapshot.catalog, profiles),
            dividing=dividing_factors(snapshot.catalog, profiles, user_ids),
            model_versions=(("group", snapshot.group.version),) if snapshot.group is not None and not failed else (),
            degraded=(*degraded, *failed),
        )

    def _by_facet(self, snapshot: Snapshot, profiles: Sequence[TasteProfile]) -> NDArray[np.float64]:
        """(m, m, 4): the share of strangers who are less alike, NaN where a listener has nothing of the kind."""
        m = len(profiles)
        table = np.full((m, m, len(FACETS)), np.nan)
        for first in range(m):
            for second in range(first + 1, m):
                table[first, second] = table[second, first] = likeness(profiles[first], profiles[second])
        return self._strangers.of(snapshot.catalog).exceeded(table)


def _by_model(
    snapshot: Snapshot, listeners: Sequence[Listener], *, deadline: float | None
) -> tuple[NDArray[np.float64] | None, tuple[Degradation, ...]]:
    """The group model's matrix, or why there is none."""
    if snapshot.group is None:
        return None, snapshot.ungrouped
    try:
        matrix = snapshot.group.compatibility([listener.history for listener in listeners], deadline=deadline)
    except InferenceError as error:
        _LOG.warning("left out of an answer: %s", error, exc_info=error)
        return None, (Degradation("group", DegradationReason.FAILED, str(error)),)
    return np.clip(matrix.astype(np.float64), 0.0, 1.0), ()


def _mean_of_known(by_facet: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(by_facet)
    count = known.sum(axis=2)
    mean = np.where(known, by_facet, 0.0).sum(axis=2) / np.maximum(count, 1)
    return np.where(count > 0, mean, _LIKE_STRANGERS)
