"""The queue of the row batcher: jobs go in, batches of those that should run next come out.

Classes of priority are strict, but a job that has waited for long goes first. Within a class tenants take turns by the
rows that they got, and of one tenant the job with the earliest deadline is next. The queue is bounded; when it is full
a job of a higher class, or of a tenant that has less than its share, takes the place of others.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Generic

from audotics.server.batching.workload import JobT, ResultT
from audotics.server.types import Caller

_AGED_S: Final = 0.25
"""A job that waits for so long goes before every class, so that none starves."""


@dataclass(slots=True, eq=False)
class Entry(Generic[JobT, ResultT]):
    """A job that fits into a batch, and the future its caller waits for. Times are those of `time.monotonic()`."""

    job: JobT
    rows: int
    key: Hashable
    deadline: float
    """`math.inf` without one."""
    arrived: float
    caller: Caller
    future: asyncio.Future[ResultT]

    def wanted(self, now: float) -> bool:
        return not self.future.done() and now < self.deadline

    def resolve(self, result: ResultT) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class RowQueue(Generic[JobT, ResultT]):
    """Waiting jobs, `rows` in all; `limit_rows` may wait, though an empty queue takes a job of any size."""

    def __init__(self, *, limit_rows: int) -> None:
        self._limit_rows = limit_rows
        self._waiting: list[Entry[JobT, ResultT]] = []
        self._served: dict[str, float] = {}
        """Rows that each waiting tenant got, on a scale that they share."""
        self.rows = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def oldest(self) -> float:
        """When the first of the waiting jobs came."""
        return min(entry.arrived for entry in self._waiting)

    def admit(self, rows: int, caller: Caller) -> list[Entry[JobT, ResultT]] | None:
        """Make room for a job: the entries that it displaces, which are no longer here; None when there is no room."""
        excess = self.rows + rows - self._limit_rows
        if excess <= 0 or not self.rows:
            return []
        displaced = []
        for entry in self._displaceable(rows, caller):
            displaced.append(entry)
            excess -= entry.rows
            if excess <= 0:
                for victim in displaced:
                    self.remove(victim)
                return displaced
        return None

    def put(self, entries: Sequence[Entry[JobT, ResultT]]) -> None:
        self._waiting.extend(entries)
        for entry in entries:
            self.rows += entry.rows
            if entry.caller.tenant not in self._served:
                # A tenant that comes anew starts level with the others: it neither pays nor is paid for its absence.
                self._served[entry.caller.tenant] = min(self._served.values(), default=0.0)

    def put_back(self, entries: Sequence[Entry[JobT, ResultT]]) -> None:
        """Put entries before those that wait, in their order."""
        later, self._waiting = self._waiting, []
        self.put(entries)
        self._waiting += later

    def remove(self, entry: Entry[JobT, ResultT]) -> None:
        """Take out an entry; one that is not here does not matter."""
        if entry in self._waiting:
            self._waiting.remove(entry)
            self.rows -= entry.rows

    def next(self, limit_rows: int) -> list[Entry[JobT, ResultT]]:
        """What `take` would remove."""
        return self._divided(limit_rows)[0]

    def take(self, limit_rows: int) -> list[Entry[JobT, ResultT]]:
        """Remove the next batch: the job whose turn it is, and those after it that can run with it.

        Jobs that nobody waits for any more are dropped.
        """
        batch, rest = self._divided(limit_rows)
        for entry in batch:
            self._served[entry.caller.tenant] += entry.rows
        self._waiting = rest
        self.rows = sum(entry.rows for entry in rest)
        tenants = {entry.caller.tenant for entry in rest}
        if len(tenants) < len(self._served):
            self._served = {tenant: served for tenant, served in self._served.items() if tenant in tenants}
        return batch

    def _divided(self, limit_rows: int) -> tuple[list[Entry[JobT, ResultT]], list[Entry[JobT, ResultT]]]:
        """The next batch, and the rest in the order of their turns."""
        batch: list[Entry[JobT, ResultT]] = []
        rest: list[Entry[JobT, ResultT]] = []
        rows, full = 0, False
        for entry in self._in_turn(time.monotonic()):
            if batch and (full or entry.key != batch[0].key):
                rest.append(entry)
            elif batch and rows + entry.rows > limit_rows:
                full = True  # a later, smaller job must not overtake this one
                rest.append(entry)
            else:
                batch.append(entry)
                rows += entry.rows
        return batch, rest

    def _in_turn(self, now: float) -> Iterator[Entry[JobT, ResultT]]:
        wanted = [entry for entry in self._waiting if entry.wanted(now)]
        if len(wanted) < 2:
            yield from wanted
            return
        classes: dict[int, list[Entry[JobT, ResultT]]] = defaultdict(list)
        for entry in wanted:
            classes[-1 if now - entry.arrived > _AGED_S else entry.caller.priority].append(entry)
        for _, entries in sorted(classes.items(), key=lambda item: item[0]):
            entries.sort(key=attrgetter("deadline"))  # stable: those without a deadline stay in the order of arrival
            if len(self._served) == 1:
                yield from entries
            else:
                yield from self._by_turns(entries)

    def _by_turns(self, entries: list[Entry[JobT, ResultT]]) -> Iterator[Entry[JobT, ResultT]]:
        """The tenant that got the fewest rows is next. What is yielded counts, be there room for it or not."""
        lines: dict[str, deque[Entry[JobT, ResultT]]] = defaultdict(deque)
        for entry in entries:
            lines[entry.caller.tenant].append(entry)
        got = {tenant: self._served[tenant] for tenant in lines}
        while lines:
            tenant = min(lines, key=got.__getitem__)
            entry = lines[tenant].popleft()
            got[tenant] += entry.rows
            if not lines[tenant]:
                del lines[tenant]
            yield entry

    def _displaceable(self, rows: int, caller: Caller) -> Iterator[Entry[JobT, ResultT]]:
        """What may have to leave for a job, the least important first: lower classes, then what exceeds a share."""
        of_tenant: dict[str, int] = defaultdict(int)
        for entry in self._waiting:
            of_tenant[entry.caller.tenant] += entry.rows
        share = self._limit_rows / len(of_tenant.keys() | {caller.tenant})
        youngest_first = sorted(self._waiting, key=lambda entry: (entry.caller.priority, entry.arrived), reverse=True)
        for entry in youngest_first:
            if entry.caller.priority > caller.priority:
                of_tenant[entry.caller.tenant] -= entry.rows
                yield entry
        if of_tenant[caller.tenant] + rows > share:
            return
        for entry in youngest_first:
            if (
                entry.caller.priority == caller.priority
                and entry.caller.tenant != caller.tenant
                and of_tenant[entry.caller.tenant] > share
            ):
                of_tenant[entry.caller.tenant] -= entry.rows
                yield entry
