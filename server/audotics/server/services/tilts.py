"""Administration of learning: an arm goes in, its policy, its records, or what a round made of it come out."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from functools import partial

from audotics.server.errors import RefusedChangeError
from audotics.server.learning.policy import TiltPolicy
from audotics.server.services.learning import Learning
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.tilt_updates import StoredUpdate, TiltUpdateStore


class TiltService:
    """Records can be read where learning is off, too."""

    def __init__(
        self,
        *,
        learning: Learning | None,
        updates: TiltUpdateStore,
        executor: Executor,
        uninterrupted: Uninterrupted,
    ) -> None:
        """`executor` is for reading; `learning` is None where it is off."""
        self._learning = learning
        self._updates = updates
        self._executor = executor
        self._uninterrupted = uninterrupted

    def policy(self, arm: str) -> TiltPolicy | None:
        """The policy in force, None where learning is off."""
        return None if self._learning is None else self._learning.policy(arm)

    async def updates(self, arm: str, *, limit: int) -> list[StoredUpdate]:
        """The latest record first. Raises StorageError."""
        read = partial(self._updates.latest, arm, limit=limit)
        return await asyncio.get_running_loop().run_in_executor(self._executor, read)

    async def propose(self, arm: str) -> StoredUpdate | None:
        """Run a round now; None where there is too little to learn from. Raises RefusedChangeError, StorageError."""
        return await self._uninterrupted.run(self._on().learn(arm))

    async def revert(self, arm: str) -> StoredUpdate:
        """Go back to the policy before. Raises RefusedChangeError, StorageError."""
        return await self._uninterrupted.run(self._on().revert(arm))

    def _on(self) -> Learning:
        if self._learning is None:
            raise RefusedChangeError("learning is off; start the server with AUDOTICS_LEARNING=true")
        return self._learning
