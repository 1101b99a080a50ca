"""Listeners: a subject goes in, its history and seen tracks come out as rows of one catalogue."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.listener_features import ListenerFeatures, merged_history
from audotics.features.listener_state import ListenerState
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.snapshot import Snapshot
from audotics.server.services.picks import with_preferences
from audotics.server.services.tracks import served_rows
from audotics.server.storage.errors import StorageError
from audotics.server.storage.users import StoredUser, UserStore
from audotics.server.types import Degradation, DegradationReason, Event, Listener, Subject

Resolved = tuple[Listener, tuple[Degradation, ...]]

_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    """A listener in memory. `resolved` holds for the catalogue `generation` and is None after an event."""

    stored: StoredUser
    state: ListenerState
    generation: int = -1
    resolved: Resolved | None = None


@dataclass(slots=True, eq=False)
class _Load:
    """A listener being read: the events that are acknowledged meanwhile, and whether the reading still counts."""

    arrived: list[Event] = field(default_factory=list)
    valid: bool = True


class Listeners:
    """Resolves subjects; keeps the events of the `cache_size` most recently served users in memory."""

    def __init__(
        self,
        *,
        users: UserStore,
        executor: Executor,
        cache_size: int,
        on_changed: Callable[[Iterable[str]], object] = lambda user_ids: None,
        tell: Callable[[Iterable[str]], object] = lambda user_ids: None,
    ) -> None:
        """`on_changed` learns whose next list may be another one, `tell` of those whom this server has changed."""
        self._on_changed = on_changed
        self._tell = tell
        self._users = users
        self._executor = executor
        self._cache_size = cache_size
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._loading: dict[str, list[_Load]] = {}

    async def resolve(self, subject: Subject, catalog: Catalog) -> Resolved:
        """Return the listener and what is missing of them. Raises NotFoundError that names unknown seed tracks."""
        if subject.kind != "user":
            rows = served_rows(catalog, subject.track_ids)
            history = rows[_last_places(rows)]
            return Listener(history=history, seen=history), ()
        try:
            entry = await self._entry(subject.user_id)
        except StorageError as error:
            _LOG.warning("events of a listener left out: %s", error)
            listener, degraded = _merge(subject.user_id, StoredUser(), ListenerState(), catalog)
            failed = Degradation("user", DegradationReason.FAILED, "recent events could not be read")
            return listener, (*degraded, failed)
        if entry.resolved is None or entry.generation != catalog.generation:
            entry.resolved = _merge(subject.user_id, entry.stored, entry.state, catalog)
            entry.generation = catalog.generation
        return entry.resolved

    async def features(self, user_id: str, snapshot: Snapshot) -> ListenerFeatures:
        """The features of a user as they are now, without what they said they like. Raises StorageError."""
        entry, catalog = await self._entry(user_id), snapshot.catalog
        trained = None if entry.stored.erased else catalog.history_rows(user_id)
        return ListenerFeatures.of(
            entry.state,
            tracks=catalog.columns,
            genres=catalog.genres,
            rows_of=catalog.rows_of,
            base=None if trained is None else trained[~catalog.deleted[trained]],
            embed=None if snapshot.content is None else snapshot.content.vectors,
        )

    def record(self, events: Sequence[Event]) -> None:
        """Let listeners in memory know of events that are stored now."""
        for event in events:
            for load in self._loading.get(event.user_id, ()):
                load.arrived.append(event)
            if (entry := self._entries.get(event.user_id)) is not None:
                entry.state.apply(event)
                entry.resolved = None
        changed = {event.user_id for event in events}
        self._on_changed(changed)
        self._tell(changed)

    def forget(self, user_ids: Iterable[str]) -> None:
        """Read these listeners anew: what is stored of them is not what is known here."""
        user_ids = list(user_ids)
        self.hear(user_ids)
        self._tell(user_ids)

    def hear(self, user_ids: Iterable[str]) -> None:
        """As `forget`, for listeners that another server has changed."""
        user_ids = list(user_ids)
        for user_id in user_ids:
            self._entries.pop(user_id, None)
            for load in self._loading.get(user_id, ()):
                load.valid = False
        self._on_changed(user_ids)

    def hear_of_all(self) -> None:
        """As `hear`, of every listener: another server may have changed any of them."""
        self.hear({*self._entries, *self._loading})

    async def _entry(self, user_id: str) -> _Entry:
        entry = self._entries.get(user_id) or await self._load(user_id)
        if user_id in self._entries:
            self._entries.move_to_end(user_id)
        return entry

    async def _load(self, user_id: str) -> _Entry:
        """Read a listener from storage, together with the events that are acknowledged while it is read."""
        load = _Load()
        loads = self._loading.setdefault(user_id, [])
        loads.append(load)
        try:
            stored = await asyncio.get_running_loop().run_in_executor(self._executor, self._users.read, user_id)
        finally:
            loads.remove(load)
            if not loads:
                self._loading.pop(user_id, None)
        if not load.valid:
            return await self._load(user_id)
        state = ListenerState((*stored.events, *load.arrived))
        entry = self._entries.setdefault(user_id, _Entry(replace(stored, events=()), state))
        if len(self._entries) > self._cache_size:
            self._entries.popitem(last=False)
        return entry


def _merge(user_id: str, stored: StoredUser, state: ListenerState, catalog: Catalog) -> Resolved:
    trained = None if stored.erased else catalog.history_rows(user_id)
    known = state.known or trained is not None or stored.preferences is not None
    base = np.empty(0, np.int64) if trained is None else trained
    base = base[~catalog.deleted[base]]
    history = merged_history(base, judged=catalog.rows_of(state.judged), liked=catalog.rows_of(state.liked))
    seen = np.unique(np.concatenate([base, catalog.rows_of(state.seen)]))
    listener = Listener(history=history, seen=seen[seen >= 0], known=known, erased_at=stored.erased_at)
    if stored.preferences is not None:
        listener = with_preferences(listener, stored.preferences, catalog)
    if known:
        return listener, ()
    detail = f"user {user_id!r} is not known; served as a new listener"
    return listener, (Degradation("user", DegradationReason.UNKNOWN_USER, detail),)


def _last_places(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions that keep each row once, where it stands last."""
    _, from_end = np.unique(rows[::-1], return_index=True)
    return np.sort(len(rows) - 1 - from_end)
