"""Opening indexes: a bundle's folder goes in, an index comes out where it is to be searched, watched and found good."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from audotics.bundle.indexes.stored import StoredIndex
from audotics.server.retrieval.backends.backend import Backend
from audotics.server.retrieval.backends.fallback import Device, placer
from audotics.server.retrieval.backends.gpu import Placement
from audotics.server.retrieval.counters import RetrievalCounters
from audotics.server.retrieval.guard import RecallGuard
from audotics.server.retrieval.held_out import require_recall
from audotics.server.retrieval.vectors import VectorIndex


class IndexOpener:
    """What all indexes of a server share. Use it as a context manager; outside, nothing is sampled.

    `counters` and `guard.recall` are for whoever exports metrics.
    """

    def __init__(
        self, *, device: Device = "cpu", placement: Placement | None = None, sampled_share: float = 0.0
    ) -> None:
        """Indexes are searched on `device`, GPUs by `placement`; a share of all queries is searched again exactly."""
        self.counters = RetrievalCounters()
        self.guard = RecallGuard(share=sampled_share, counters=self.counters)
        self.place: Callable[[StoredIndex], Backend] = placer(device, counters=self.counters, placement=placement)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.guard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def open(self, folder: Path) -> VectorIndex:
        """The index in a bundle's folder.

        Raises RefusedModelError when its files do not fit, or when it finds less for its held-out queries than it was
        built to.
        """
        index = VectorIndex.open(folder, place=self.place, guard=self.guard, counters=self.counters)
        require_recall(index, counters=self.counters, name=f"{folder.parent.name}/{folder.name}")
        return index
