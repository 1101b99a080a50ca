"""Versions from disk: a name and a number go in, a verified, warmed-up model or a catalogue comes out. Blocking.

A model may be added to a state at once, a hybrid together with the parts that it was trained with.

What was refused, and why, is kept until the version loads after all. A version may be prepared: loaded on any thread,
for whoever asks for it next.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Final

from audotics.bundle.errors import BundleError, BundleNotFoundError
from audotics.bundle.store import Bundle, BundleStore
from audotics.bundle.tenants import model_of, tenant_of
from audotics.server.errors import NotFoundError, RefusedModelError
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.loading import CATALOG, HYBRID, MODEL_KINDS, LoadedModel, load_catalog, load_model
from audotics.server.repository.state import Key, State
from audotics.server.retrieval.opening import IndexOpener
from audotics.server.runtime.model import UnavailableModelError
from audotics.server.runtime.opening import RuntimeOpener

_LOG: Final = logging.getLogger(__name__)
_SERVED: Final = (CATALOG, *MODEL_KINDS)
_LONGEST_REASON: Final = 1000


class Loader:
    """Opens versions of one repository. `refused` says of a version that could not be loaded why that is so."""

    def __init__(
        self, store: BundleStore, *, runtimes: RuntimeOpener | None = None, indexes: IndexOpener | None = None
    ) -> None:
        self._store = store
        self._runtimes = RuntimeOpener() if runtimes is None else runtimes
        self._indexes = IndexOpener() if indexes is None else indexes
        self.refused: dict[tuple[str, int], str] = {}
        self.unreachable: set[tuple[str, int]] = set()
        """Those of the refused whose model lies on a server that did not answer. They may be tried again any time."""
        self._prepared: dict[Key, tuple[object, LoadedModel | Exception]] = {}
        """With the files that they were loaded from."""

    def prepare(self, key: Key) -> None:
        """Load a version, or find out why it cannot be, and keep that until it is dropped."""
        files: object = None
        try:
            files = self._store.signature(*key)
            self._prepared[key] = files, self._load_now(*key)
        except Exception as error:  # whoever asks for the version is told
            self._prepared[key] = files, error

    def is_prepared(self, key: Key, *, loaded: Container[Key]) -> bool:
        """Whether it is known what becomes of a version; of a hybrid with its parts, but for those `loaded`."""
        return all(each in self._prepared or each in loaded for each in (key, *self.parts_of(key)))

    def parts_of(self, key: Key) -> list[Key]:
        """The versions that a prepared hybrid was trained with; none for anything else."""
        _, outcome = self._prepared.get(key, (None, None))
        return list(outcome.pins.items()) if isinstance(outcome, LoadedModel) and key[0] == HYBRID else []

    def drop(self, key: Key) -> None:
        """Keep what was prepared no longer."""
        self._prepared.pop(key, None)

    def catalog(self, version: int) -> Catalog:
        """Raises NotFoundError, or RefusedModelError with the reason."""
        with self._noting(CATALOG, version), self._unchanged(CATALOG, version):
            return load_catalog(self._open(CATALOG, version), generation=0)

    def model(self, name: str, version: int) -> LoadedModel:
        """Raises NotFoundError, or RefusedModelError with the reason."""
        with self._noting(name, version):
            return self._load(name, version)

    def add(self, state: State, name: str, version: int) -> State:
        """Load a version where it is not, a hybrid with its parts. Raises NotFoundError or RefusedModelError."""
        state = self._with(state, name, version)
        if name == HYBRID:
            for kind, pinned in state.pins(version).items():
                try:
                    state = self.add(state, kind, pinned)
                except (NotFoundError, RefusedModelError) as error:
                    raise RefusedModelError(
                        f"{name}/{version} was trained with {kind}/{pinned}, which cannot be loaded: {error}"
                    ) from error
        return state

    def try_add(self, state: State, key: Key, *, parts: bool = True) -> State:
        """As `add`, but a version that is refused is logged and left out."""
        before = self.refused.get(key)
        try:
            if parts:
                return self.add(state, *key)
            return self._with(state, *key)
        except (NotFoundError, RefusedModelError) as error:
            self.refused.setdefault(key, str(error))
            if str(error) != before:
                _LOG.warning("refused: %s", error)
            return state

    def _with(self, state: State, name: str, version: int) -> State:
        if (name, version) in state.loaded:
            return state
        with self._noting(name, version):
            return state.with_model(self._load(name, version))

    def _load(self, name: str, version: int) -> LoadedModel:
        files, outcome = self._prepared.get((name, version), (None, None))
        if outcome is None or files != self._store.signature(name, version):
            return self._load_now(name, version)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _load_now(self, name: str, version: int) -> LoadedModel:
        with self._unchanged(name, version):
            bundle = self._open(name, version)
            choice = self._store.runtime(name) or self._runtimes.default
            return load_model(bundle, choice, runtimes=self._runtimes, indexes=self._indexes)

    @contextmanager
    def _unchanged(self, name: str, version: int) -> Iterator[None]:
        """What was verified has to be what was loaded, and those are two readings of the files."""
        before = self._store.signature(name, version)
        yield
        if self._store.signature(name, version) != before:
            raise RefusedModelError(f"{name}/{version}: its files changed while they were loaded; load it again")

    @contextmanager
    def _noting(self, name: str, version: int) -> Iterator[None]:
        where = f"{name}/{version}"
        self.unreachable.discard((name, version))
        try:
            yield
        except BundleNotFoundError as error:
            raise NotFoundError("model version", [where], hint=f"versions on disk: {self._on_disk(name)}") from error
        except (BundleError, RefusedModelError) as error:
            self.refused[name, version] = _shortened(str(error))
            raise RefusedModelError(self.refused[name, version]) from error
        except UnavailableModelError as error:
            self.unreachable.add((name, version))
            self.refused[name, version] = f"{error}; it is tried again"
            raise RefusedModelError(self.refused[name, version]) from error
        except (OSError, MemoryError) as error:
            self.refused[name, version] = f"{where}: its files cannot be read ({type(error).__name__})"
            raise RefusedModelError(self.refused[name, version]) from error
        except Exception as error:  # whatever lies in a repository, the rest of it has to be served
            _LOG.exception("%s could not be loaded, and not for a reason that is checked for", where)
            self.refused[name, version] = f"{where}: it cannot be loaded ({type(error).__name__}); export it again"
            raise RefusedModelError(self.refused[name, version]) from error
        self.refused.pop((name, version), None)

    def _on_disk(self, name: str) -> str:
        try:
            return ", ".join(str(number) for number in self._store.versions(name)) or "none"
        except OSError:
            return "unknown, its folder cannot be listed"

    def _open(self, name: str, version: int) -> Bundle:
        bundle = self._store.open(name, version)
        kind, model = bundle.manifest.kind, model_of(name)
        if tenant_of(name) and CATALOG in (kind, model):
            raise RefusedModelError(
                f"{bundle}: tenants have no catalogue of their own; give them a server of their own"
            )
        if kind != model and (kind in _SERVED or model in _SERVED):
            raise RefusedModelError(
                f"{bundle}: a bundle of kind {kind!r}; {', '.join(_SERVED)} are served, each in a folder of that name"
            )
        return bundle


def _shortened(reason: str) -> str:
    """A reason quotes what it found, and stands in lists of all models."""
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]} …"
