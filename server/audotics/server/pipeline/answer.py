"""The end of the path: a shortlist and the chosen places go in, the answer in ids and text comes out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audotics.server.pipeline.explanation import Explainer
from audotics.server.pipeline.shortlist import Shortlist
from audotics.server.repository.snapshot import Snapshot
from audotics.server.types import Degradation, RankedTrack, RankQuery, Recommendation, RecommendQuery


def present(
    snapshot: Snapshot,
    shortlist: Shortlist,
    places: NDArray[np.int64],
    query: RecommendQuery | RankQuery,
    *,
    degraded: Sequence[Degradation],
) -> Recommendation:
    """The answer with the shortlist's rows at `places` (k,), in that order, explained when the query asks for it.

    Model versions are those of the models that took part; `degraded` comes before what the snapshot lacks.
    """
    rows, relevance = shortlist.rows[places], shortlist.relevance
    columns = snapshot.catalog.columns
    texts = zip(columns.ids[rows], columns.titles[rows], columns.artists[rows], strict=True)
    numbers = zip(relevance.score[places].tolist(), relevance.confidence[places].tolist(), strict=True)
    tracks = tuple(RankedTrack(*text, *number) for text, number in zip(texts, numbers, strict=True))
    if query.explain:
        tracks = _explained(snapshot, shortlist, places, query, tracks)
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
    shortlist: Shortlist,
    places: NDArray[np.int64],
    query: RecommendQuery | RankQuery,
    tracks: Sequence[RankedTrack],
) -> tuple[RankedTrack, ...]:
    taste, embeddings = shortlist.taste.heard_again(snapshot), shortlist.embeddings(snapshot, places)
    explainer = Explainer(snapshot.catalog, taste, context=query.context, subject=query.subject)
    explained = []
    for number, (place, track) in enumerate(zip(places.tolist(), tracks, strict=True)):
        contributions = shortlist.relevance.contributions(place)
        embedding = None if embeddings is None else embeddings[number]
        reasons = explainer.reasons(int(shortlist.rows[place]), contributions, embedding)
        explained.append(
            RankedTrack(
                track.track_id, track.title, track.artist, track.score, track.confidence, contributions, reasons
            )
        )
    return tuple(explained)
