"""Row numbers of ids: text ids go in, int32 rows come out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def enumerate_ids(ids: NDArray[np.object_]) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
    """Return the row of each entry, int32 (m,), and the distinct ids in order of first appearance, object (n,)."""
    encoded = pa.array(ids, pa.string()).dictionary_encode()
    rows: NDArray[np.int32] = encoded.indices.to_numpy()
    distinct: NDArray[np.object_] = encoded.dictionary.to_numpy(zero_copy_only=False)
    return rows, distinct


def rows_of(ids: NDArray[np.object_], known: NDArray[np.object_]) -> NDArray[np.int32]:
    """Return int32 (m,): the position of each id in `known`, the first where it stands there twice, or -1."""
    found = pc.index_in(pa.array(ids, pa.string()), value_set=pa.array(known, pa.string()))
    rows: NDArray[np.int32] = pc.fill_null(found, -1).to_numpy()
    return rows


def numbers_as_ids(numbers: NDArray[np.int64]) -> NDArray[np.object_]:
    """Ids of sources that number their users and tracks: the numbers as text."""
    ids = np.empty(len(numbers), object)
    ids[:] = [str(number) for number in numbers.tolist()]
    return ids
