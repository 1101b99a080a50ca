"""What happened to versions: two states, or a refusal, and who caused it go in; changes that can be told come out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from audotics.server.repository.loading import CATALOG
from audotics.server.repository.state import Key, State


class ModelEvent(StrEnum):
    """What happened to a version."""

    IN_SERVICE = "in_service"
    BACK_IN_SERVICE = "back_in_service"
    """By a rollback, in place of one that came after it."""
    OUT_OF_SERVICE = "out_of_service"
    LOADED = "loaded"
    """Beside the one in service."""
    UNLOADED = "unloaded"
    EVICTED = "evicted"
    REFUSED = "refused"
    LABELLED = "labelled"
    UNLABELLED = "unlabelled"


class Origin(StrEnum):
    """What made a change."""

    START = "start"
    REPOSITORY = "repository"
    """The files changed, and the server followed."""
    OPERATOR = "operator"
    EXPERIMENT = "experiment"
    PROBATION = "probation"


@dataclass(frozen=True, slots=True)
class Cause:
    """Who made a change and why. `caller` is the address of an operator, which proves nothing; it may be empty."""

    origin: Origin
    caller: str = ""
    reason: str = ""


BY_OPERATOR: Final = Cause(Origin.OPERATOR)


@dataclass(frozen=True, slots=True)
class ModelChange:
    """What happened to one version of a model.

    `replaced` served before, or carried the `label`; 0 where none did. `digest` names the bundle, if it is known.
    """

    event: ModelEvent
    model: str
    version: int
    cause: Cause
    replaced: int = 0
    label: str = ""
    reason: str = ""
    digest: str = ""

    def words(self) -> str:
        """For the log."""
        where, instead = f"{self.model}/{self.version}", f" in place of {self.replaced}" if self.replaced else ""
        because = f": {self.reason}" if self.reason else ""
        match self.event:
            case ModelEvent.LABELLED:
                return f"{where} is {self.label}{instead}{because}"
            case ModelEvent.UNLABELLED:
                return f"{where} is {self.label} no more{because}"
            case _:
                return f"{where} is {self.event.replace('_', ' ')}{instead}{because}"


def changes_between(before: State, after: State, cause: Cause, *, back: bool = False) -> Iterator[ModelChange]:
    """What led from one state to the next, the versions that serve first.

    `back` says that what serves now served before. What a start finds on disk are labels, and none that it gave.
    """
    for name in sorted({*before.serving, *after.serving}):
        old, new = before.serving.get(name, 0), after.serving.get(name, 0)
        if new and old != new:
            event = ModelEvent.BACK_IN_SERVICE if back else ModelEvent.IN_SERVICE
            yield ModelChange(
                event, name, new, cause, replaced=old, reason=cause.reason, digest=_digest(after, name, new)
            )
        elif old != new:
            reason = after.absent.get(name, cause.reason)
            yield ModelChange(
                ModelEvent.OUT_OF_SERVICE, name, old, cause, reason=reason, digest=_digest(before, name, old)
            )
    for name, version in sorted(after.loaded.keys() - before.loaded.keys()):
        if after.serving.get(name) != version:
            digest = _digest(after, name, version)
            yield ModelChange(ModelEvent.LOADED, name, version, cause, reason=cause.reason, digest=digest)
    for key in sorted(before.loaded.keys() - after.loaded.keys()):
        event = ModelEvent.EVICTED if key in after.evicted else ModelEvent.UNLOADED
        reason = after.evicted.get(key, cause.reason)
        yield ModelChange(event, *key, cause, reason=reason, digest=_digest(before, *key))
    if cause.origin is not Origin.START:
        yield from _labels(before, after, cause)


def refusals(
    before: Mapping[Key, str], after: Mapping[Key, str], cause: Cause, *, unreachable: Collection[Key] = ()
) -> Iterator[ModelChange]:
    """Versions that were refused, or for another reason than before.

    Those that are `unreachable` are tried again and again, and are told once, whatever keeps their servers away.
    """
    for key, reason in sorted(after.items()):
        if before.get(key) != reason and not (key in before and key in unreachable):
            yield ModelChange(ModelEvent.REFUSED, *key, cause, reason=reason)


def _labels(before: State, after: State, cause: Cause) -> Iterator[ModelChange]:
    for name in sorted({*before.labels, *after.labels}):
        old, new = before.labels.get(name, {}), after.labels.get(name, {})
        for label in sorted({*old, *new}):
            was, now = old.get(label, 0), new.get(label, 0)
            if now and was != now:
                digest = _digest(after, name, now)
                yield ModelChange(ModelEvent.LABELLED, name, now, cause, was, label, cause.reason, digest)
            elif was != now:
                digest = _digest(before, name, was)
                yield ModelChange(ModelEvent.UNLABELLED, name, was, cause, 0, label, cause.reason, digest)


def _digest(state: State, name: str, version: int) -> str:
    """Empty for a version that is not loaded."""
    if name == CATALOG:
        catalog = state.catalog
        return catalog.bundle_digest if catalog is not None and catalog.version == version else ""
    loaded = state.loaded.get((name, version))
    return "" if loaded is None else loaded.bundle.manifest.digest
