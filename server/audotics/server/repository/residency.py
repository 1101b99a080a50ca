"""What stays loaded: a state goes in, and comes out without what nothing keeps or memory has no room for."""

from __future__ import annotations

import logging
from typing import Final

from audotics.bundle.store import BundleStore
from audotics.server.errors import RefusedModelError
from audotics.server.repository.folder import RepositoryFolder
from audotics.server.repository.loading import CATALOG, HYBRID
from audotics.server.repository.policy import VersionPolicies
from audotics.server.repository.state import Key, State

_LOG: Final = logging.getLogger(__name__)
_MIB: Final = 1024 * 1024


class Residency:
    """Policies and labels ask for versions, operators and rollbacks keep them, and the memory bound takes them back."""

    def __init__(
        self, store: BundleStore, folder: RepositoryFolder, *, policies: VersionPolicies, memory_mib: float | None
    ) -> None:
        """`memory_mib` bounds the files of loaded models; None for no bound."""
        self._store = store
        self._folder = folder
        self._policies = policies
        self._memory_mib = memory_mib

    def allows(self, name: str, version: int) -> bool:
        """Whether the version may serve without being asked for."""
        return self._policies.of(name).allows(version)

    def wanted(self, state: State) -> set[Key]:
        """The versions on disk that policies and labels ask for."""
        keys = {(name, version) for name, labels in state.labels.items() for version in labels.values()}
        for name in (CATALOG, *self._folder.names()):
            keys |= {(name, version) for version in self._policies.of(name).wanted(self._store.versions(name))}
        return {key for key in keys if key in self._folder.known}

    def settle(self, state: State, *, needed: Key | None = None) -> State:
        """Drop what nothing keeps, and then what the memory has no room for. Raises RefusedModelError for `needed`."""
        state = state.retain(self._kept(state))
        if self._memory_mib is None:
            return state
        budget = self._memory_mib * _MIB
        protected = self._protected(state)
        for key, loaded in list(state.loaded.items()):
            if state.size_bytes <= budget:
                return state
            if key not in protected and key != needed:
                _LOG.warning(
                    "%s/%d (%.1f MiB) is evicted: models take more than model_memory_mib = %g",
                    *key,
                    loaded.size_bytes / _MIB,
                    self._memory_mib,
                )
                state = state.retain(state.loaded.keys() - {key})
        if state.size_bytes > budget:
            message = (
                f"serving and labelled models take {state.size_bytes / _MIB:.1f} MiB, which is more than "
                f"model_memory_mib = {self._memory_mib:g}; raise that, or take labels from versions"
            )
            if needed is not None:
                raise RefusedModelError(f"{needed[0]}/{needed[1]} is not loaded: {message}")
            _LOG.warning("%s", message)
        return state

    def _protected(self, state: State) -> set[Key]:
        """What is never evicted: what serves, and what carries a label, hybrids with their parts."""
        keys = set(state.serving.items())
        keys |= {(name, version) for name, labels in state.labels.items() for version in labels.values()}
        for name, version in list(keys):
            if name == HYBRID:
                keys |= set(state.pins(version).items())
        return keys

    def _kept(self, state: State) -> set[Key]:
        keys = self._protected(state) | state.held | self.wanted(state)
        keys |= {(name, versions[0]) for name, versions in state.before.items() if versions}
        for name, version in list(keys):
            if name == HYBRID:
                keys |= set(state.pins(version).items())
        return keys
