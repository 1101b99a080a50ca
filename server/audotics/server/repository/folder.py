"""The repository's folder as it was last seen: what lies on disk goes in; what is new, and the labels, come out.

Versions that were taken in are not looked at again. Of one that is new, or was refused, the files are remembered, so
that it is tried again when they change.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.store import BundleStore
from audotics.server.repository.loading import CATALOG, MODEL_KINDS
from audotics.server.repository.stable_labels import StableLabels
from audotics.server.repository.state import Key, State

_LOG: Final = logging.getLogger(__name__)


class RepositoryFolder:
    """What was seen of a repository. `unreadable` says of a model whose labels cannot be read why that is so."""

    def __init__(self, store: BundleStore, *, refused: Mapping[Key, str], unreachable: AbstractSet[Key]) -> None:
        """`refused` are versions that the loader refused, and `unreachable` those to try again, as it keeps them."""
        self._store = store
        self._refused = refused
        self._unreachable = unreachable
        self.stable: Final = StableLabels(store)
        self._seen: dict[Key, object] = {}
        self._listed: dict[str, tuple[int, ...]] = {}
        self._unlisted: set[str] = set()
        self.unreadable: Mapping[str, str] = {}
        self.models: frozenset[str] = frozenset()
        """Names of models with a version on disk, as of the last look."""

    @property
    def known(self) -> AbstractSet[Key]:
        """Versions that were on disk at the last look, and those that an operator named."""
        return self._seen.keys()

    def names(self) -> Sequence[str]:
        """The models of the repository, the hybrid after its parts, and last those that make no lists."""
        others = [name for name in self._store.models() if name not in (CATALOG, *MODEL_KINDS)]
        return (*MODEL_KINDS, *others)

    def versions(self, name: str) -> Sequence[int]:
        """Versions on disk, lowest first; those of the look before while the model's folder cannot be listed."""
        try:
            self._listed[name] = tuple(self._store.versions(name))
        except OSError as error:
            if name not in self._unlisted:
                _LOG.error(
                    "%s: its folder cannot be listed (%s); what was there before counts", name, type(error).__name__
                )
            self._unlisted.add(name)
        else:
            self._unlisted.discard(name)
        return self._listed.get(name, ())

    def look(self) -> tuple[dict[Key, object], set[Key]]:
        """Every version on disk, to be handed to `remember`, and those to take in.

        These are new, were mended, or lie on another server that may answer now.
        """
        on_disk: dict[Key, object] = {}
        for name in self._store.models():
            for version in self.versions(name):
                key = (name, version)
                watched = self._seen.get(key, "new") is not None or key in self._refused
                on_disk[key] = self._store.signature(name, version) if watched else None
        fresh = {key for key, signature in on_disk.items() if self._changed(key, signature)}
        fresh |= self._unreachable & on_disk.keys()
        self._seen = on_disk
        self.models = frozenset(name for name, _ in on_disk)
        return on_disk, fresh

    def remember(self, on_disk: Mapping[Key, object], *, later: AbstractSet[Key] = frozenset()) -> None:
        """Have seen these versions, as they were before they were loaded. What becomes of some turns out `later`."""
        watched = self._refused.keys() | later
        self._seen = {key: on_disk[key] if key in watched else None for key in on_disk}

    def chosen(self, key: Key) -> None:
        """Note a version that an operator named: it is nothing new."""
        self._seen.setdefault(key, None)

    def with_labels(self, state: State) -> State:
        """The state with the labels on disk. Where they cannot be read, those before hold."""
        labels: dict[str, dict[str, int]] = {}
        unreadable: dict[str, str] = {}
        for name in self._store.models():
            try:
                labels[name] = self.stable.read(name)
            except BundleCorruptError as error:
                unreadable[name] = str(error)
                labels[name] = dict(state.labels.get(name, {}))
                if name not in self.unreadable:
                    _LOG.error("%s", error)
        self.unreadable = unreadable
        return state if labels == state.labels else replace(state, labels=labels)

    def _changed(self, key: Key, signature: object) -> bool:
        if key not in self._seen:
            return True
        return self._seen[key] is not None and signature is not None and self._seen[key] != signature
