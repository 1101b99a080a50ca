"""Row numbers of the catalogue and of one model: rows of one go in, rows of the other come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.repository.catalog import Catalog

UNKNOWN: Final = -1
"""Stands for a row that the other side does not have."""


@dataclass(frozen=True, slots=True, eq=False)
class RowMap:
    """Which catalogue row is which row of a model.

    A model trained on the catalogue in service has its row numbers, and nothing is looked up. Otherwise two tables lead
    there and back; each ends with UNKNOWN, so that UNKNOWN leads to itself.
    """

    size: int
    _to_model: NDArray[np.int64] | None = None
    _to_catalog: NDArray[np.int64] | None = None

    @classmethod
    def link(cls, ids: Sequence[str] | NDArray[np.object_], catalog: Catalog) -> RowMap:
        """Map by track id; `ids` (size,) names the model's rows. Rows that the catalogue lacks are UNKNOWN there."""
        to_catalog = np.append(catalog.all_rows_of(ids), UNKNOWN)
        to_model = np.full(len(catalog) + 1, UNKNOWN, np.int64)
        linked = np.flatnonzero(to_catalog >= 0)
        to_model[to_catalog[linked]] = linked
        return cls(len(ids), to_model, to_catalog)

    def to_model(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the model for catalogue `rows` (n,), UNKNOWN where it has none."""
        if self._to_model is not None:
            return self._to_model.take(rows)
        if not len(rows) or int(rows.max()) < self.size:
            return rows
        return np.where(rows < self.size, rows, UNKNOWN)

    def to_catalog(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Catalogue rows for `rows` (n,) of the model, UNKNOWN where the catalogue has none."""
        return rows if self._to_catalog is None else self._to_catalog.take(rows)

    def mask(self, allowed: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
        """bool (size,): which of the model's first `size` rows `allowed`, over the catalogue, names."""
        if self._to_catalog is None:
            return allowed[:size]
        rows = self._to_catalog[:size]
        named: NDArray[np.bool_] = allowed.take(rows, mode="clip") & (rows != UNKNOWN)
        return named

    def hidden(self, deleted: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The model's rows that must not be found: of the `deleted` catalogue rows, and those the catalogue lacks."""
        of_deleted = self.to_model(np.flatnonzero(deleted))
        lost = np.empty(0, np.int64) if self._to_catalog is None else np.flatnonzero(self._to_catalog[:-1] == UNKNOWN)
        return np.concatenate([of_deleted[of_deleted != UNKNOWN], lost])

    def grown(self, catalog_size: int) -> RowMap:
        """The map after the catalogue grew to `catalog_size` rows: the model knows none of the new ones."""
        if self._to_model is None:
            return self
        to_model = np.full(catalog_size + 1, UNKNOWN, np.int64)
        to_model[: len(self._to_model)] = self._to_model
        return RowMap(self.size, to_model, self._to_catalog)

    def with_rows(self, rows: NDArray[np.int64]) -> RowMap:
        """The map in which the model has a row for each of the catalogue's `rows`: those it lacked come at its end.

        `rows` is ascending. A model with the catalogue's row numbers must be given every row it lacks at once.
        """
        new = rows[self.to_model(rows) == UNKNOWN]
        size = self.size + len(new)
        if self._to_model is None or self._to_catalog is None:
            return RowMap(size)
        to_model = self._to_model.copy()
        to_model[new] = np.arange(self.size, size)
        return RowMap(size, to_model, np.concatenate([self._to_catalog[:-1], new, [UNKNOWN]]))
