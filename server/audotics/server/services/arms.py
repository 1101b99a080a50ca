"""Arms on a snapshot: a query goes in; what its arms make of it, and the models that answer it, come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from audotics.server.errors import NotFoundError
from audotics.server.repository.registry import Registry
from audotics.server.repository.snapshot import Snapshot
from audotics.server.services.assigner import Assigner, QueryT
from audotics.server.types import Degradation, DegradationReason


@dataclass(frozen=True, slots=True, eq=False)
class Assigned(Generic[QueryT]):
    """A query with what its arms set; `degraded` says so where an arm was left out."""

    query: QueryT
    snapshot: Snapshot
    degraded: tuple[Degradation, ...] = ()


def on_snapshot(asked: QueryT, *, registry: Registry, assigner: Assigner | None) -> Assigned[QueryT]:
    """Whoever's arm chooses models that are gone is served as everybody, and does not count as the arm's.

    Raises NotFoundError for versions that the query itself names and that are not there, NotReadyError.
    """
    query = assigner.assign(asked) if assigner is not None and assigner.running else asked
    try:
        return Assigned(query, registry.select(query.models))
    except NotFoundError as error:
        if query.models is asked.models:
            raise
        left_out = Degradation("experiment", DegradationReason.UNAVAILABLE, str(error))
        return Assigned(asked, registry.snapshot, (left_out,))
