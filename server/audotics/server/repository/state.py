"""What is loaded and how it hangs together: a model or a change goes in, the next state comes out. Blocking.

Several versions of a model may be loaded; all of them are linked to the catalogue, so that any can serve at once. The
hybrid is an ensemble: its gate was trained on the scores of certain versions of its parts, so those serve with it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from audotics.bundle.tenants import tenant_of
from audotics.server.errors import NotFoundError, NotReadyError, RefusedModelError
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.group import GroupPart
from audotics.server.repository.loading import CATALOG, HYBRID, MODEL_KINDS, LoadedModel, Part, link
from audotics.server.repository.parts import CollaborativePart, ContentPart, NcfPart, SequencePart
from audotics.server.repository.snapshot import Snapshot
from audotics.server.retrieval.vectors import VectorIndex
from audotics.server.runtime.model import InferenceError
from audotics.server.types import ModelSelector, TrackRecord

_LOG: Final = logging.getLogger(__name__)
_REMEMBERED: Final = 8
"""Versions that served before, of one model."""

Key = tuple[str, int]
"""The name of a model and a version of it."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The catalogue, every loaded version, and those of them that are linked to this catalogue as `parts`.

    `serving` names the version of each model that serves by default, the catalogue's included; `before` those that did
    so earlier, the last one first. `misfits` says of a loaded version that is not linked why that is so, `absent` of a
    model without a serving version. `loaded` is in the order of loading; `held` was loaded at an operator's wish.
    `evicted` says of versions for which there was no room which bound that was.
    """

    catalog: Catalog | None = None
    loaded: Mapping[Key, LoadedModel] = field(default_factory=dict)
    parts: Mapping[Key, Part] = field(default_factory=dict)
    misfits: Mapping[Key, str] = field(default_factory=dict)
    serving: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    held: frozenset[Key] = frozenset()
    evicted: Mapping[Key, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """What the loaded models take, by the size of their files."""
        return sum(loaded.size_bytes for loaded in self.loaded.values())

    def loaded_versions(self, name: str) -> list[int]:
        """Lowest first."""
        return sorted(version for other, version in self.loaded if other == name)

    def missing(self, name: str, *, version: int | None, label: str | None) -> NotFoundError | NotReadyError:
        """Why there is no such model to call."""
        versions = self.loaded_versions(name)
        if not versions and name not in self.absent:
            names = ", ".join(sorted({name for name, _ in self.loaded if not tenant_of(name)})) or "none"
            return NotFoundError("model", [name], hint=f"loaded are: {names}")
        listed = ", ".join(map(str, versions)) or "none"
        if label is None and version is None:
            return NotReadyError(
                f"no version of {name!r} serves: {self.absent.get(name, f'loaded of it are {listed}')}"
            )
        asked = f"{name}/{version}" if label is None else f"{name}@{label}"
        return NotFoundError("model version", [asked], hint=f"loaded: {listed}")

    def pins(self, hybrid_version: int | None) -> dict[str, int]:
        """The versions that a loaded hybrid was trained with, by kind; empty for one that is not loaded."""
        loaded = None if hybrid_version is None else self.loaded.get((HYBRID, hybrid_version))
        return {} if loaded is None else loaded.pins

    def conflict(self, name: str, version: int) -> str | None:
        """Why this version cannot serve beside the hybrid that does; None when it can."""
        hybrid = self.serving.get(HYBRID)
        pinned = self.pins(hybrid).get(name, version)
        if pinned == version:
            return None
        return f"{name}/{version} does not go with {HYBRID}/{hybrid}, which was trained with {name}/{pinned}"

    def snapshot(self) -> Snapshot | None:
        """What is served by default; None without a catalogue."""
        return None if self.catalog is None else self._assemble(self.catalog, self.serving, self.absent)

    def select(self, selector: ModelSelector, catalog: Catalog) -> Snapshot:
        """What `selector` asks for; the rest is what serves by default. Raises NotFoundError.

        With a hybrid come the parts that it was trained with. One whose parts are chosen otherwise is left out.
        """
        chosen = self._chosen(selector)
        versions, absent = dict(self.serving), dict(self.absent)
        if HYBRID in chosen:
            versions.update(self.pins(chosen[HYBRID]))
        versions.update(chosen)
        hybrid = versions.get(HYBRID)
        for kind, version in self.pins(hybrid).items():
            if kind in versions and versions[kind] != version:
                absent[HYBRID] = (
                    f"{kind}/{versions[kind]} does not go with {HYBRID}/{hybrid}, which was trained with "
                    f"{kind}/{version}"
                )
                versions.pop(HYBRID, None)
        return self._assemble(catalog, versions, absent)

    def with_catalog(self, catalog: Catalog, *, back: bool = False) -> State:
        """Serve `catalog` with the changes made to the one before it, and every model that can be linked to it.

        `back` is as for `serve`.
        """
        version = catalog.version
        if self.catalog is not None:
            upserts, deletes = self.catalog.changes()
            catalog = catalog.with_changes(upserts=upserts, deletes=deletes, generation=self.catalog.generation + 1)
        parts: dict[Key, Part] = {}
        misfits: dict[Key, str] = {}
        for key, loaded in self.loaded.items():
            try:
                part = link(loaded, catalog)
            except (RefusedModelError, InferenceError) as error:
                _LOG.warning("%s left out: %s", loaded.bundle, error)
                misfits[key] = str(error)
            else:
                parts.update({} if part is None else {key: part})
        state = replace(self, catalog=catalog, parts=parts, misfits=misfits)
        return state._serving({CATALOG: version}, back=back)

    def with_model(self, loaded: LoadedModel) -> State:
        """Have a version loaded, not serving. Raises RefusedModelError when it does not fit the catalogue."""
        part = None
        if self.catalog is not None:
            try:
                part = link(loaded, self.catalog)
            except InferenceError as error:
                raise RefusedModelError(
                    f"{loaded.bundle}: it fails on tracks of the catalogue; export it again"
                ) from error
        key = (loaded.bundle.manifest.name, loaded.version)
        parts = self.parts if part is None else {**self.parts, key: part}
        evicted = {other: why for other, why in self.evicted.items() if other != key}
        return replace(self, loaded={**self.loaded, key: loaded}, parts=parts, evicted=evicted)

    def serve(self, name: str, version: int, *, back: bool = False) -> State:
        """Serve a loaded version by default, a hybrid with the parts that it was trained with.

        `back` says that this version served before, so that the one that it replaces is not one to return to.
        """
        changes = {name: version}
        state = self
        if name == HYBRID:
            for kind, pinned in self.pins(version).items():
                if (kind, pinned) in self.loaded:
                    changes[kind] = pinned
                else:
                    reason = f"{HYBRID}/{version} was trained with {kind}/{pinned}, which is not loaded"
                    state = state.without(kind, reason=self.absent.get(kind, reason))
        return state._serving(changes, back=back)

    def without(self, name: str, *, reason: str) -> State:
        """Serve without a model of this name. Its versions stay loaded."""
        serving = {other: version for other, version in self.serving.items() if other != name}
        return replace(self, serving=serving, absent={**self.absent, name: reason})

    def retain(self, keys: AbstractSet[Key]) -> State:
        """Drop every loaded version but these."""
        if self.loaded.keys() <= keys:
            return self
        return replace(
            self,
            loaded={key: loaded for key, loaded in self.loaded.items() if key in keys},
            parts={key: part for key, part in self.parts.items() if key in keys},
            misfits={key: reason for key, reason in self.misfits.items() if key in keys},
            held=self.held & keys,
        )

    def with_tracks(self, catalog: Catalog, *, upserts: Sequence[TrackRecord], deletes: Sequence[str]) -> State:
        """Serve `catalog`, the one in service, after changes to its tracks."""
        catalog = catalog.with_changes(upserts=upserts, deletes=deletes)
        changed = np.unique(catalog.all_rows_of([record.track_id for record in upserts]))
        parts: dict[Key, Part] = {}
        misfits = dict(self.misfits)
        for key, part in self.parts.items():
            if isinstance(part, ContentPart):
                try:
                    parts[key] = part.with_catalog(catalog, changed)
                except InferenceError as error:
                    _LOG.exception("content/%d taken out of service", part.version)
                    misfits[key] = str(error)
            elif isinstance(part, CollaborativePart | NcfPart | SequencePart | GroupPart):
                parts[key] = part.with_catalog(catalog)
            else:
                parts[key] = part
        return replace(self, catalog=catalog, parts=parts, misfits=misfits)

    def with_index(self, key: Key, index: VectorIndex) -> State:
        """The model of `key` with an index that holds the same vectors."""
        part = self.parts[key]
        if not isinstance(part, ContentPart | CollaborativePart):
            return self
        return replace(self, parts={**self.parts, key: replace(part, index=index)})

    def indexes(self) -> dict[Key, VectorIndex]:
        """Those of all models that are linked to the catalogue, by model, the lowest version first."""
        return {
            key: part.index
            for key, part in sorted(self.parts.items())
            if isinstance(part, ContentPart | CollaborativePart)
        }

    def _serving(self, changes: Mapping[str, int], *, back: bool) -> State:
        if all(self.serving.get(name) == version for name, version in changes.items()) and CATALOG not in changes:
            return self
        before = dict(self.before)
        for name, version in changes.items():
            replaced, others = self.serving.get(name), before.get(name, ())
            if replaced != version:
                others = tuple(other for other in others if other not in (version, replaced))
                fresh = () if back or replaced is None else (replaced,)
                before[name] = (*fresh, *others)[:_REMEMBERED]
        absent = {name: reason for name, reason in self.absent.items() if name not in changes}
        return replace(
            self,
            serving={**self.serving, **changes},
            before=before,
            absent=absent,
            held=self.held - changes.items(),
        )

    def _chosen(self, selector: ModelSelector) -> dict[str, int]:
        chosen: dict[str, int] = {}
        if selector.label:
            for name, labels in self.labels.items():
                if name in MODEL_KINDS and selector.label in labels:
                    chosen[name] = labels[selector.label]
            if not chosen:
                known = sorted(
                    {label for name, labels in self.labels.items() if name in MODEL_KINDS for label in labels}
                )
                raise NotFoundError(
                    "model label", [selector.label], hint=f"models.label: there are {', '.join(known) or 'none'}"
                )
        for name, version in selector.versions:
            if name not in (*MODEL_KINDS, CATALOG):
                raise NotFoundError("model", [name], hint=f"models.versions: there are {', '.join(MODEL_KINDS)}")
            chosen[name] = version
        for name, version in chosen.items():
            known_versions = [self.serving.get(CATALOG)] if name == CATALOG else self.loaded_versions(name)
            if version not in known_versions:
                listed = ", ".join(str(number) for number in known_versions) or "none"
                raise NotFoundError("model version", [f"{name}/{version}"], hint=f"models: loaded of it are {listed}")
        return chosen

    def _assemble(self, catalog: Catalog, versions: Mapping[str, int], absent: Mapping[str, str]) -> Snapshot:
        reasons, parts = dict(absent), {}
        for name, version in versions.items():
            if (part := self.parts.get((name, version))) is not None:
                parts[name] = part
            elif name != CATALOG:
                reasons[name] = self.misfits.get((name, version), f"{name}/{version} is not loaded")
        digests = {name: self.loaded[name, part.version].bundle.manifest.digest for name, part in parts.items()}
        return Snapshot.assemble(catalog, parts, absent=reasons, digests=digests)
