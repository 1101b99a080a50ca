"""How versions come and go: a state and a wish, or what changed on disk, go in; the next state comes out. Blocking.

Of each model the version serves that carries the label `stable`; without one, the newest that the policy allows. What
served before stays loaded, so that a rollback takes no time. The hybrid is put in service together with the parts that
it was trained with, in one step: new parts wait, loaded, until their hybrid is there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from audotics.bundle.errors import BundleCorruptError, BundleError, BundleNotFoundError
from audotics.bundle.labels import STABLE
from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError, RefusedModelError
from audotics.server.repository.loader import Loader
from audotics.server.repository.loading import CATALOG, HYBRID, MODEL_KINDS
from audotics.server.repository.policy import VersionPolicies
from audotics.server.repository.state import Key, State

_LOG: Final = logging.getLogger(__name__)
_MIB: Final = 1024 * 1024


class Lifecycle:
    """Decides what is loaded and what serves. It holds no state of its own but what it has seen on disk."""

    def __init__(
        self, store: BundleStore, loader: Loader, *, policies: VersionPolicies, memory_mib: float | None
    ) -> None:
        """`memory_mib` bounds the files of loaded models; None for no bound."""
        self._store = store
        self._loader = loader
        self._policies = policies
        self._memory_mib = memory_mib
        self._seen: dict[Key, object] = {}
        self._fresh: set[Key] = set()
        """Versions to take in, until what was made of them is published."""
        self._unreadable: dict[str, str] = {}
        self._waiting: set[int] = set()
        """Hybrids that should serve once all their parts can be loaded."""

    def start(self) -> State:
        """Load and serve what can be. What cannot is logged, and reported as refused."""
        self._seen = on_disk = self._versions_on_disk()
        state = self._start_hybrid(self._start_catalog(self._with_labels(State())))
        for name in self._names():
            state = self._start_model(state, name)
        for key in sorted(self._wanted(state), reverse=True):
            if key[0] != CATALOG and key not in self._loader.refused:
                state = self._try_add(state, key)
        self._remember(on_disk)
        return self._settle(state)

    def follow(self, state: State) -> State:
        """Do what new versions, mended ones and changed labels on disk ask for; the same state when nothing does."""
        on_disk, unreadable = self._versions_on_disk(), set(self._unreadable)
        fresh = self._fresh = self._fresh | {key for key, signature in on_disk.items() if self._changed(key, signature)}
        self._seen = on_disk
        labelled = self._with_labels(state)
        fresh |= {key for key in on_disk if key[0] in unreadable - self._unreadable.keys()}
        if labelled is not state:
            fresh |= {
                (name, version)
                for name, labels in labelled.labels.items()
                for label, version in labels.items()
                if state.labels.get(name, {}).get(label) != version and (name, version) in on_disk
            }
        state = labelled
        if not fresh:
            return state
        wanted = self._wanted(state)
        for name in (CATALOG, *self._names()):
            for version in sorted(version for other, version in fresh if other == name):
                if (name, version) in wanted:
                    state = self._adopt(state, name, version)
        state = self._adopt_hybrid(state)
        self._remember(on_disk)
        return self._settle(state)

    def followed(self) -> None:
        """Take note that what `follow` returned is published; until then it takes in the same versions again."""
        self._fresh = set()

    def load(self, state: State, name: str, version: int) -> State:
        """Load a version and serve it, unless `stable` names another: then it waits beside that one.

        Raises NotFoundError, or RefusedModelError with the reason.
        """
        stable = state.labels.get(name, {}).get(STABLE, version)
        self._chose(name, version)
        if name == CATALOG:
            catalog = self._loader.catalog(version)
            return state if stable != version else self._settle(state.with_catalog(catalog))
        state = self._add(state, name, version)
        if stable == version:
            self._check_fit(state, name, version)
        if stable != version:
            return self._settle(replace(state, held=state.held | {(name, version)}), needed=(name, version))
        return self._settle(state.serve(name, version), needed=(name, version))

    def load_beside(self, state: State, name: str, version: int) -> State:
        """Load a version, not to serve by default. Raises NotFoundError, or RefusedModelError with the reason."""
        if (name, version) in state.loaded:
            return state
        self._chose(name, version)
        state = self._add(state, name, version)
        return self._settle(replace(state, held=state.held | {(name, version)}), needed=(name, version))

    def unload(self, state: State, name: str, version: int) -> State:
        """Drop a version; where it serves, the model is out of service. Raises NotFoundError or RefusedModelError."""
        loaded = version == state.serving.get(name) if name == CATALOG else (name, version) in state.loaded
        if not loaded:
            if version not in self._store.versions(name):
                raise NotFoundError("model version", [f"{name}/{version}"])
            raise RefusedModelError(f"{name}/{version} is not in service and not loaded, so it cannot be unloaded")
        if name == CATALOG:
            raise RefusedModelError("nothing can be served without a catalogue; load another version in its place")
        for label, labelled in state.labels.get(name, {}).items():
            if labelled == version:
                raise RefusedModelError(
                    f"{name}/{version} carries the label {label!r}; give that to another version, or remove it, first"
                )
        if state.serving.get(name) == version:
            state = state.without(name, reason="taken out of service by an operator")
        return state.retain(state.loaded.keys() - {(name, version)})

    def label(self, state: State, name: str, label: str, version: int | None) -> State:
        """Let `label` stand for a version, or for nothing; `stable` puts it in service. It is on disk when this ends.

        Raises NotFoundError, or RefusedModelError with the reason; then nothing changes.
        """
        serves = label == STABLE and version is not None
        if version is not None:
            self._chose(name, version)
        if version is not None and name != CATALOG:
            state = self._add(state, name, version)
            if serves:
                self._check_fit(state, name, version)
        elif version is not None and version != state.serving.get(CATALOG) and serves:
            state = state.with_catalog(self._loader.catalog(version))
        state = self._noted(state, name, self.write_label(name, label, version))
        if serves and version is not None and name != CATALOG:
            state = state.serve(name, version)
        return self._settle(state, needed=None if version is None else (name, version))

    def write_label(self, name: str, label: str, version: int | None) -> dict[str, int]:
        """Have the label on disk; return all of the model's. Raises NotFoundError or RefusedModelError."""
        try:
            return self._store.set_label(name, label, version)
        except BundleNotFoundError as error:
            raise NotFoundError("model version", [f"{name}/{version}"], hint=str(error)) from error
        except BundleError as error:
            raise RefusedModelError(str(error)) from error

    def rollback_at_once(self, state: State, name: str) -> State | None:
        """As `rollback`, where all that it takes is loaded; None where it is not. Neither blocks nor reads the disk."""
        for version in state.before.get(name, ())[:1]:
            pinned = state.pins(version).items() if name == HYBRID else ()
            if (
                name == CATALOG
                or state.conflict(name, version)
                or not {(name, version), *pinned} <= state.loaded.keys()
            ):
                return None
            labels = {**state.labels.get(name, {}), STABLE: version}
            return self._noted(state.serve(name, version, back=True), name, labels)
        return None

    def rollback(self, state: State, name: str) -> State:
        """Serve what served before; without that, the next older version on disk. `stable` names it from then on.

        The label is not written here: service comes first. Raises RefusedModelError when there is nothing to go to.
        """
        serving = state.serving.get(name)
        older = [version for version in self._store.versions(name) if serving is None or version < serving]
        candidates = dict.fromkeys([*state.before.get(name, ()), *reversed(older)])
        reasons: list[str] = []
        for version in candidates:
            try:
                if name == CATALOG:
                    state = state.with_catalog(self._loader.catalog(version))
                else:
                    self._check_fit(state, name, version)  # before loading: what went before is loaded already
                    state = self._add(state, name, version).serve(name, version, back=True)
            except (NotFoundError, RefusedModelError) as error:
                reasons.append(str(error))
                continue
            labels = {**state.labels.get(name, {}), STABLE: version}
            return self._settle(self._noted(state, name, labels))
        why = "; ".join(reasons) or "the repository has no older version"
        raise RefusedModelError(f"{name}: there is no version to go back to: {why}")

    def _start_catalog(self, state: State) -> State:
        for version in self._candidates(state, CATALOG):
            try:
                return state.with_catalog(self._loader.catalog(version))
            except RefusedModelError as error:
                _LOG.warning("refused: %s", error)
        reason = self._unreadable.get(CATALOG)
        return state if reason is None else state.without(CATALOG, reason=reason)

    def _start_hybrid(self, state: State) -> State:
        """Serve the newest hybrid that is there with all its parts; failing that, the newest with those that are."""
        incomplete: tuple[State, int] | None = None
        for version in self._candidates(state, HYBRID):
            attempt = self._try_add(state, (HYBRID, version), parts=False)
            if (HYBRID, version) not in attempt.loaded:
                continue
            pins = list(attempt.pins(version).items())
            for key in pins:
                attempt = self._try_add(attempt, key)
            if all(key in attempt.loaded for key in pins):
                return attempt.serve(HYBRID, version)
            incomplete = incomplete or (attempt, version)
            self._waiting.add(version)
        if incomplete is None:
            return state
        attempt, version = incomplete
        for kind, pinned in attempt.pins(version).items():
            if (kind, pinned) not in attempt.loaded:
                reason = self._loader.refused.get((kind, pinned), f"{kind}/{pinned} is not on disk")
                attempt = attempt.without(kind, reason=reason)
        return attempt.serve(HYBRID, version)

    def _start_model(self, state: State, name: str) -> State:
        reason = self._unreadable.get(name, "")
        for version in self._candidates(state, name):
            if name in state.serving:
                break
            if (conflict := state.conflict(name, version)) is not None:
                reason = reason or conflict
                continue
            if (name, version) not in self._loader.refused:
                state = self._try_add(state, (name, version))
            if (name, version) in state.loaded:
                state = state.serve(name, version)
            reason = reason or self._loader.refused.get((name, version), "")
        if name in state.serving or name in state.absent or not reason:
            return state
        return state.without(name, reason=reason)

    def _candidates(self, state: State, name: str) -> list[int]:
        """What may serve, in the order of preference: never anything newer than the stable version."""
        versions = [] if name in self._unreadable else self._store.versions(name)
        stable = state.labels.get(name, {}).get(STABLE)
        if stable is not None:
            return [version for version in reversed(versions) if version <= stable]
        return [version for version in reversed(versions) if self._policies.of(name).allows(version)]

    def _adopt(self, state: State, name: str, version: int) -> State:
        """Take in a version that appeared; serve it when it is newer than what serves and nothing speaks against it."""
        stable = state.labels.get(name, {}).get(STABLE)
        newer = version > state.serving.get(name, 0) if stable is None else version == stable
        if name == CATALOG:
            if newer and version != state.serving.get(CATALOG):
                try:
                    return state.with_catalog(self._loader.catalog(version))
                except RefusedModelError as error:
                    _LOG.warning("refused: %s", error)
            return state
        state = self._try_add(state, (name, version), parts=name != HYBRID)
        if not newer:
            return state
        if name == HYBRID:
            self._waiting.add(version)
            return state
        if (name, version) not in state.loaded:
            return state
        if (conflict := state.conflict(name, version)) is not None:
            _LOG.info("%s/%d is loaded and waits: %s", name, version, conflict)
            return state
        return state.serve(name, version)

    def _adopt_hybrid(self, state: State) -> State:
        """Serve the newest hybrid that waits, once its parts are there."""
        for version in sorted(self._waiting, reverse=True):
            self._loader.refused.pop((HYBRID, version), None)
            state = self._try_add(state, (HYBRID, version), parts=False)
            for key in state.pins(version).items():
                if key not in self._loader.refused:
                    state = self._try_add(state, key)
            lacking = [f"{kind}/{pin}" for kind, pin in state.pins(version).items() if (kind, pin) not in state.loaded]
            if (HYBRID, version) not in state.loaded:
                self._waiting.discard(version)
            elif not lacking:
                self._waiting = {other for other in self._waiting if other > version}
                return state.serve(HYBRID, version)
            else:
                reason = f"{HYBRID}/{version} was trained with {lacking[0]}, which cannot be loaded"
                self._loader.refused[HYBRID, version] = reason
                _LOG.warning("refused: %s", reason)
                state = state.retain(state.loaded.keys() - {(HYBRID, version)})
        return state

    def _chose(self, name: str, version: int) -> None:
        """Note an operator's choice: what it names is nothing new, and no hybrid is waited for any more."""
        self._seen.setdefault((name, version), None)
        if name == HYBRID:
            self._waiting.clear()

    def _add(self, state: State, name: str, version: int) -> State:
        """Load a version where it is not, a hybrid with its parts. Raises NotFoundError or RefusedModelError."""
        if (name, version) not in state.loaded:
            state = state.with_model(self._loader.model(name, version))
        if name == HYBRID:
            for kind, pinned in state.pins(version).items():
                try:
                    state = self._add(state, kind, pinned)
                except (NotFoundError, RefusedModelError) as error:
                    raise RefusedModelError(
                        f"{name}/{version} was trained with {kind}/{pinned}, which cannot be loaded: {error}"
                    ) from error
        return state

    def _try_add(self, state: State, key: Key, *, parts: bool = True) -> State:
        """As `_add`, but a version that is refused is logged and left out."""
        try:
            if parts:
                return self._add(state, *key)
            return state if key in state.loaded else state.with_model(self._loader.model(*key))
        except (NotFoundError, RefusedModelError) as error:
            self._loader.refused.setdefault(key, str(error))
            _LOG.warning("refused: %s", error)
            return state

    def _check_fit(self, state: State, name: str, version: int) -> None:
        if (conflict := state.conflict(name, version)) is not None:
            raise RefusedModelError(
                f"{conflict}; load, promote or roll back a {HYBRID} that was trained with it: its parts come with it"
            )

    def _settle(self, state: State, *, needed: Key | None = None) -> State:
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
        keys = self._protected(state) | state.held | self._wanted(state)
        keys |= {(name, versions[0]) for name, versions in state.before.items() if versions}
        for name, version in list(keys):
            if name == HYBRID:
                keys |= set(state.pins(version).items())
        return keys

    def _wanted(self, state: State) -> set[Key]:
        """The versions on disk that policies and labels ask for."""
        keys = {(name, version) for name, labels in state.labels.items() for version in labels.values()}
        for name in (CATALOG, *self._names()):
            keys |= {(name, version) for version in self._policies.of(name).wanted(self._store.versions(name))}
        return {key for key in keys if key in self._seen}

    def _names(self) -> Sequence[str]:
        """The models of the repository, the hybrid after its parts, and last those that make no lists."""
        others = [name for name in self._store.models() if name not in (CATALOG, *MODEL_KINDS)]
        return (*MODEL_KINDS, *others)

    def _versions_on_disk(self) -> dict[Key, object]:
        """Every version; of one that is new or was refused with what tells whether it changes."""
        found: dict[Key, object] = {}
        for name in self._store.models():
            for version in self._store.versions(name):
                key = (name, version)
                watched = key not in self._seen or key in self._loader.refused
                found[key] = self._store.signature(name, version) if watched else None
        return found

    def _changed(self, key: Key, signature: object) -> bool:
        if key not in self._seen:
            return True
        return self._seen[key] is not None and signature is not None and self._seen[key] != signature

    def _remember(self, on_disk: dict[Key, object]) -> None:
        """Have seen these versions, as they were before they were loaded."""
        self._seen = {key: on_disk[key] if key in self._loader.refused else None for key in on_disk}

    def _with_labels(self, state: State) -> State:
        """The state with the labels on disk. Where they cannot be read, those before hold."""
        labels: dict[str, dict[str, int]] = {}
        unreadable: dict[str, str] = {}
        for name in self._store.models():
            try:
                labels[name] = self._store.labels(name)
            except BundleCorruptError as error:
                unreadable[name] = str(error)
                labels[name] = dict(state.labels.get(name, {}))
                if name not in self._unreadable:
                    _LOG.error("%s", error)
        self._unreadable = unreadable
        return state if labels == state.labels else replace(state, labels=labels)

    def _noted(self, state: State, name: str, labels: dict[str, int]) -> State:
        return replace(state, labels={**state.labels, name: labels})
