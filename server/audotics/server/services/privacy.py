"""Privacy: a listener's id goes in, nothing that is stored of them is left, and the numbers of what was come out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.assigner import Assigner
from audotics.server.services.event_log import EventLog
from audotics.server.services.listeners import Listeners
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.users import Erased, UserStore


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was removed from the database, how many remembered lists, and how many tracks of bundles count no more."""

    erased: Erased
    dropped_lists: int
    masked_history_tracks: int


class PrivacyService:
    """Deletes listeners, in turn with the events: what was sent before is deleted, what is sent later is new."""

    def __init__(
        self,
        *,
        registry: Registry,
        users: UserStore,
        log: EventLog,
        listeners: Listeners,
        recommenders: Sequence[Recommender],
        receipts: ReceiptWriter,
        uninterrupted: Uninterrupted,
        assigner: Assigner | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._users = users
        self._log = log
        self._listeners = listeners
        self._recommenders = tuple(recommenders)
        self._receipts = receipts
        self._uninterrupted = uninterrupted
        self._assigner = assigner
        self._now = now

    async def delete(self, user_id: str) -> Deletion:
        """Finishes even when its caller leaves. Raises StorageError; then not everything is deleted: send it again."""
        return await self._uninterrupted.run(self._delete(user_id))

    async def _delete(self, user_id: str) -> Deletion:
        await self._receipts.forget(user_id)
        # First what may not be reachable: when that fails, nothing is gone yet.
        dropped = await self._drop_lists(user_id)
        trained = self._registry.snapshot.catalog.history_rows(user_id)
        try:
            erased = await self._log.in_turn(partial(self._users.erase, user_id, erased_at=self._now()))
        finally:
            self._listeners.forget([user_id])
            if self._assigner is not None:
                self._assigner.forget(user_id)
        dropped += await self._drop_lists(user_id)  # that were under way
        return Deletion(
            erased=erased,
            dropped_lists=dropped,
            masked_history_tracks=0 if trained is None else len(trained),
        )

    async def _drop_lists(self, user_id: str) -> int:
        return sum([await recommender.forget(user_id) for recommender in self._recommenders])
