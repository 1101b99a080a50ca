"""The indexes' administration: names and versions go in; what the indexes hold, and how much they find, comes out."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from audotics.server.repository.registry import Registry
from audotics.server.repository.status import IndexStatus
from audotics.server.retrieval.counters import Counts
from audotics.server.retrieval.held_out import held_out_recall
from audotics.server.retrieval.opening import IndexOpener
from audotics.server.services.uninterrupted import Uninterrupted


@dataclass(frozen=True, slots=True, eq=False)
class IndexRecall:
    """How much one index finds, 0..1. `live` is None before its first sampled search."""

    status: IndexStatus
    live: float | None
    live_count: int
    held_out: float | None
    """For its held-out queries, now; None where that was not asked for, or where it has none."""


@dataclass(frozen=True, slots=True, eq=False)
class RecallReport:
    """Of all indexes; `counts` are totals since the start."""

    indexes: tuple[IndexRecall, ...]
    sample_share: float
    counts: Counts


class IndexService:
    """Lists and rebuilds indexes, and reports their recall."""

    def __init__(
        self, *, registry: Registry, indexes: IndexOpener, executor: Executor, uninterrupted: Uninterrupted
    ) -> None:
        """Indexes are rebuilt and measured on `executor`, which should have one thread of its own."""
        self._registry = registry
        self._indexes = indexes
        self._executor = executor
        self._uninterrupted = uninterrupted

    def indexes(self) -> list[IndexStatus]:
        """Those of all loaded models."""
        return self._registry.indexes()

    async def rebuild(self, name: str, version: int | None, *, retrain: bool) -> IndexStatus:
        """Put what changed into an index. A rebuild goes on when its caller leaves.

        Raises NotFoundError, or RefusedModelError when the new index would find too little.
        """
        work = self._registry.rebuild_index(name, version, retrain=retrain, executor=self._executor)
        return await self._uninterrupted.run(work)

    async def recall_report(self, *, measure: bool) -> RecallReport:
        """With `measure` the held-out queries are searched now, which takes seconds for a large catalogue."""
        report = self.report_now()
        if measure:
            loop = asyncio.get_running_loop()
            measured = [
                replace(each, held_out=await loop.run_in_executor(self._executor, held_out_recall, each.status.index))
                for each in report.indexes
            ]
            report = replace(report, indexes=tuple(measured))
        return report

    def report_now(self) -> RecallReport:
        """What is known without searching. Never waits."""
        recalls = []
        for status in self._registry.indexes():
            live, count = self._indexes.guard.recall_of(status.index.stored)
            recalls.append(IndexRecall(status, live, count, None))
        return RecallReport(tuple(recalls), self._indexes.guard.share, self._indexes.counters.counts)
