"""Tracks that sound alike: a track, features or a vector goes in, its neighbours by content embedding come out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.errors import FieldViolation, InvalidRequestError, NotFoundError
from audotics.server.pipeline.filters import NO_FILTER, FilterMasks
from audotics.server.repository.parts import ContentPart
from audotics.server.repository.records import columns_of
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Degradation, DegradationReason, Similarity, SimilarQuery, SimilarTrack

_MODEL: Final = "content"
_EXACT_CHUNK: Final = 16_384


def find_similar(snapshot: Snapshot, query: SimilarQuery, masks: FilterMasks) -> Similarity:
    """Blocking. Without a content model the answer is empty, and `degraded` says why.

    Raises NotFoundError for an unknown track, InvalidRequestError for a vector of the wrong dimension or length zero,
    InferenceError when the content model fails on the given features.
    """
    catalog = snapshot.catalog
    row = -1
    if query.track_id is not None:
        row = catalog.row_of(query.track_id)
        if row < 0:
            raise NotFoundError("track", [query.track_id])
    degraded = [degradation for degradation in snapshot.degraded if degradation.part == _MODEL]
    rows, cosines = np.empty(0, np.int64), np.empty(0, np.float32)
    if snapshot.content is not None:
        allowed = masks.mask(catalog, query.filter).copy()
        excluded = catalog.all_rows_of(query.excluded)
        allowed[excluded[excluded >= 0]] = False
        if row >= 0:
            allowed[row] = False
        vector = _query_vector(snapshot.content, query, row)
        rows, cosines = _nearest(
            snapshot.content,
            vector,
            allowed,
            limit=query.limit,
            filtered=query.filter != NO_FILTER,
            n_excluded=len(excluded),
        )
    if snapshot.content is not None and len(rows) < query.limit:
        detail = f"{len(rows)} of {query.limit}: no more tracks pass the filter and the exclusions"
        degraded.append(Degradation("candidates", DegradationReason.FEW_MATCHES, detail))
    columns = catalog.columns
    texts = zip(columns.ids[rows], columns.titles[rows], columns.artists[rows], strict=True)
    return Similarity(
        tracks=tuple(SimilarTrack(*text, cosine) for text, cosine in zip(texts, cosines.tolist(), strict=True)),
        model_versions=tuple(version for version in snapshot.model_versions if version[0] == _MODEL),
        index_version=snapshot.index_version,
        degraded=tuple(degraded),
    )


def _query_vector(content: ContentPart, query: SimilarQuery, row: int) -> NDArray[np.float32]:
    if row >= 0:
        return content.vectors(np.asarray([row], np.int64)).reshape(-1)
    if query.track is not None:
        return content.embed(columns_of([query.track]), deadline=query.deadline).vectors.reshape(-1)
    vector = np.asarray(query.vector, np.float64)  # float32 has no room for the squares of what it holds
    if vector.shape != (content.index.dimension,):
        raise InvalidRequestError(
            [FieldViolation("vector.values", f"has {vector.size} numbers, send {content.index.dimension}")]
        )
    norm = float(np.linalg.norm(vector))
    if not 0 < norm < np.inf:
        raise InvalidRequestError([FieldViolation("vector.values", "send finite numbers that are not all zero")])
    return (vector / norm).astype(np.float32)


def _nearest(
    content: ContentPart,
    vector: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    *,
    limit: int,
    filtered: bool,
    n_excluded: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows (k,) and cosines (k,), best first, k = min(limit, allowed rows).

    An index search that a filter or an exclusion leaves short is followed by an exact one over all that is allowed.
    """
    if not filtered:
        scores, found = (result[0] for result in content.nearest(vector[None], limit + n_excluded + 1))
        kept = (found >= 0) & allowed[found]
        if np.count_nonzero(kept) >= limit:
            return found[kept][:limit], scores[kept][:limit]
    rows = np.flatnonzero(allowed)
    cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _EXACT_CHUNK):
        end = start + _EXACT_CHUNK
        cosines[start:end] = content.vectors(rows[start:end]) @ vector
    best = np.argsort(-cosines, kind="stable")[:limit]
    return rows[best], cosines[best]
