"""The registry: bundles on disk and changes to the catalogue go in, the snapshot that is served comes out.

A change of any kind builds a new snapshot beside the one in service, on the executor, and then puts it there; requests
under way keep theirs. Changes happen one after the other; only a rollback to what is loaded waits for none. The
versions that they need are loaded before, side by side.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

from audotics.bundle.labels import STABLE
from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError, NotReadyError, RefusedModelError
from audotics.server.repository.announcing import Announcer
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.history import BY_OPERATOR, Cause, ModelChange, Origin
from audotics.server.repository.lifecycle import Lifecycle
from audotics.server.repository.loader import Loader
from audotics.server.repository.loading import CATALOG, LoadedModel
from audotics.server.repository.overview import Overview
from audotics.server.repository.policy import VersionPolicies
from audotics.server.repository.preparing import Preparing
from audotics.server.repository.residency import MemoryBudget
from audotics.server.repository.snapshot import Snapshot
from audotics.server.repository.state import Key, State
from audotics.server.repository.status import IndexStatus, ModelStatus
from audotics.server.repository.wishes import ModelWish, RefusedWishError
from audotics.server.retrieval.compaction import compact
from audotics.server.retrieval.opening import IndexOpener
from audotics.server.retrieval.vectors import VectorIndex
from audotics.server.runtime.memory import FreedMemory
from audotics.server.runtime.opening import RuntimeOpener
from audotics.server.types import ModelSelector, TrackRecord

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)
_REMEMBERED: Final = 64
"""Snapshots of selections that are kept until something changes."""


class Registry:
    """Owns what is in service. Use it as an async context manager and call `start` once inside."""

    def __init__(
        self,
        store: BundleStore,
        *,
        executor: Executor,
        preparing: Executor | None = None,
        policies: VersionPolicies | None = None,
        memory_mib: float | None = None,
        tenant_memory_mib: Mapping[str, float] | None = None,
        indexes: IndexOpener | None = None,
        runtimes: RuntimeOpener | None = None,
        on_changed: Callable[[Sequence[ModelChange]], object] | None = None,
    ) -> None:
        """Loading and linking run on `executor`; `runtimes` run the models, by default ONNX Runtime on the CPU.

        With `preparing`, another executor, versions are loaded on that before a change needs them, several at a time.
        `policies` say which versions are loaded, by default the newest; `memory_mib` bounds what they take, and
        `tenant_memory_mib` what those of a tenant take. `on_changed` learns on the event loop of what has happened to
        versions, and must neither wait nor fail.
        """
        self._executor = executor
        self._indexes = IndexOpener() if indexes is None else indexes
        self._loader = Loader(store, runtimes=runtimes, indexes=self._indexes)
        budget = MemoryBudget(memory_mib, tenant_memory_mib or {})
        self._lifecycle = Lifecycle(store, self._loader, policies=policies or VersionPolicies(), budget=budget)
        self._state = State()
        self._snapshot: Snapshot | None = None
        self._selections: dict[ModelSelector, Snapshot] = {}
        self._labelled: dict[str, dict[str, int]] = {}
        self._changes = asyncio.Lock()
        self._announcer = Announcer(self._loader, on_changed=on_changed)
        self._overview = Overview(store, self._loader, state=lambda: self._state)
        self._freed = FreedMemory(executor)
        self._preparing = None
        if preparing is not None:
            self._preparing = Preparing(self._loader, executor=preparing, loaded=lambda: self._state.loaded.keys())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._preparing is not None:
            await self._preparing.end()
        async with self._changes:
            self._publish(State())

    async def start(self) -> None:
        """Put in service what should serve and can; a version that cannot is logged and reported."""
        cause = Cause(Origin.START)
        async with self._changes:
            before = self._state
            with self._announcer.noting_refusals(cause):
                state = await self._off_loop(self._lifecycle.start)
            self._publish(state)
            self._announcer.changed(before, state, cause)

    async def follow(self) -> None:
        """Do what has changed on disk: load new versions, and obey changed labels. Nothing happens when nothing has.

        Where versions can be prepared this does not wait for it: each of them is taken in once it is.
        """
        prepared_only = self._preparing is not None
        async with self._changes:
            await self._apply(partial(self._lifecycle.follow, prepared_only=prepared_only), Cause(Origin.REPOSITORY))
            self._lifecycle.followed()
            unprepared = self._lifecycle.unprepared
        if self._preparing is not None:
            self._preparing.take_in(unprepared, self.follow)

    async def settled(self) -> None:
        """Wait until the versions are taken in that were found before."""
        if self._preparing is not None:
            await self._preparing.settled()

    @property
    def snapshot(self) -> Snapshot:
        """What is in service now. Raises NotReadyError, which says what to do, when there is no catalogue."""
        if self._snapshot is None:
            reasons = [reason for (name, _), reason in list(self._loader.refused.items()) if name == CATALOG]
            reasons += [reason for name, reason in self._state.absent.items() if name == CATALOG]
            raise NotReadyError(
                (
                    f"no catalogue can be loaded: {'; '.join(reasons)}. "
                    if reasons
                    else "the repository has no catalogue. "
                )
                + "Make one with `audotics train all --data DATA --output RUN` and then "
                "`audotics export RUN --repository REPOSITORY`, or with `audotics demo`"
            )
        return self._snapshot

    def select(self, selector: ModelSelector | None) -> Snapshot:
        """What is in service, but with the versions that are asked for. Raises NotFoundError, NotReadyError."""
        snapshot = self.snapshot
        if selector is None:
            return snapshot
        selected = self._selections.get(selector)
        if selected is None:
            selected = self._state.select(selector, snapshot.catalog)
            if len(self._selections) >= _REMEMBERED:
                self._selections.clear()
            self._selections[selector] = selected
        return selected

    def loaded(self, name: str, *, version: int | None = None, label: str | None = None) -> LoadedModel:
        """A model that is loaded: a certain version, what a label stands for, or by default the one that serves.

        Raises NotFoundError, which names the versions that are loaded, or NotReadyError when none of them serves.
        """
        state = self._state
        if label is not None:
            wanted = state.labels.get(name, {}).get(label)
        else:
            wanted = state.serving.get(name) if version is None else version
        model = None if wanted is None else state.loaded.get((name, wanted))
        if model is None:
            raise state.missing(name, version=version, label=label)
        return model

    def standing(self) -> dict[Key, bool]:
        """Every loaded version, and whether it serves; the catalogue's is among them."""
        state = self._state
        catalog = {} if state.catalog is None else {(CATALOG, state.catalog.version): True}
        return catalog | {(name, version): state.serving.get(name) == version for name, version in state.loaded}

    @property
    def refused_count(self) -> int:
        """Versions on disk that could not be loaded."""
        return len(self._loader.refused)

    def knows(self, name: str) -> bool:
        """Whether there is a model of this name, loaded or not."""
        return self._lifecycle.knows(name) or any(loaded == name for loaded, _ in self._state.loaded)

    def labelled(self, label: str) -> Mapping[str, int]:
        """The version that the label stands for, of each model that has it."""
        return self._labelled.get(label, {})

    def loaded_versions(self, name: str) -> list[int]:
        """Versions that can be called, lowest first."""
        return self._state.loaded_versions(name)

    async def models(self) -> list[ModelStatus]:
        """Every model that has a version on disk or loaded, by name."""
        return await asyncio.to_thread(self._overview.models)

    async def model(self, name: str) -> ModelStatus:
        """One model. Raises NotFoundError."""

        def read() -> ModelStatus:
            self._overview.check(name)
            return self._overview.model(name)

        return await asyncio.to_thread(read)

    async def load_version(self, name: str, version: int, *, cause: Cause = BY_OPERATOR) -> ModelStatus:
        """Verify, load, warm up, and put in service in place of the version before, which serves until then.

        Where the label `stable` names another version, this one stays beside it. A hybrid comes with the parts that it
        was trained with. Raises NotFoundError, or RefusedModelError with the reason; then nothing changes.
        """
        return await self._change(name, lambda state: self._lifecycle.load(state, name, version), cause, version)

    async def load_beside(self, name: str, version: int, *, cause: Cause = BY_OPERATOR) -> ModelStatus:
        """Have a version loaded, whatever serves. Raises NotFoundError, or RefusedModelError with the reason."""
        return await self._change(name, lambda state: self._lifecycle.load_beside(state, name, version), cause, version)

    async def unload_version(self, name: str, version: int, *, cause: Cause = BY_OPERATOR) -> ModelStatus:
        """Drop a version; requests under way finish on it. Raises NotFoundError or RefusedModelError."""
        return await self._change(name, lambda state: self._lifecycle.unload(state, name, version), cause)

    async def unload_model(self, name: str, *, cause: Cause = BY_OPERATOR) -> ModelStatus:
        """Drop every loaded version in one step. Raises NotFoundError or RefusedModelError; then nothing changes."""
        return await self._change(name, lambda state: self._lifecycle.unload_all(state, name), cause)

    async def set_label(self, name: str, label: str, version: int | None, *, cause: Cause = BY_OPERATOR) -> ModelStatus:
        """Let `label` stand for a version, which is loaded if need be, or with None for nothing. Written to disk.

        `stable` puts its version in service. Raises NotFoundError, or RefusedModelError with the reason; then nothing
        changes.
        """
        return await self._change(
            name, lambda state: self._lifecycle.label(state, name, label, version), cause, version
        )

    async def configure(self, wishes: Sequence[ModelWish], *, cause: Cause = BY_OPERATOR) -> None:
        """Load and label all that is wished for, in one step. Labels are written to disk.

        Raises NotFoundError, or RefusedModelError with the reason; then nothing changes.
        """
        for wish in wishes:
            await asyncio.to_thread(self._overview.check, wish.name)
        asked = [key for wish in wishes for key in wish.named]
        async with self._prepared(asked), self._changes:
            try:
                await self._apply(lambda state: self._lifecycle.configure(state, wishes), cause, asked=asked)
            except RefusedWishError as error:
                self._announcer.refused((error.name, error.version), error, cause)
                raise

    async def release(self, keys: AbstractSet[Key], *, cause: Cause = BY_OPERATOR) -> None:
        """Take back the wish that these be loaded: what nothing else keeps is unloaded."""
        async with self._changes:
            await self._apply(lambda state: self._lifecycle.release(state, keys), cause)

    async def rollback(self, name: str, *, cause: Cause = BY_OPERATOR) -> ModelStatus:
        """Serve the version that served before, which is loaded still; `stable` names it from then on.

        Raises NotFoundError for an unknown model, RefusedModelError when there is no version to go back to.
        """
        before = self._state
        warm = self._lifecycle.rollback_at_once(before, name)
        if warm is None:
            await self._change(name, lambda state: self._lifecycle.rollback(state, name), cause, back=True)
        else:
            self._publish(warm)  # without waiting for a change under way, which is made anew on this one
            self._announcer.changed(before, warm, cause, back=True)
        stable = self._state.labels.get(name, {}).get(STABLE)
        try:
            await asyncio.to_thread(self._lifecycle.write_label, name, STABLE, stable)
        except (NotFoundError, RefusedModelError) as error:
            _LOG.error("%s was rolled back, but a restart will not know until that can be written: %s", name, error)
        return await asyncio.to_thread(self._overview.model, name)

    async def apply_tracks(self, *, upserts: Sequence[TrackRecord] = (), deletes: Sequence[str] = ()) -> None:
        """Delete and then add or replace tracks, for every request from now on. Unknown deletes change nothing.

        The changes stay when another catalogue or model is loaded, but not beyond the process. Raises NotReadyError.
        """
        async with self._changes:
            await self._apply(partial(_with_tracks, self.snapshot.catalog, upserts, deletes), Cause(Origin.OPERATOR))

    def tell(self, changes: Sequence[ModelChange]) -> None:
        """Log what has happened to versions, and have it recorded."""
        self._announcer.tell(changes)

    def indexes(self) -> list[IndexStatus]:
        """The vector indexes of all loaded models."""
        serving = self._state.serving
        return [
            IndexStatus(name, version, index, in_service=serving.get(name) == version)
            for (name, version), index in self._state.indexes().items()
        ]

    async def rebuild_index(self, name: str, version: int | None, *, retrain: bool, executor: Executor) -> IndexStatus:
        """Put what changed into an index, by default that of the version in service, on `executor`.

        Raises NotFoundError for a model without an index, RefusedModelError when the new one would find too little or
        another took its place meanwhile; then nothing changes.
        """
        indexes = self._state.indexes()
        wanted = self._state.serving.get(name) if version is None else version
        since = None if wanted is None else indexes.get((name, wanted))
        if wanted is None or since is None:
            known = ", ".join(f"{model}/{number}" for model, number in indexes) or "none"
            asked = name if version is None else f"{name}/{version}"
            raise NotFoundError("index", [asked], hint=f"there are those of: {known}")
        if not await self.compact((name, wanted), since, executor=executor, retrain=retrain):
            raise RefusedModelError(f"{name}/{wanted}: another index took its place meanwhile; rebuild that one")
        return next(status for status in self.indexes() if (status.name, status.version) == (name, wanted))

    async def compact(self, key: Key, since: VectorIndex, *, executor: Executor, retrain: bool = False) -> bool:
        """Put what changed into an index, on `executor`, while searches and changes go on.

        Says whether the new one is in service: it is not where another took the place of `since` meanwhile. Raises
        RefusedModelError when it would find too little; then nothing changes.
        """
        work = partial(compact, since, name=f"{key[0]}/{key[1]}", retrain=retrain, place=self._indexes.place)
        compacted = await asyncio.get_running_loop().run_in_executor(executor, work)
        async with self._changes:
            now = self._state.indexes().get(key)
            if now is None or now.stored is not since.stored:
                return False
            self._publish(self._state.with_index(key, now.carried_over(compacted, since=since)))
            self._indexes.counters.add("compactions")
            return True

    async def _change(
        self,
        name: str,
        change: Callable[[State], State],
        cause: Cause,
        version: int | None = None,
        *,
        back: bool = False,
    ) -> ModelStatus:
        """`version` is the one that is asked for, if it may be refused."""
        asked = [] if version is None else [(name, version)]
        await asyncio.to_thread(self._overview.check, name)
        async with self._prepared(asked), self._changes:
            try:
                await self._apply(change, cause, back=back, asked=asked)
            except RefusedModelError as error:
                for key in asked:
                    self._announcer.refused(key, error, cause)
                raise
        return await asyncio.to_thread(self._overview.model, name)

    def _prepared(self, asked: Collection[Key]) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._preparing is None else self._preparing.ready(asked)

    async def _apply(
        self, change: Callable[[State], State], cause: Cause, *, back: bool = False, asked: Collection[Key] = ()
    ) -> None:
        """Make a change, and make it anew where a rollback came in between."""
        with self._announcer.noting_refusals(cause, besides=asked):
            while True:
                before = self._state
                state = await self._off_loop(partial(change, before))
                if self._state is before:
                    break
        if state is not before:
            self._publish(state)
            self._announcer.changed(before, state, cause, back=back)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _publish(self, state: State) -> None:
        for key in self._state.loaded.keys() - state.loaded.keys():
            self._freed.after(self._state.loaded[key].model)
        self._state, self._snapshot, self._selections = state, state.snapshot(), {}
        self._labelled = {}
        for name, labels in state.labels.items():
            for label, version in labels.items():
                self._labelled.setdefault(label, {})[name] = version


def _with_tracks(catalog: Catalog, upserts: Sequence[TrackRecord], deletes: Sequence[str], state: State) -> State:
    return state.with_tracks(state.catalog or catalog, upserts=upserts, deletes=deletes)
