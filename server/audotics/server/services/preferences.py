"""Preferences: what a listener says goes in, and holds for the next list when the call returns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from audotics.server.services.event_log import EventLog
from audotics.server.services.listeners import Listeners
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.users import UserStore
from audotics.server.types import Preferences


class PreferenceService:
    """Stores preferences, one change after the other, and lets listeners in memory know."""

    def __init__(
        self,
        *,
        users: UserStore,
        log: EventLog,
        listeners: Listeners,
        executor: Executor,
        uninterrupted: Uninterrupted,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`executor` is for reading."""
        self._users = users
        self._log = log
        self._listeners = listeners
        self._executor = executor
        self._uninterrupted = uninterrupted
        self._now = now

    async def get(self, user_id: str) -> Preferences:
        """What the listener said; nothing for a stranger. Raises StorageError."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._users.preferences, user_id)

    async def update(self, user_id: str, preferences: Preferences, *, fields: Collection[str]) -> Preferences:
        """Replace these fields, and return all of them as they are stored now. Raises StorageError."""
        return await self._uninterrupted.run(self._update(user_id, preferences, fields))

    async def _update(self, user_id: str, preferences: Preferences, fields: Collection[str]) -> Preferences:
        values = {name: getattr(preferences, name) for name in fields}
        change = partial(
            self._users.change_preferences, user_id, lambda before: replace(before, **values), updated_at=self._now()
        )
        try:
            return await self._log.in_turn(change)
        finally:
            self._listeners.forget([user_id])
