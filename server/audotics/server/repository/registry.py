"""The registry: bundles on disk and changes to the catalogue go in, the snapshot that is served comes out.

A change of any kind builds a new snapshot beside the one in service, on the executor, and then puts it there; requests
under way keep theirs. Changes happen one after the other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from types import TracebackType
from typing import Final, Self

from audotics.bundle.errors import BundleError, BundleNotFoundError
from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError, NotReadyError, RefusedModelError
from audotics.server.repository.loading import CATALOG, MODEL_KINDS, load_catalog, load_model
from audotics.server.repository.snapshot import Snapshot
from audotics.server.repository.state import State
from audotics.server.repository.status import ModelStatus, model_status
from audotics.server.types import TrackRecord

_LOG: Final = logging.getLogger(__name__)
_KINDS: Final = (CATALOG, *MODEL_KINDS)


class Registry:
    """Owns what is in service. Use it as an async context manager and call `start` once inside."""

    def __init__(self, store: BundleStore, *, executor: Executor, threads: int = 1) -> None:
        """Loading and linking run on `executor`; each model works with `threads` threads."""
        self._store = store
        self._executor = executor
        self._threads = threads
        self._state = State()
        self._snapshot: Snapshot | None = None
        self._refused: dict[tuple[str, int], str] = {}
        self._changes = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._changes:
            self._publish(State())

    async def start(self) -> None:
        """Put the newest version of each kind in service that can be; one that cannot is logged and reported."""
        async with self._changes:
            self._publish(await self._off_loop(self._load_newest))

    @property
    def snapshot(self) -> Snapshot:
        """What is in service now. Raises NotReadyError, which says what to do, when there is no catalogue."""
        if self._snapshot is None:
            reasons = [reason for (name, _), reason in self._refused.items() if name == CATALOG]
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

    def models(self) -> list[ModelStatus]:
        """Every model that has a version on disk or in service, by name. Reads manifests, so it blocks shortly."""
        names = sorted({*self._store.models(), *self._in_service()})
        statuses = [self._status(name) for name in names]
        return [status for status in statuses if status.versions]

    def model(self, name: str) -> ModelStatus:
        """One model. Raises NotFoundError."""
        if name not in self._store.models() and name not in self._in_service():
            raise NotFoundError(
                "model", [name], hint=f"the repository has: {', '.join(self._store.models()) or 'none'}"
            )
        return self._status(name)

    async def load_version(self, name: str, version: int) -> ModelStatus:
        """Verify, load, warm up, and put in service in place of the version before. That one serves until then.

        Raises NotFoundError, or RefusedModelError with the reason; then nothing changes.
        """
        async with self._changes:
            self.model(name)
            self._publish(await self._off_loop(lambda: self._load(self._state, name, version)))
            _LOG.info("%s/%d is in service", name, version)
        return self.model(name)

    async def unload_version(self, name: str, version: int) -> ModelStatus:
        """Take a version out of service; requests under way finish on it. Raises NotFoundError or RefusedModelError."""
        async with self._changes:
            status = self.model(name)
            if version not in {on_disk.version for on_disk in status.versions}:
                raise NotFoundError("model version", [f"{name}/{version}"])
            if self._in_service().get(name) != version:
                raise RefusedModelError(f"{name}/{version} is not in service, so it cannot be taken out of it")
            if name == CATALOG:
                raise RefusedModelError("nothing can be served without a catalogue; load another version in its place")
            self._publish(self._state.without_model(name, reason="taken out of service by an operator"))
            _LOG.info("%s/%d is out of service", name, version)
        return self.model(name)

    async def apply_tracks(self, *, upserts: Sequence[TrackRecord] = (), deletes: Sequence[str] = ()) -> None:
        """Delete and then add or replace tracks, for every request from now on. Unknown deletes change nothing.

        The changes stay when another catalogue or model is loaded, but not beyond the process. Raises NotReadyError.
        """
        async with self._changes:
            catalog, state = self.snapshot.catalog, self._state
            self._publish(await self._off_loop(lambda: state.with_tracks(catalog, upserts=upserts, deletes=deletes)))

    async def _off_loop(self, work: Callable[[], State]) -> State:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _publish(self, state: State) -> None:
        self._state, self._snapshot = state, state.snapshot()

    def _in_service(self) -> dict[str, int]:
        catalog = self._state.catalog
        models = {kind: part.version for kind, part in self._state.parts.items()}
        return models if catalog is None else {CATALOG: catalog.version, **models}

    def _status(self, name: str) -> ModelStatus:
        return model_status(self._store, name, in_service=self._in_service().get(name), refused=self._refused)

    def _load_newest(self) -> State:
        state = State()
        for kind in _KINDS:
            for version in reversed(self._store.versions(kind)):
                try:
                    state = self._load(state, kind, version)
                    break
                except RefusedModelError as error:
                    _LOG.warning("refused: %s", error)
                    state = state.without_model(kind, reason=str(error))
        return state

    def _load(self, state: State, name: str, version: int) -> State:
        where = f"{name}/{version}"
        try:
            bundle = self._store.open(name, version)
            if bundle.manifest.kind != name or name not in _KINDS:
                raise RefusedModelError(
                    f"{where}: a bundle of kind {bundle.manifest.kind!r}; served are {', '.join(_KINDS)}, "
                    "each in a folder of that name"
                )
            if name == CATALOG:
                loaded = state.with_catalog(load_catalog(bundle, generation=0))
            else:
                loaded = state.with_model(name, load_model(bundle, threads=self._threads))
        except BundleNotFoundError as error:
            known = ", ".join(str(number) for number in self._store.versions(name)) or "none"
            raise NotFoundError("model version", [where], hint=f"versions on disk: {known}") from error
        except (BundleError, RefusedModelError) as error:
            self._refused[name, version] = str(error)
            raise RefusedModelError(str(error)) from error
        except OSError as error:
            self._refused[name, version] = f"{where}: its files cannot be read ({type(error).__name__})"
            raise RefusedModelError(self._refused[name, version]) from error
        self._refused.pop((name, version), None)
        return loaded
