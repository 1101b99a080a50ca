"""The group model in service: histories of members and what the group did go in, scores and compatibility come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.store import Bundle
from audotics.features.groups import GroupEvents, GroupInputs
from audotics.server.errors import RefusedModelError
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.rows import RowMap
from audotics.server.runtime.model import Model

_TASTE: Final = "taste"


@dataclass(frozen=True, slots=True, eq=False)
class GroupPart:
    """Attentive group preference. `taste_size` is the width of the texts it was trained with, 0 for none.

    Texts need their encoder, which does not serve: members are given none; to the model an absent text costs nothing.
    """

    version: int
    model: Model
    rows: RowMap
    taste_size: int

    @classmethod
    def of(cls, bundle: Bundle, model: Model, rows: RowMap) -> GroupPart:
        """Raises RefusedModelError for a model whose texts have no fixed width."""
        width = {spec.name: spec.shape[-1] for spec in model.inputs}.get(_TASTE, 0)
        if width < 0:
            raise RefusedModelError(f"{bundle}: its input 'taste' has no fixed width; export it again")
        return cls(bundle.manifest.version, model, rows, width)

    def scores(
        self,
        histories: Sequence[NDArray[np.int64]],
        events: GroupEvents,
        rows: NDArray[np.int64],
        *,
        deadline: float | None = None,
    ) -> NDArray[np.float32]:
        """float32 (n,) for catalogue `rows` (n,), NaN for tracks that the model does not know.

        `histories` hold catalogue rows, one array a member, oldest first, and so do the tracks of `events`. `deadline`
        is as in `Model.run`. Raises DeadlineError, InferenceError.
        """
        candidates = self.rows.to_model(rows)
        known = candidates >= 0
        result = np.full(len(rows), np.nan, np.float32)
        if known.any():
            played = self.rows.to_model(events.tracks)
            there = played >= 0
            feeds = self._inputs(histories, GroupEvents(played[there], events.weights[there]), candidates[known])
            result[known] = self.model.run(feeds.feeds(), ["score"], deadline=deadline)[0]
        return result

    def compatibility(
        self, histories: Sequence[NDArray[np.int64]], *, deadline: float | None = None
    ) -> NDArray[np.float32]:
        """float32 (m, m), 0..1, of members by histories in catalogue rows. Raises DeadlineError, InferenceError."""
        nothing = GroupEvents(np.empty(0, np.int64), np.empty(0, np.float32))
        feeds = self._inputs(histories, nothing, np.zeros(1, np.int64))
        matrix: NDArray[np.float32] = self.model.run(feeds.feeds(), ["compatibility"], deadline=deadline)[0]
        return matrix

    def with_catalog(self, catalog: Catalog) -> GroupPart:
        """The part after changes to the catalogue that it is linked to."""
        return replace(self, rows=self.rows.grown(len(catalog)))

    def _inputs(
        self, histories: Sequence[NDArray[np.int64]], events: GroupEvents, candidates: NDArray[np.int64]
    ) -> GroupInputs:
        heard = [self.rows.to_model(history) for history in histories]
        taste = np.zeros((len(histories), self.taste_size), np.float32)
        return GroupInputs.of([history[history >= 0] for history in heard], events, candidates, taste=taste)
