"""Receipts, written off the path of requests: lists that were made go in, and are in the database a moment later.

Where arms of experiments made a list, the log of exposures gets a row for each, with the receipt.

The queue is bounded. When the database is too slow or away, receipts are dropped and counted; no list waits for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from audotics.features.tilts import TILTS
from audotics.server.experiments.metrics import list_diversity
from audotics.server.learning.credit import Overlap
from audotics.server.pipeline.made_list import MadeGroupList, MadeList
from audotics.server.services.event_log import EventLog
from audotics.server.services.receipt import Receipt
from audotics.server.storage.decisions import StoredDecision
from audotics.server.storage.erasures import LATE_S
from audotics.server.storage.errors import StorageError
from audotics.server.storage.exposures import StoredExposure
from audotics.server.storage.receipts import ReceiptStore, StoredReceipt
from audotics.server.types import Draw

_LOG: Final = logging.getLogger(__name__)
_STEP_RECEIPTS: Final = 50
"""Receipts of one transaction: feedback that comes meanwhile waits for it."""
_LONGEST_COMPARED: Final = 50
"""Up to so many tracks a list is made once for each tilt, to see what they have in common."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    made: MadeList | MadeGroupList
    created_at: float

    @property
    def user_id(self) -> str:
        """Empty for lists of groups and of anonymous subjects."""
        return self.made.query.subject.user_id if isinstance(self.made, MadeList) else ""

    @property
    def erased_at(self) -> float | None:
        """The deletion of its listener after which it was made."""
        return self.made.query.erased_at if isinstance(self.made, MadeList) else None


