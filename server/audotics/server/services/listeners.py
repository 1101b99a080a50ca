"""Listeners: a subject goes in, its history and seen tracks come out as rows of one catalogue."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.repository.catalog import Catalog
from audotics.server.services.tracks import served_rows
from audotics.server.services.user_state import UserState
from audotics.server.storage.errors import StorageError
from audotics.server.storage.events import EventStore
from audotics.server.types import Degradation, DegradationReason, Event, Listener, Subject

Resolved = tuple[Listener, tuple[Degradation, ...]]

_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    """A listener in memory. `resolved` holds for the catalogue `generation` and is None after an event."""

    state: UserState
    generation: int = -1
    resolved: Resolved | None = None


class Listeners:
    """Resolves subjects; keeps the events of the `cache_size` most recently served users in memory."""

    def __init__(self, *, events: EventStore, executor: Executor, cache_size: int) -> None:
        self._events = events
        self._executor = executor
        self._cache_size = cache_size
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._loading: dict[str, list[list[Event]]] = {}

    async def resolve(self, subject: Subject, catalog: Catalog) -> Resolved:
        """Return the listener and what is missing of them. Raises NotFoundError that names unknown seed tracks."""
        if subject.kind != "user":
            rows = served_rows(catalog, subject.track_ids)
            history = rows[_last_places(rows)]
            return Listener(history=history, seen=history), ()
        try:
            entry = self._entries.get(subject.user_id) or await self._load(subject.user_id)
        except StorageError as error:
            _LOG.warning("events of a listener left out: %s", error)
            listener, degraded = _merge(subject.user_id, UserState(), catalog)
            failed = Degradation("user", DegradationReason.FAILED, "recent events could not be read")
            return listener, (*degraded, failed)
        if subject.user_id in self._entries:
            self._entries.move_to_end(subject.user_id)
        if entry.resolved is None or entry.generation != catalog.generation:
            entry.resolved = _merge(subject.user_id, entry.state, catalog)
            entry.generation = catalog.generation
        return entry.resolved

    def record(self, events: Sequence[Event]) -> None:
        """Let listeners in memory know of events that are stored now."""
        for event in events:
            for arrived in self._loading.get(event.user_id, ()):
                arrived.append(event)
            if (entry := self._entries.get(event.user_id)) is not None:
                entry.state.apply(event)
                entry.resolved = None

    async def _load(self, user_id: str) -> _Entry:
        """Read a listener from storage, together with the events that are acknowledged while it is read."""
        arrived: list[Event] = []
        readers = self._loading.setdefault(user_id, [])
        readers.append(arrived)
        try:
            state = await asyncio.get_running_loop().run_in_executor(self._executor, self._read, user_id)
        finally:
            # By identity: two readers' lists are equal while both are empty.
            readers[:] = [reader for reader in readers if reader is not arrived]
            if not readers:
                self._loading.pop(user_id, None)
        for event in arrived:
            state.apply(event)
        entry = self._entries.setdefault(user_id, _Entry(state))
        if len(self._entries) > self._cache_size:
            self._entries.popitem(last=False)
        return entry

    def _read(self, user_id: str) -> UserState:
        return UserState(self._events.history(user_id))


def _merge(user_id: str, state: UserState, catalog: Catalog) -> Resolved:
    trained = catalog.history_rows(user_id)
    known = state.known or trained is not None
    base = np.empty(0, np.int64) if trained is None else trained
    base = base[~catalog.deleted[base]]
    undecided = base[~np.isin(base, catalog.rows_of(state.judged))]
    history = np.concatenate([undecided, catalog.rows_of(state.liked)])
    seen = np.unique(np.concatenate([base, catalog.rows_of(state.seen)]))
    listener = Listener(history=history[history >= 0], seen=seen[seen >= 0], known=known)
    if known:
        return listener, ()
    detail = f"user {user_id!r} is not known; served as a new listener"
    return listener, (Degradation("user", DegradationReason.UNKNOWN_USER, detail),)


def _last_places(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions that keep each row once, where it stands last."""
    _, from_end = np.unique(rows[::-1], return_index=True)
    return np.sort(len(rows) - 1 - from_end)
