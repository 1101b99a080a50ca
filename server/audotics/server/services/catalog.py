"""The catalogue's administration: tracks go in and can be recommended when the call returns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from audotics.server.repository.registry import Registry
from audotics.server.services.tracks import served_rows
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.tracks import TrackStore
from audotics.server.types import TrackRecord


@dataclass(frozen=True, slots=True)
class UpsertCount:
    """How many tracks were new, and how many were replaced."""

    created: int
    updated: int


@dataclass(frozen=True, slots=True)
class DeleteCount:
    """How many tracks were taken out, and how many ids named none."""

    deleted: int
    unknown: int


class CatalogService:
    """Writes changes to storage first and to the snapshot in service then, one change at a time."""

    def __init__(
        self,
        *,
        registry: Registry,
        tracks: TrackStore,
        executor: Executor,
        uninterrupted: Uninterrupted,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._tracks = tracks
        self._executor = executor
        self._uninterrupted = uninterrupted
        self._now = now
        self._lock = asyncio.Lock()

    async def restore(self) -> None:
        """Apply the changes of earlier runs to the registry."""
        overlay = await asyncio.get_running_loop().run_in_executor(self._executor, self._tracks.read)
        if overlay.upserts or overlay.deletes:
            await self._registry.apply_tracks(upserts=overlay.upserts, deletes=overlay.deletes)

    async def upsert(self, records: Sequence[TrackRecord]) -> UpsertCount:
        """Add or replace tracks with distinct, valid ids. Raises StorageError; then nothing is changed."""
        return await self._uninterrupted.run(self._upsert(records))

    async def delete(self, track_ids: Sequence[str]) -> DeleteCount:
        """Take tracks out; an id that stands twice counts once. Raises StorageError; then nothing is changed."""
        return await self._uninterrupted.run(self._delete(list(dict.fromkeys(track_ids))))

    def get(self, track_ids: Sequence[str]) -> list[TrackRecord]:
        """Tracks in the order of their ids. Raises NotFoundError that names the missing ones."""
        catalog = self._registry.snapshot.catalog
        return [catalog.record(int(row)) for row in served_rows(catalog, track_ids)]

    async def _upsert(self, records: Sequence[TrackRecord]) -> UpsertCount:
        async with self._lock:
            updated = len(self._served([record.track_id for record in records]))
            await self._write(upserts=records)
        return UpsertCount(created=len(records) - updated, updated=updated)

    async def _delete(self, track_ids: Sequence[str]) -> DeleteCount:
        async with self._lock:
            found = self._served(track_ids)
            await self._write(deletes=found)
        return DeleteCount(deleted=len(found), unknown=len(track_ids) - len(found))

    def _served(self, track_ids: Sequence[str]) -> list[str]:
        catalog = self._registry.snapshot.catalog
        served = catalog.rows_of(track_ids) >= 0
        return [track_id for track_id, there in zip(track_ids, served, strict=True) if there]

    async def _write(self, *, upserts: Sequence[TrackRecord] = (), deletes: Sequence[str] = ()) -> None:
        if not upserts and not deletes:
            return
        write = partial(self._tracks.write, upserts=upserts, deletes=deletes, updated_at=self._now())
        await asyncio.get_running_loop().run_in_executor(self._executor, write)
        await self._registry.apply_tracks(upserts=upserts, deletes=deletes)
