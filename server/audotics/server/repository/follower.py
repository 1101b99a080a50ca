"""Following the repository: a state goes in, and comes out with what new versions and changed labels on disk ask for.

Of each model the version serves that carries the label `stable`; without one, the newest that the policy allows. A
hybrid is put in service once all its parts can be loaded; until then it waits. What is not prepared yet is left for
a later look, if those who look have it prepared.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from audotics.bundle.labels import STABLE
from audotics.server.errors import RefusedModelError
from audotics.server.repository.folder import RepositoryFolder
from audotics.server.repository.loader import Loader
from audotics.server.repository.loading import CATALOG, HYBRID
from audotics.server.repository.residency import Residency
from audotics.server.repository.state import Key, State

_LOG: Final = logging.getLogger(__name__)


class Follower:
    """Takes in what appears in the folder. `waiting` are hybrids that should serve once their parts are there."""

    def __init__(self, folder: RepositoryFolder, loader: Loader, residency: Residency) -> None:
        self._folder = folder
        self._loader = loader
        self._residency = residency
        self._fresh: set[Key] = set()
        """Versions to take in, until what was made of them is published."""
        self._relabelled: set[Key] = set()
        """Versions that a label on disk names, and the same."""
        self.unprepared: frozenset[Key] = frozenset()
        """Versions that the last look left for a later one, because they are not prepared."""
        self.waiting: set[int] = set()

    def follow(self, state: State, *, prepared_only: bool = False) -> State:
        """Do what new versions, mended ones and changed labels on disk ask for; the same state when nothing does.

        With `prepared_only` models stay as they are of which a version would have to be loaded first.
        """
        before, unreadable = state, set(self._folder.unreadable)
        on_disk, found = self._folder.look()
        self._fresh |= found
        labelled = self._folder.with_labels(state)
        self._fresh |= {key for key in on_disk if key[0] in unreadable - self._folder.unreadable.keys()}
        if labelled is not state:
            self._relabelled |= {
                (name, version)
                for name, labels in labelled.labels.items()
                for label, version in labels.items()
                if state.labels.get(name, {}).get(label) != version and (name, version) in on_disk
            }
        state = labelled
        if not self._fresh | self._relabelled:
            self.unprepared = frozenset()
            return state
        wanted = self._residency.wanted(state)
        self.unprepared = self._to_prepare(state, wanted) if prepared_only else frozenset()
        if self.unprepared:
            state = self._with_labels_of(before, state)
        fresh, relabelled = self._taken_in(self._fresh), self._taken_in(self._relabelled)
        for name in (CATALOG, *self._folder.names()):
            versions = sorted(version for other, version in fresh if other == name)
            for version in sorted({*versions, *(version for other, version in relabelled if other == name)}):
                if (name, version) in wanted:
                    state = self._adopt(state, name, version, appeared=version in versions)
            passed_over = [version for version in versions if (name, version) not in wanted]
            state = self._adopt_instead(state, name, passed_over, newest=max(versions, default=0))
        if all(name != HYBRID for name, _ in self.unprepared):
            state = self._adopt_hybrid(state)
        self._folder.remember(on_disk, later=self.unprepared)
        return self._residency.settle(state)

    def followed(self) -> None:
        """Take note that what `follow` returned is published; until then it takes in the same versions again."""
        self._fresh -= self._taken_in(self._fresh)
        self._relabelled -= self._taken_in(self._relabelled)

    def _to_prepare(self, state: State, wanted: AbstractSet[Key]) -> frozenset[Key]:
        return frozenset(
            key
            for key in (self._fresh | self._relabelled) & wanted
            if key[0] != CATALOG and not self._loader.is_prepared(key, loaded=state.loaded)
        )

    def _with_labels_of(self, before: State, state: State) -> State:
        """Until their versions are there, labels stand for what they stood for: whoever calls by one is answered."""
        later = {name for name, _ in self.unprepared}
        kept = {name: before.labels.get(name, {}) for name in later & state.labels.keys()}
        return replace(state, labels={**state.labels, **kept})

    def _taken_in(self, keys: AbstractSet[Key]) -> set[Key]:
        """All versions of a model are taken in together: which one serves depends on what becomes of the others."""
        later = {name for name, _ in self.unprepared}
        return {key for key in keys if key[0] not in later}

    def chosen(self, name: str, version: int) -> None:
        """Note an operator's choice that was loaded: it is nothing new, and no hybrid is waited for any more.

        One that failed is not noted: a version that was asked for too early is still taken in when it appears.
        """
        self._folder.chosen((name, version))
        if name == HYBRID:
            self.waiting.clear()

    def _adopt(self, state: State, name: str, version: int, *, appeared: bool = True) -> State:
        """Take in a version; serve it when it has `appeared`, is newer than what serves, and nothing speaks against it.

        One that was there before and has another label now serves only if that label is `stable`.
        """
        stable = state.labels.get(name, {}).get(STABLE)
        newer = appeared and version > state.serving.get(name, 0) if stable is None else version == stable
        if name == CATALOG:
            if newer and version != state.serving.get(CATALOG):
                try:
                    return state.with_catalog(self._loader.catalog(version))
                except RefusedModelError as error:
                    _LOG.warning("refused: %s", error)
            return state
        # A hybrid that is to serve waits for its parts; one that is not comes with them or not at all.
        state = self._loader.try_add(state, (name, version), parts=name != HYBRID or not newer)
        if not newer:
            return state
        if name == HYBRID:
            self.waiting.add(version)
            return state
        if (name, version) not in state.loaded:
            return state
        if (conflict := state.conflict(name, version)) is not None:
            _LOG.info("%s/%d is loaded and waits: %s", name, version, conflict)
            return state
        return state.serve(name, version)

    def _adopt_instead(self, state: State, name: str, versions: Sequence[int], *, newest: int) -> State:
        """Where the newest version was refused, the one that came before it serves, as it would after a start."""
        if STABLE in state.labels.get(name, {}):
            return state
        better = [each for each in versions if each > state.serving.get(name, 0) and self._residency.allows(name, each)]
        if name == HYBRID:  # whether the newest one has all its parts turns out later
            self.waiting.update(better)
            return state
        for version in reversed(better):
            if (name, newest) not in self._loader.refused:
                break
            state = self._adopt(state, name, version)
            if state.serving.get(name) == version:
                break
        return state

    def _adopt_hybrid(self, state: State) -> State:
        """Serve the newest hybrid that waits, once its parts are there."""
        for version in sorted(self.waiting, reverse=True):
            self._loader.refused.pop((HYBRID, version), None)
            state = self._loader.try_add(state, (HYBRID, version), parts=False)
            for key in state.pins(version).items():
                if key not in self._loader.refused:
                    state = self._loader.try_add(state, key)
            lacking = [f"{kind}/{pin}" for kind, pin in state.pins(version).items() if (kind, pin) not in state.loaded]
            if (HYBRID, version) not in state.loaded:
                self.waiting.discard(version)
            elif not lacking:
                older = sorted(other for other in self.waiting if other < version)
                self.waiting = {other for other in self.waiting if other > version}
                return self._completed(state.serve(HYBRID, version), older)
            elif state.serving.get(HYBRID) != version:  # one that serves without a part goes on doing so
                reason = f"{HYBRID}/{version} was trained with {lacking[0]}, which cannot be loaded"
                self._loader.refused[HYBRID, version] = reason
                _LOG.warning("refused: %s", reason)
                state = state.retain(state.loaded.keys() - {(HYBRID, version)})
        return state

    def _completed(self, state: State, versions: Sequence[int]) -> State:
        """Load the parts of hybrids that waited in vain, or drop the hybrid: a label must not name half of one."""
        for version in versions:
            if (HYBRID, version) in state.loaded:
                state = self._loader.try_add(state, (HYBRID, version))
                if (HYBRID, version) in self._loader.refused:
                    state = state.retain(state.loaded.keys() - {(HYBRID, version)})
        return state