class ReceiptWriter:
    """Takes lists from any thread. Use it as an async context manager; leaving writes what waits."""

    def __init__(
        self,
        store: ReceiptStore,
        *,
        log: EventLog,
        executor: Executor,
        limit: int = 1000,
        interval_s: float = 0.1,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`executor` packs receipts; they are stored in turn with the events, at most `limit` waiting."""
        self._store = store
        self._log = log
        self._executor = executor
        self._limit = limit
        self._interval_s = interval_s
        self._now = now
        self._waiting: deque[_Waiting] = deque()
        self._deleted: dict[str, float] = {}
        self._failing = False
        self._step = asyncio.Lock()
        self._writing: asyncio.Task[None] | None = None
        self.dropped = 0
        """Receipts that were lost since the start."""
        self.written = 0
        """Receipts that are in the database since the start."""

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
        await self.flush()

    @property
    def waiting(self) -> int:
        """Lists whose receipts are not written yet."""
        return len(self._waiting)

    def add(self, made: MadeList | MadeGroupList) -> None:
        """Keep a list for writing. Never waits, and may be called from any thread."""
        if len(self._waiting) >= self._limit:
            self._drop(1, "the queue is full")
            return
        self._waiting.append(_Waiting(made, self._now()))

    async def flush(self) -> None:
        """Write all that waits now."""
        async with self._step:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_STEP_RECEIPTS, len(self._waiting)))]
                await self._write(batch)

    async def forget(self, user_id: str) -> None:
        """Let no receipt of a listener be written from now on, for as long as lists made before may be under way."""
        now = time.monotonic()  # a clock that is set back would make this last
        self._deleted = {name: time_s for name, time_s in self._deleted.items() if now - time_s < LATE_S}
        self._deleted[user_id] = now
        async with self._step:
            pass  # What was on its way when this was called is in the database now, and can be deleted there.

    async def _write_for_ever(self) -> None:
        while True:
            await self.flush()
            await asyncio.sleep(self._interval_s)

    async def _write(self, batch: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        wanted = [waiting for waiting in batch if not self._is_deleted(waiting.user_id)]
        packed, shown, drawn = await loop.run_in_executor(
            self._executor,
            lambda: (
                [_pack(waiting) for waiting in wanted],
                [row for each in wanted for row in _exposures(each)],
                [decision for each in wanted if (decision := _decision(each)) is not None],
            ),
        )
        wanted_now = [receipt for receipt in packed if not self._is_deleted(receipt.user_id)]
        shown_now = [exposure for exposure in shown if not self._is_deleted(exposure.user_id)]
        listed = {receipt.recommendation_id for receipt in wanted_now}
        decisions = [decision for decision in drawn if decision.recommendation_id in listed]
        try:
            write = partial(
                self._store.write,
                wanted_now,
                exposures=shown_now,
                decisions=decisions,
                after_erasures={
                    each.made.answer.recommendation_id: each.erased_at for each in wanted if each.erased_at is not None
                },
            )
            await self._log.in_turn(write)
        except StorageError as error:
            self._drop(len(wanted_now), str(error))
        else:
            self.written += len(wanted_now)
            if self._failing:
                _LOG.info("receipts are written again; %d were lost since the start", self.dropped)
            self._failing = False

    def _is_deleted(self, user_id: str) -> bool:
        deleted_at = self._deleted.get(user_id)
        return bool(user_id) and deleted_at is not None and time.monotonic() - deleted_at < LATE_S

    def _drop(self, count: int, reason: str) -> None:
        self.dropped += count
        if not self._failing:
            _LOG.warning("receipts are lost, lists go on: %s", reason)
        self._failing = True


def _pack(waiting: _Waiting) -> StoredReceipt:
    made = waiting.made
    receipt = Receipt.of(made) if isinstance(made, MadeList) else Receipt.of_group(made)
    return StoredReceipt(
        recommendation_id=made.answer.recommendation_id,
        user_id=waiting.user_id,
        created_at=waiting.created_at,
        content=receipt.to_bytes(),
    )


def _exposures(waiting: _Waiting) -> list[StoredExposure]:
    made = waiting.made
    if isinstance(made, MadeGroupList):
        exposures, context, group_key, history_length = (
            made.answer.exposures,
            made.context,
            made.group_key,
            made.history_length,
        )
    else:
        exposures, context, group_key = made.query.exposures, made.query.context, ""
        history_length = made.shortlist.taste.history_length
    if not exposures:
        return []
    snapshot = made.snapshot
    rows = snapshot.catalog.all_rows_of([track.track_id for track in made.answer.tracks])
    embeddings = None if snapshot.content is None else snapshot.content.vectors(rows)
    diversity = list_diversity(embeddings, snapshot.catalog.artist_codes[rows])
    return [
        StoredExposure(
            recommendation_id=made.answer.recommendation_id,
            experiment=exposure.experiment,
            arm=exposure.arm,
            propensity=exposure.propensity,
            user_id=waiting.user_id,
            created_at=waiting.created_at,
            history_length=history_length,
            mood=context.mood or "",
            diversity=diversity,
            group_key=group_key,
        )
        for exposure in exposures
    ]


def _decision(waiting: _Waiting) -> StoredDecision | None:
    """The drawn tilt of a list, if there was one."""
    made = waiting.made
    draw = made.draw if isinstance(made, MadeGroupList) else made.query.draw
    if draw is None:
        return None
    return StoredDecision(
        recommendation_id=made.answer.recommendation_id,
        user_id=waiting.user_id,
        created_at=waiting.created_at,
        arm=draw.arm,
        segment=draw.segment,
        tilt=draw.tilt,
        propensity=draw.propensity,
        policy=draw.policy,
        hybrid=0 if made.snapshot.hybrid is None else made.snapshot.hybrid.version,
        overlap=_overlap(made, draw),
        group_key=made.group_key if isinstance(made, MadeGroupList) else "",
    )


def _overlap(made: MadeList | MadeGroupList, draw: Draw) -> dict[str, Any] | None:
    """Which tilts would have listed the tracks; None for a list so long that to find out would take too long."""
    ids, listed_with = [track.track_id for track in made.answer.tracks], made.listed_with
    if listed_with is None or not draw.chances or len(ids) > _LONGEST_COMPARED:
        return None
    rows = made.snapshot.catalog.all_rows_of(ids)
    listed = np.stack([np.isin(rows, listed_with(factors)) for factors in TILTS.values()], axis=1)
    listed[:, list(TILTS).index(draw.tilt)] = True
    return Overlap.of(ids, listed, np.asarray(draw.chances)).to_json()
