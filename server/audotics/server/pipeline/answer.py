"""The end of the path: a scored slate and the chosen places go in, the answer in ids and text comes out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audotics.server.pipeline.explanation import Explainer
from audotics.server.pipeline.relevance import Relevance
from audotics.server.pipeline.slate import Slate
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Degradation, RankedTrack, RankQuery, Recommendation, RecommendQuery


def present(
    snapshot: Snapshot,
    slate: Slate,
    relevance: Relevance,
    places: NDArray[np.int64],
    query: RecommendQuery | RankQuery,
    *,
    degraded: Sequence[Degradation],
) -> Recommendation:
    """The answer with the slate's rows at `places` (k,), in that order, explained when the query asks for it.

    Model versions are those of the models that took part; `degraded` comes before what the snapshot lacks.
    """
    rows = slate.rows[places]
    columns = snapshot.catalog.columns
    texts = zip(columns.ids[rows], columns.titles[rows], columns.artists[rows], strict=True)
    numbers = zip(relevance.score[places].tolist(), relevance.confidence[places].tolist(), strict=True)
    tracks = tuple(RankedTrack(*text, *number) for text, number in zip(texts, numbers, strict=True))
    if query.explain:
        tracks = _explained(snapshot, slate, relevance, places, query, tracks)
    left_out = {degradation.part for degradation in degraded}
    return Recommendation(
        recommendation_id=uuid.uuid4().hex,
        tracks=tracks,
        model_versions=tuple(version for version in snapshot.model_versions if version[0] not in left_out),
        index_version=snapshot.index_version,
        degraded=(*degraded, *snapshot.degraded),
    )


def _explained(
    snapshot: Snapshot,
    slate: Slate,
    relevance: Relevance,
    places: NDArray[np.int64],
    query: RecommendQuery | RankQuery,
    tracks: Sequence[RankedTrack],
) -> tuple[RankedTrack, ...]:
    explainer = Explainer(snapshot.catalog, slate.taste, context=query.context, subject=query.subject)
    explained = []
    for place, track in zip(places.tolist(), tracks, strict=True):
        contributions = relevance.contributions(place)
        embedding = None if slate.embeddings is None else slate.embeddings[place]
        reasons = explainer.reasons(int(slate.rows[place]), contributions, embedding)
        explained.append(
            RankedTrack(
                track.track_id, track.title, track.artist, track.score, track.confidence, contributions, reasons
            )
        )
    return tuple(explained)
