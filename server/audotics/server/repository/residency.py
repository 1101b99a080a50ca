"""What stays loaded: a state goes in, and comes out without what nothing keeps or memory has no room for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

from audotics.bundle.tenants import tenant_of
from audotics.server.errors import RefusedModelError
from audotics.server.repository.folder import RepositoryFolder
from audotics.server.repository.loading import CATALOG, HYBRID
from audotics.server.repository.policy import VersionPolicies
from audotics.server.repository.state import Key, State

_LOG: Final = logging.getLogger(__name__)
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """Most MiB that the files of loaded models may have: of all together, and of each tenant's. None is no bound."""

    all_mib: float | None = None
    by_tenant: Mapping[str, float] = field(default_factory=dict)

    def bounds(self) -> Iterator[tuple[str, float, str | None]]:
        """Each bound with the setting that it comes from, and the tenant, None for all models."""
        for tenant, mib in self.by_tenant.items():
            yield f"tenant_memory_mib of {tenant} = {mib:g}", mib, tenant
        if self.all_mib is not None:
            yield f"model_memory_mib = {self.all_mib:g}", self.all_mib, None


class Residency:
    """Policies and labels ask for versions, operators and rollbacks keep them, and the memory bound takes them back."""

    def __init__(self, folder: RepositoryFolder, *, policies: VersionPolicies, budget: MemoryBudget) -> None:
        self._folder = folder
        self._policies = policies
        self._budget = budget

    def allows(self, name: str, version: int) -> bool:
        """Whether the version may serve without being asked for."""
        return self._policies.of(name).allows(version)

    def wanted(self, state: State) -> set[Key]:
        """The versions on disk that policies and labels ask for."""
        keys = {(name, version) for name, labels in state.labels.items() for version in labels.values()}
        for name in (CATALOG, *self._folder.names()):
            keys |= {(name, version) for version in self._policies.of(name).wanted(self._folder.versions(name))}
        return {key for key in keys if key in self._folder.known}

    def settle(self, state: State, *, needed: AbstractSet[Key] = frozenset()) -> State:
        """Drop what nothing keeps, and then what the memory has no room for. Raises RefusedModelError for `needed`."""
        state = state.retain(self._kept(state))
        for setting, mib, tenant in self._budget.bounds():
            state = self._within(state, setting, mib * _MIB, tenant, needed)
        return state

    def _within(self, state: State, setting: str, budget: float, tenant: str | None, needed: AbstractSet[Key]) -> State:
        counted = {
            key: loaded.size_bytes for key, loaded in state.loaded.items() if tenant in (None, tenant_of(key[0]))
        }
        taken = sum(counted.values())
        protected = self._protected(state)
        for key, size_bytes in counted.items():
            if taken <= budget:
                return state
            if key not in protected and key not in needed:
                reason = f"it takes {size_bytes / _MIB:.1f} MiB, and models take more than {setting}"
                _LOG.warning("%s/%d is evicted: %s", *key, reason)
                state = state.retain(state.loaded.keys() - {key})
                state = replace(state, evicted={**state.evicted, key: reason})
                taken -= size_bytes
        if taken > budget:
            message = (
                f"serving and labelled models take {taken / _MIB:.1f} MiB, which is more than {setting}; raise that, "
                "or take labels from versions"
            )
            for name, version in sorted(needed & counted.keys()):
                raise RefusedModelError(f"{name}/{version} is not loaded: {message}")
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
