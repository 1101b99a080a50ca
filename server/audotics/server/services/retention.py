"""Retention: periods go in, and in the background everything that is older is deleted, now and then every hour."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Self

from audotics.server.services.event_log import EventLog
from audotics.server.services.listeners import Listeners
from audotics.server.storage.errors import StorageError
from audotics.server.storage.retention import Expired, RetentionStore

_LOG: Final = logging.getLogger(__name__)
_DAY_S: Final = 24 * 3600.0
_STEP_ROWS: Final = 1000
"""Rows deleted in one turn: some 10 ms, for which feedback waits."""


@dataclass(frozen=True, slots=True)
class Periods:
    """How many days events, receipts, sessions of groups after their last change, and records of models are kept.

    None is for ever.
    """

    event_days: float | None = None
    receipt_days: float | None = None
    session_days: float | None = None
    model_record_days: float | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows were too old. A session counts once, with all that belongs to it."""

    events: int = 0
    receipts: int = 0
    sessions: int = 0
    model_records: int = 0


class Retention:
    """Deletes what is old. Use it as an async context manager; the first sweep begins at once."""

    def __init__(
        self,
        store: RetentionStore,
        *,
        periods: Periods,
        log: EventLog,
        listeners: Listeners,
        interval_s: float = 3600.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._periods = periods
        self._log = log
        self._listeners = listeners
        self._interval_s = interval_s
        self._now = now
        self._sweeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._periods != Periods():
            self._sweeping = asyncio.create_task(self._sweep_for_ever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping

    async def sweep(self) -> Swept:
        """Delete all that is too old. Raises StorageError.

        Drawn tilts are kept as long as receipts, and what is logged of sessions that go on as long as sessions.
        """
        events = await self._expire(self._store.expire_events, self._periods.event_days)
        receipts = await self._expire(self._store.expire_receipts, self._periods.receipt_days)
        # What arms have shown is worth something only together with what followed.
        await self._expire(self._store.expire_exposures, self._periods.event_days)
        await self._expire(self._store.expire_decisions, self._periods.receipt_days)
        sessions = await self._expire(self._store.expire_sessions, self._periods.session_days)
        await self._expire(self._store.expire_session_log, self._periods.session_days)
        records = await self._expire(self._store.expire_model_records, self._periods.model_record_days)
        swept = Swept(events, receipts, sessions, records)
        if swept != Swept():
            _LOG.info(
                "retention: %d events, %d receipts, %d sessions and %d records of models were too old",
                events,
                receipts,
                sessions,
                records,
            )
        return swept

    async def _expire(self, expire: Callable[..., Expired], days: float | None) -> int:
        if days is None:
            return 0
        step = partial(expire, before=self._now() - days * _DAY_S, limit=_STEP_ROWS)
        count = 0
        while True:
            expired = await self._log.in_turn(step)
            self._listeners.forget(expired.user_ids)
            count += expired.rows
            if expired.rows < _STEP_ROWS:
                return count

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self.sweep()
            except StorageError as error:
                _LOG.warning("retention: %s; trying again in %g s", error, self._interval_s)
            await asyncio.sleep(self._interval_s)
