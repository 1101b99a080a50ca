"""Track ids at the edge: ids go in, rows of tracks that can be served come out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audotics.server.errors import NotFoundError
from audotics.server.repository.catalog import Catalog


def served_rows(catalog: Catalog, track_ids: Sequence[str]) -> NDArray[np.int64]:
    """Rows of tracks, int64 (len(track_ids),). Raises NotFoundError that names all that cannot be served."""
    rows = catalog.rows_of(track_ids)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise NotFoundError("track", list(dict.fromkeys(track_ids[place] for place in missing.tolist())))
    return rows
