"""Records of models: what happened to versions goes in, and is written beside requests; pages of it come out.

A change never waits for its record. What cannot be written is tried again; when too much waits, the next are lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Final, Self

from audotics.server.repository.history import ModelChange
from audotics.server.storage.errors import StorageError
from audotics.server.storage.model_records import ModelRecordStore, Place, StoredModelRecord

_LOG: Final = logging.getLogger(__name__)
_STEP_RECORDS: Final = 100
"""Records of one transaction."""
_LONGEST_PAUSE_S: Final = 30.0


class ModelRecords:
    """Takes changes on the event loop. Use it as an async context manager; leaving writes what waits, if it can."""

    def __init__(
        self,
        store: ModelRecordStore,
        *,
        server: str,
        writing: Executor,
        reading: Executor,
        limit: int = 10_000,
        retry_s: float = 1.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`server` names this one in its records. At most `limit` wait, after a failure for `retry_s` at first."""
        self._store = store
        self._server = server
        self._executor = writing
        self._reading = reading
        self._retry_s = retry_s
        self._now = now
        self._limit = limit
        self._waiting: deque[StoredModelRecord] = deque()
        self._arrived = asyncio.Event()
        self._failing = False
        self._writing: asyncio.Task[None] | None = None
        self.dropped = 0
        """Records that were lost since the start."""
        self.written = 0
        """Records that are in the database since the start."""

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self._write_for_ever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
        while self._waiting and await self._write():
            pass
        if self._waiting:
            self._drop(len(self._waiting), "the server ends")

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return len(self._waiting)

    def add(self, changes: Sequence[ModelChange]) -> None:
        """Keep changes for writing. Never waits."""
        now, room = self._now(), self._limit - len(self._waiting)
        self._waiting.extend(_record(change, server=self._server, at=now) for change in changes[:room])
        if len(changes) > room:
            self._drop(len(changes) - room, f"{self._limit} wait to be written")
        self._arrived.set()

    async def page(
        self,
        *,
        model: str = "",
        tenant: str = "",
        before: float | None = None,
        limit: int,
        after: Place | None = None,
    ) -> tuple[list[StoredModelRecord], Place | None]:
        """Records of all servers, the newest first, and where the next page begins. Raises StorageError.

        With a `tenant`, of its models and of those that all share.
        """
        read = partial(self._store.latest, limit=limit, model=model, tenant=tenant, before=before, after=after)
        return await asyncio.get_running_loop().run_in_executor(self._reading, read)

    async def _write_for_ever(self) -> None:
        pause_s = self._retry_s
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                if await self._write():
                    pause_s = self._retry_s
                else:
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _write(self) -> bool:
        """Whether the records that waited longest are in the database."""
        batch = list(islice(self._waiting, _STEP_RECORDS))
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._store.append, batch)
        except StorageError as error:
            if not self._failing:
                _LOG.warning("records of models wait, and nothing else does: %s", error)
            self._failing = True
            return False
        except Exception:
            _LOG.exception("records of models could not be written")
            self._take(batch)
            self._drop(len(batch), "trying again would end in the same way")
            return True
        self._take(batch)
        self.written += len(batch)
        if self._failing:
            _LOG.info("records of models are written again; %d were lost since the start", self.dropped)
        self._failing = False
        return True

    def _take(self, batch: Sequence[StoredModelRecord]) -> None:
        for _ in batch:
            self._waiting.popleft()

    def _drop(self, count: int, reason: str) -> None:
        self.dropped += count
        _LOG.warning("records of models are lost (%d): %s", count, reason)


def _record(change: ModelChange, *, server: str, at: float) -> StoredModelRecord:
    return StoredModelRecord(
        record_id=uuid.uuid4().hex,
        at=at,
        server=server,
        event=change.event,
        model=change.model,
        version=change.version,
        replaced=change.replaced,
        label=change.label,
        origin=change.cause.origin,
        caller=change.cause.caller,
        # Reasons may quote what stands in a broken file, and no text may keep the others from being written.
        reason=change.reason.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}"),
        digest=change.digest,
    )
