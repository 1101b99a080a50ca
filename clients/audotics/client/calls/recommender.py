"""Calls of RecommenderService. What is wrong with the arguments themselves is raised here, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import time
from types import MappingProxyType

from audotics.client.arguments import Activity, Mood, Objectives, Track, TrackFilter
from audotics.client.calls.call import Call, call_of, exactly_one
from audotics.client.codec.recommendations import (
    decode_classification,
    decode_explanation,
    decode_ranking,
    decode_recommendation,
    decode_similar,
    encode_context,
    encode_filter,
    encode_models,
    encode_objectives,
    exclusion,
)
from audotics.client.codec.scalars import strings
from audotics.client.codec.tracks import encode_track
from audotics.client.results.recommendations import Classification, Explanation, Ranking, Recommendation, SimilarTracks
from audotics.v1 import recommender_service_pb2 as recommender


def recommend(
    user_id: str | None = None,
    *,
    seed_tracks: Iterable[str] | None = None,
    session_tracks: Iterable[str] | None = None,
    limit: int = 20,
    mood: Mood | str | None = None,
    genres: Iterable[str] = (),
    activity: Activity | str | None = None,
    local_time: time | None = None,
    filter: TrackFilter | None = None,
    exclude: Iterable[str] = (),
    diversity: float | None = None,
    objectives: Objectives | None = None,
    explain: bool = False,
    model_label: str | None = None,
    model_versions: Mapping[str, int] = MappingProxyType({}),
    timeout_s: float | None = None,
) -> Call[Recommendation]:
    """The best tracks for a listener, for tracks that stand for a taste, or for an anonymous session.

    Give exactly one of `user_id`, `seed_tracks` (in no order) and `session_tracks` (oldest first). An unknown user is
    served as a new one, and `degraded` says so. `limit` is 1 to 500. `diversity` goes from 0, by score alone, to 1, by
    difference alone; None is the server's default. With `explain`, tracks carry contributions and reasons. `local_time`
    is that of where the listener is.

    `model_label` asks for the versions that carry a label, such as "canary", and `model_versions` for certain versions
    of certain models; the rest is what serves by default.
    """
    request = recommender.RecommendRequest(
        subject=_subject(user_id, seed_tracks, session_tracks),
        limit=limit,
        context=encode_context(mood, genres, activity, local_time),
        filter=None if filter is None else encode_filter(filter),
        exclude=exclusion(exclude),
        diversity=diversity,
        objectives=None if objectives is None else encode_objectives(objectives),
        explain=explain,
        models=encode_models(model_label, model_versions),
    )
    return call_of(
        "RecommenderService/Recommend", request, recommender.RecommendResponse, decode_recommendation, timeout_s
    )


def similar_tracks(
    track_id: str | None = None,
    *,
    features: Track | None = None,
    vector: Sequence[float] | None = None,
    limit: int = 20,
    filter: TrackFilter | None = None,
    exclude: Iterable[str] = (),
    timeout_s: float | None = None,
) -> Call[SimilarTracks]:
    """The tracks that sound and are listened to like one track, like a set of features, or like a vector.

    Give exactly one of `track_id`, `features` (a track that need not be in the catalogue: its audio features, tags and
    artist are compared) and `vector` (in the content embedding's space, of its dimension). `limit` is 1 to 500.
    """
    exactly_one(track_id=track_id, features=features, vector=vector)
    request = recommender.SimilarTracksRequest(
        track_id=track_id,
        features=None if features is None else encode_track(features),
        vector=None if vector is None else recommender.FeatureVector(values=vector),
        limit=limit,
        filter=None if filter is None else encode_filter(filter),
        exclude=exclusion(exclude),
    )
    return call_of(
        "RecommenderService/SimilarTracks", request, recommender.SimilarTracksResponse, decode_similar, timeout_s
    )


def rank_tracks(
    user_id: str | None = None,
    *,
    track_ids: Iterable[str],
    seed_tracks: Iterable[str] | None = None,
    session_tracks: Iterable[str] | None = None,
    mood: Mood | str | None = None,
    genres: Iterable[str] = (),
    activity: Activity | str | None = None,
    local_time: time | None = None,
    explain: bool = False,
    model_label: str | None = None,
    model_versions: Mapping[str, int] = MappingProxyType({}),
    timeout_s: float | None = None,
) -> Call[Ranking]:
    """Your own candidates `track_ids` (1 to 1,000, distinct) in the order that suits a subject best.

    Nothing is added, nothing is left out. The subject and the models are given as for `recommend`.
    """
    request = recommender.RankTracksRequest(
        subject=_subject(user_id, seed_tracks, session_tracks),
        track_ids=strings("track_ids", track_ids),
        context=encode_context(mood, genres, activity, local_time),
        explain=explain,
        models=encode_models(model_label, model_versions),
    )
    return call_of("RecommenderService/RankTracks", request, recommender.RankTracksResponse, decode_ranking, timeout_s)


def classify_tracks(
    track_ids: Iterable[str] = (), *, tracks: Iterable[Track] = (), timeout_s: float | None = None
) -> Call[Classification]:
    """The moods and genres that the trained classifiers find in tracks, each with its probability.

    `track_ids` are tracks of the catalogue, `tracks` need not be in it: their audio features are classified. Give 1 to
    1,000 in all; the answer has them in this order.
    """
    request = recommender.ClassifyTracksRequest(
        track_ids=strings("track_ids", track_ids), tracks=[encode_track(track) for track in tracks]
    )
    return call_of(
        "RecommenderService/ClassifyTracks",
        request,
        recommender.ClassifyTracksResponse,
        decode_classification,
        timeout_s,
    )


def explain_recommendation(recommendation_id: str, *, timeout_s: float | None = None) -> Call[Explanation]:
    """What a list was made from, and the scores of its candidates, computed anew by the same models.

    NotFoundError when there is no receipt: it has expired, or no such list was made.
    """
    request = recommender.ExplainRecommendationRequest(recommendation_id=recommendation_id)
    return call_of(
        "RecommenderService/ExplainRecommendation",
        request,
        recommender.ExplainRecommendationResponse,
        decode_explanation,
        timeout_s,
    )


def _subject(
    user_id: str | None, seed_tracks: Iterable[str] | None, session_tracks: Iterable[str] | None
) -> recommender.Subject:
    exactly_one(user_id=user_id, seed_tracks=seed_tracks, session_tracks=session_tracks)
    if seed_tracks is not None:
        return recommender.Subject(seed_tracks=recommender.SeedTracks(track_ids=strings("seed_tracks", seed_tracks)))
    if session_tracks is not None:
        return recommender.Subject(
            session=recommender.AnonymousSession(track_ids=strings("session_tracks", session_tracks))
        )
    return recommender.Subject(user_id=user_id)
