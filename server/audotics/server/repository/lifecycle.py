"""How versions come and go: a state and a wish, or what changed on disk, go in; the next state comes out. Blocking.

Of each model the version serves that carries the label `stable`; without one, the newest that the policy allows. What
served before stays loaded, so that a rollback takes no time. The hybrid is put in service together with the parts that
it was trained with, in one step: new parts wait, loaded, until their hybrid is there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from audotics.bundle.errors import BundleError, BundleNotFoundError
from audotics.bundle.labels import STABLE
from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError, RefusedModelError
from audotics.server.repository.folder import RepositoryFolder
from audotics.server.repository.follower import Follower
from audotics.server.repository.loader import Loader
from audotics.server.repository.loading import CATALOG, HYBRID
from audotics.server.repository.policy import VersionPolicies
from audotics.server.repository.residency import MemoryBudget, Residency
from audotics.server.repository.state import Key, State
from audotics.server.repository.wishes import ModelWish, RefusedWishError

_LOG: Final = logging.getLogger(__name__)


class Lifecycle:
    """Decides what is loaded and what serves. It holds no state of its own but what was seen on disk."""

    def __init__(self, store: BundleStore, loader: Loader, *, policies: VersionPolicies, budget: MemoryBudget) -> None:
        self._loader = loader
        self._folder = RepositoryFolder(store, refused=loader.refused, unreachable=loader.unreachable)
        self._residency = Residency(self._folder, policies=policies, budget=budget)
        self._follower = Follower(self._folder, loader, self._residency)

    def start(self) -> State:
        """Load and serve what can be. What cannot is logged, and reported as refused."""
        on_disk, _ = self._folder.look()
        state = self._start_hybrid(self._start_catalog(self._folder.with_labels(State())))
        for name in self._folder.names():
            state = self._start_model(state, name)
        for key in sorted(self._residency.wanted(state), reverse=True):
            if key[0] != CATALOG and key not in self._loader.refused:
                state = self._loader.try_add(state, key)
        self._folder.remember(on_disk)
        return self._residency.settle(state)

    def follow(self, state: State, *, prepared_only: bool = False) -> State:
        """Do what new versions, mended ones and changed labels on disk ask for; the same state when nothing does.

        With `prepared_only` it does without those that would have to be loaded, which `unprepared` then names.
        """
        return self._follower.follow(state, prepared_only=prepared_only)

    @property
    def unprepared(self) -> frozenset[Key]:
        """Versions that the last `follow` left for a later one."""
        return self._follower.unprepared

    def followed(self) -> None:
        """Take note that what `follow` returned is published; until then it takes in the same versions again."""
        self._follower.followed()

    def knows(self, name: str) -> bool:
        """Whether the model had a version on disk at the last look, loaded or not."""
        return name in self._folder.models

    def load(self, state: State, name: str, version: int) -> State:
        """Load a version and serve it, unless `stable` names another: then it waits beside that one.

        Raises NotFoundError, or RefusedModelError with the reason.
        """
        state = self._residency.settle(self._with_version(state, name, version), needed={(name, version)})
        self._follower.chosen(name, version)
        return state

    def load_beside(self, state: State, name: str, version: int) -> State:
        """Load a version, not to serve by default. Raises NotFoundError, or RefusedModelError with the reason."""
        if (name, version) in state.loaded:
            return state
        state = self._residency.settle(self._held(state, name, version), needed={(name, version)})
        self._follower.chosen(name, version)
        return state

    def release(self, state: State, keys: AbstractSet[Key]) -> State:
        """Take back an operator's wish that these be loaded: what nothing else keeps is dropped."""
        return self._residency.settle(replace(state, held=state.held - keys))

    def unload(self, state: State, name: str, version: int) -> State:
        """Drop a version; where it serves, the model is out of service. Raises NotFoundError or RefusedModelError."""
        loaded = version == state.serving.get(name) if name == CATALOG else (name, version) in state.loaded
        if not loaded:
            if version not in self._folder.versions(name):
                raise NotFoundError("model version", [f"{name}/{version}"])
            raise RefusedModelError(f"{name}/{version} is not in service and not loaded, so it cannot be unloaded")
        return self._without(state, name, [version])

    def unload_all(self, state: State, name: str) -> State:
        """Drop every loaded version of a model, if there are any. Raises RefusedModelError; then nothing changes."""
        return self._without(state, name, state.loaded_versions(name))

    def label(self, state: State, name: str, label: str, version: int | None) -> State:
        """Let `label` stand for a version, or for nothing; `stable` puts it in service. It is on disk when this ends.

        Raises NotFoundError, or RefusedModelError with the reason; then nothing changes.
        """
        state = self._labelled(state, name, label, version)
        # Written last: what the memory has no room for must not be labelled on disk either. What other servers have
        # labelled meanwhile is not noted here: the next look at the disk has to find it new, and load and serve it.
        state = self._residency.settle(state, needed=set() if version is None else {(name, version)})
        self.write_label(name, label, version)
        if version is not None:
            self._follower.chosen(name, version)
        return state

    def configure(self, state: State, wishes: Sequence[ModelWish]) -> State:
        """Load and label all that is wished for, in one step. The labels are on disk when this ends.

        Raises NotFoundError, or RefusedWishError with the reason; then nothing changes.
        """
        # A catalogue decides what fits, and a hybrid brings its parts with it.
        for wish in sorted(wishes, key=lambda wish: (wish.name != CATALOG, wish.name != HYBRID)):
            for version in wish.versions[:-1]:
                with _refusing(wish.name, version):
                    state = self._held(state, wish.name, version)
            for version in wish.versions[-1:]:
                with _refusing(wish.name, version):
                    state = self._with_version(state, wish.name, version)
            for label, version in sorted(wish.labels.items()):
                with _refusing(wish.name, version):
                    state = self._labelled(state, wish.name, label, version)
        keys = [key for wish in wishes for key in wish.named]
        with _refusing(*next(iter(keys), ("", 0))):
            state = self._residency.settle(state, needed=set(keys))
        self._folder.stable.write_all(wishes)
        for name, version in keys:
            self._follower.chosen(name, version)
        return state

    def write_label(self, name: str, label: str, version: int | None) -> dict[str, int]:
        """Have the label on disk; return all of the model's. Raises NotFoundError or RefusedModelError."""
        try:
            return self._folder.stable.write(name, label, version)
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
            return self._stable(state.serve(name, version, back=True), name, version)
        return None

    def rollback(self, state: State, name: str) -> State:
        """Serve what served before; without that, the next older version on disk. `stable` names it from then on.

        The label is not written here: service comes first. Raises RefusedModelError when there is nothing to go to.
        """
        serving = state.serving.get(name)
        older = [version for version in self._folder.versions(name) if serving is None or version < serving]
        candidates = dict.fromkeys([*state.before.get(name, ()), *reversed(older)])
        reasons: list[str] = []
        for version in candidates:
            try:
                if name == CATALOG:
                    state = state.with_catalog(self._loader.catalog(version), back=True)
                else:
                    self._check_fit(state, name, version)  # before loading: what went before is loaded already
                    state = self._loader.add(state, name, version).serve(name, version, back=True)
            except (NotFoundError, RefusedModelError) as error:
                reasons.append(str(error))
                continue
            return self._residency.settle(self._stable(state, name, version))
        why = "; ".join(reasons) or "the repository has no older version"
        raise RefusedModelError(f"{name}: there is no version to go back to: {why}")

    def _start_catalog(self, state: State) -> State:
        for version in self._candidates(state, CATALOG):
            try:
                return state.with_catalog(self._loader.catalog(version))
            except RefusedModelError as error:
                _LOG.warning("refused: %s", error)
        reason = self._folder.unreadable.get(CATALOG)
        return state if reason is None else state.without(CATALOG, reason=reason)

    def _start_hybrid(self, state: State) -> State:
        """Serve the newest hybrid that is there with all its parts; failing that, the newest with those that are."""
        incomplete: tuple[State, int] | None = None
        for version in self._candidates(state, HYBRID):
            attempt = self._loader.try_add(state, (HYBRID, version), parts=False)
            if (HYBRID, version) not in attempt.loaded:
                continue
            pins = list(attempt.pins(version).items())
            for key in pins:
                attempt = self._loader.try_add(attempt, key)
            if all(key in attempt.loaded for key in pins):
                return attempt.serve(HYBRID, version)
            incomplete = incomplete or (attempt, version)
            self._follower.waiting.add(version)
        if incomplete is None:
            return state
        attempt, version = incomplete
        for kind, pinned in attempt.pins(version).items():
            if (kind, pinned) not in attempt.loaded:
                reason = self._loader.refused.get((kind, pinned), f"{kind}/{pinned} is not on disk")
                attempt = attempt.without(kind, reason=reason)
        return attempt.serve(HYBRID, version)

    def _start_model(self, state: State, name: str) -> State:
        reason = self._folder.unreadable.get(name, "")
        for version in self._candidates(state, name):
            if name in state.serving:
                break
            if (conflict := state.conflict(name, version)) is not None:
                reason = reason or conflict
                continue
            if (name, version) not in self._loader.refused:
                state = self._loader.try_add(state, (name, version))
            if (name, version) in state.loaded:
                state = state.serve(name, version)
            reason = reason or self._loader.refused.get((name, version), "")
        if name in state.serving or name in state.absent or not reason:
            return state
        return state.without(name, reason=reason)

    def _candidates(self, state: State, name: str) -> list[int]:
        """What may serve, in the order of preference: never anything newer than the stable version."""
        versions = [] if name in self._folder.unreadable else self._folder.versions(name)
        stable = state.labels.get(name, {}).get(STABLE)
        if stable is not None:
            return [version for version in reversed(versions) if version <= stable]
        return [version for version in reversed(versions) if self._residency.allows(name, version)]

    def _without(self, state: State, name: str, versions: Sequence[int]) -> State:
        if name == CATALOG:
            raise RefusedModelError("nothing can be served without a catalogue; load another version in its place")
        for label, labelled in state.labels.get(name, {}).items():
            if labelled in versions:
                raise RefusedModelError(
                    f"{name}/{labelled} carries the label {label!r}; give that to another version, or remove it, first"
                )
        if state.serving.get(name) in versions:
            state = state.without(name, reason="taken out of service by an operator")
        return state.retain(state.loaded.keys() - {(name, version) for version in versions})

    def _with_version(self, state: State, name: str, version: int) -> State:
        """The state with a version that serves, or waits beside the one that `stable` names. It is not settled."""
        stable = state.labels.get(name, {}).get(STABLE, version)
        if name == CATALOG:
            catalog = self._loader.catalog(version)
            return state if stable != version else state.with_catalog(catalog)
        if stable != version:
            return self._held(state, name, version)
        state = self._loader.add(state, name, version)
        self._check_fit(state, name, version)
        return state.serve(name, version)

    def _held(self, state: State, name: str, version: int) -> State:
        """The state with a version at an operator's wish, whatever serves. It is not settled."""
        state = self._loader.add(state, name, version)
        return replace(state, held=state.held | {(name, version)})

    def _labelled(self, state: State, name: str, label: str, version: int | None) -> State:
        """The state with a label that is still to be written. It is not settled."""
        serves = label == STABLE and version is not None
        if version is not None and name != CATALOG:
            state = self._loader.add(state, name, version)
            if serves:
                self._check_fit(state, name, version)
        elif version is not None and version != state.serving.get(CATALOG) and serves:
            state = state.with_catalog(self._loader.catalog(version))
        labels = {**state.labels.get(name, {}), label: version}
        state = self._noted(state, name, {each: number for each, number in labels.items() if number is not None})
        return state.serve(name, version) if serves and version is not None and name != CATALOG else state

    def _check_fit(self, state: State, name: str, version: int) -> None:
        if (conflict := state.conflict(name, version)) is not None:
            raise RefusedModelError(
                f"{conflict}; load, promote or roll back a {HYBRID} that was trained with it: its parts come with it"
            )

    def _stable(self, state: State, name: str, version: int) -> State:
        """The state with a stable label that is still to be written."""
        labels = state.labels.get(name, {})
        self._folder.stable.decided(name, version, on_disk=labels)
        return self._noted(state, name, {**labels, STABLE: version})

    def _noted(self, state: State, name: str, labels: dict[str, int]) -> State:
        return replace(state, labels={**state.labels, name: labels})


@contextmanager
def _refusing(name: str, version: int) -> Iterator[None]:
    """Say which version a refusal is about."""
    try:
        yield
    except RefusedModelError as error:
        raise RefusedWishError(name, version, str(error)) from error
