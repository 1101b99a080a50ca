"""What is loaded and how it hangs together: a model or a change goes in, the next state comes out. Blocking."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from audotics.server.errors import RefusedModelError
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.loading import LoadedModel, Part, link
from audotics.server.repository.parts import CollaborativePart, ContentPart, NcfPart, SequencePart
from audotics.server.repository.snapshot import Snapshot
from audotics.server.runtime.onnx import InferenceError
from audotics.server.types import TrackRecord

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The catalogue, the loaded models by kind, and those of them that are linked to this catalogue.

    `absent` says of a kind that is not linked why that is so.
    """

    catalog: Catalog | None = None
    loaded: Mapping[str, LoadedModel] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    def snapshot(self) -> Snapshot | None:
        """What can be served; None without a catalogue."""
        return None if self.catalog is None else Snapshot.assemble(self.catalog, self.parts, absent=self.absent)

    def with_catalog(self, catalog: Catalog) -> State:
        """Serve `catalog` with the changes made to the one before it, and every model that can be linked to it."""
        if self.catalog is not None:
            upserts, deletes = self.catalog.changes()
            catalog = catalog.with_changes(upserts=upserts, deletes=deletes, generation=self.catalog.generation + 1)
        parts: dict[str, Part] = {}
        absent = {kind: reason for kind, reason in self.absent.items() if kind not in self.loaded}
        for kind, loaded in self.loaded.items():
            try:
                parts[kind] = link(loaded, catalog)
            except (RefusedModelError, InferenceError) as error:
                _LOG.warning("%s left out: %s", loaded.bundle, error)
                absent[kind] = str(error)
        return replace(self, catalog=catalog, parts=parts, absent=absent)

    def with_model(self, kind: str, loaded: LoadedModel) -> State:
        """Serve `loaded` as the model of its kind. Raises RefusedModelError when it does not fit the catalogue."""
        parts = dict(self.parts)
        if self.catalog is not None:
            try:
                parts[kind] = link(loaded, self.catalog)
            except InferenceError as error:
                raise RefusedModelError(
                    f"{loaded.bundle}: it fails on tracks of the catalogue; export it again"
                ) from error
        absent = {other: reason for other, reason in self.absent.items() if other != kind}
        return replace(self, loaded={**self.loaded, kind: loaded}, parts=parts, absent=absent)

    def without_model(self, kind: str, *, reason: str) -> State:
        """Serve without a model of this kind."""
        return replace(
            self,
            loaded={other: loaded for other, loaded in self.loaded.items() if other != kind},
            parts={other: part for other, part in self.parts.items() if other != kind},
            absent={**self.absent, kind: reason},
        )

    def with_tracks(self, catalog: Catalog, *, upserts: Sequence[TrackRecord], deletes: Sequence[str]) -> State:
        """Serve `catalog`, the one in service, after changes to its tracks."""
        catalog = catalog.with_changes(upserts=upserts, deletes=deletes)
        changed = np.unique(catalog.all_rows_of([record.track_id for record in upserts]))
        parts: dict[str, Part] = {}
        absent = dict(self.absent)
        for kind, part in self.parts.items():
            if isinstance(part, ContentPart):
                try:
                    parts[kind] = part.with_catalog(catalog, changed)
                except InferenceError as error:
                    _LOG.exception("content/%d taken out of service", part.version)
                    absent[kind] = str(error)
            elif isinstance(part, CollaborativePart | NcfPart | SequencePart):
                parts[kind] = part.with_catalog(catalog)
            else:
                parts[kind] = part
        return replace(self, catalog=catalog, parts=parts, absent=absent)
