"""Each method of both clients: what arrives at the server, and what the caller gets back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from audotics.client import (
    AudioFeatures,
    Contribution,
    Degradation,
    DegradationReason,
    DeleteResult,
    EventType,
    FeatureRange,
    FeedbackEvent,
    FeedbackResult,
    FeedbackStatus,
    ModelVersion,
    Mood,
    Objectives,
    Ranking,
    Recommendation,
    RecommendedTrack,
    SimilarTrack,
    SimilarTracks,
    Track,
    TrackFilter,
    UpsertResult,
)
from audotics.v1 import (
    catalog_service_pb2,
    feedback_service_pb2,
    recommender_service_pb2,
    track_pb2,
)

TRACK = Track(
    "t1",
    title="Blue Train",
    artist="John Coltrane",
    album="Blue Train",
    tags=("jazz", "hard bop"),
    release_year=1958,
    explicit=False,
    duration_ms=643_000,
    popularity=0.5,
    audio_features=AudioFeatures(energy=0.0, tempo=137.5),
)
TRACK_MESSAGE = track_pb2.Track(
    track_id="t1",
    title="Blue Train",
    artist="John Coltrane",
    album="Blue Train",
    tags=["jazz", "hard bop"],
    release_year=1958,
    explicit=False,
    duration_ms=643_000,
    popularity=0.5,
    audio_features=track_pb2.AudioFeatures(energy=0.0, tempo=137.5),
)


def test_recommend_sends_every_argument(client, server):
    client.recommend(
        "u1",
        limit=7,
        mood="chill",
        genres=["jazz"],
        filter=TrackFilter(
            genres=("jazz",),
            excluded_genres=("pop",),
            artists=("Miles Davis",),
            excluded_artists=("Kenny G",),
            min_release_year=1950,
            max_release_year=1970,
            explicit=False,
            feature_ranges=(FeatureRange("tempo", min=0.0, max=120.0), FeatureRange("energy", max=0.5)),
        ),
        exclude=["t9"],
        diversity=0.0,
        objectives=Objectives(relevance=0.5, novelty=0.25, popularity=0.125, freshness=0.0625, artist_fairness=0.03125),
        explain=True,
    )

    assert server.requests == [
        recommender_service_pb2.RecommendRequest(
            subject={"user_id": "u1"},
            limit=7,
            context={"mood": track_pb2.MOOD_CHILL, "genres": ["jazz"]},
            filter={
                "genres": ["jazz"],
                "excluded_genres": ["pop"],
                "artists": ["Miles Davis"],
                "excluded_artists": ["Kenny G"],
                "min_release_year": 1950,
                "max_release_year": 1970,
                "explicit": False,
                "feature_ranges": [
                    {"feature": "tempo", "min": 0.0, "max": 120.0},
                    {"feature": "energy", "max": 0.5},
                ],
            },
            exclude={"track_ids": ["t9"]},
            diversity=0.0,
            objectives={
                "relevance": 0.5,
                "novelty": 0.25,
                "popularity": 0.125,
                "freshness": 0.0625,
                "artist_fairness": 0.03125,
            },
            explain=True,
        )
    ]


def test_recommend_leaves_unset_what_is_not_given(client, server):
    client.recommend("u1")

    assert server.requests == [recommender_service_pb2.RecommendRequest(subject={"user_id": "u1"}, limit=20)]


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        ({"seed_tracks": ["a", "b"]}, {"seed_tracks": {"track_ids": ["a", "b"]}}),
        ({"session_tracks": ("a", "b")}, {"session": {"track_ids": ["a", "b"]}}),
    ],
)
def test_a_subject_can_be_tracks(client, server, arguments, subject):
    client.recommend(**arguments)
    client.rank_tracks(track_ids=["c"], **arguments)

    expected = recommender_service_pb2.Subject(**subject)
    assert [request.subject for request in server.requests] == [expected, expected]


def test_recommend_returns_plain_values(client, server):
    server.script(
        "Recommend",
        recommender_service_pb2.RecommendResponse(
            recommendation_id="r1",
            tracks=[
                {
                    "track_id": "t1",
                    "title": "Blue Train",
                    "artist": "John Coltrane",
                    "score": 0.5,
                    "confidence": 0.25,
                    "contributions": [{"model": "ncf", "weight": 2.0, "value": 0.25, "contribution": 0.5}],
                    "reasons": ["Because you listen to jazz"],
                }
            ],
            model_versions=[{"model": "ncf", "version": 3}],
            index_version="i1",
            degraded=[
                {"part": "user", "reason": recommender_service_pb2.DEGRADATION_REASON_UNKNOWN_USER, "detail": "new"}
            ],
        ),
    )

    assert client.recommend("u1") == Recommendation(
        recommendation_id="r1",
        tracks=(
            RecommendedTrack(
                "t1",
                "Blue Train",
                "John Coltrane",
                score=0.5,
                confidence=0.25,
                contributions=(Contribution("ncf", weight=2.0, value=0.25, contribution=0.5),),
                reasons=("Because you listen to jazz",),
            ),
        ),
        model_versions=(ModelVersion("ncf", 3),),
        index_version="i1",
        degraded=(Degradation("user", DegradationReason.UNKNOWN_USER, "new"),),
    )


def test_a_reason_of_a_newer_server_is_unknown_and_no_error(client, server):
    server.script(
        "Recommend",
        recommender_service_pb2.RecommendResponse(degraded=[{"part": "ncf", "reason": 99, "detail": "too hot"}]),
    )

    assert client.recommend("u1").degraded == (Degradation("ncf", DegradationReason.UNKNOWN, "too hot"),)


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({"track_id": "t1"}, {"track_id": "t1"}),
        ({"features": TRACK}, {"features": TRACK_MESSAGE}),
        ({"vector": [0.5, -0.25]}, {"vector": {"values": [0.5, -0.25]}}),
    ],
)
def test_similar_tracks_takes_a_track_features_or_a_vector(client, server, arguments, query):
    server.script(
        "SimilarTracks",
        recommender_service_pb2.SimilarTracksResponse(
            tracks=[{"track_id": "t2", "title": "So What", "artist": "Miles Davis", "similarity": 0.75}],
            model_versions=[{"model": "content", "version": 1}],
            index_version="i1",
            degraded=[{"part": "content", "reason": recommender_service_pb2.DEGRADATION_REASON_FAILED}],
        ),
    )

    answer = client.similar_tracks(**arguments, limit=3, filter=TrackFilter(explicit=True), exclude=["t9"])

    assert server.requests == [
        recommender_service_pb2.SimilarTracksRequest(
            **query, limit=3, filter={"explicit": True}, exclude={"track_ids": ["t9"]}
        )
    ]
    assert answer == SimilarTracks(
        tracks=(SimilarTrack("t2", "So What", "Miles Davis", similarity=0.75),),
        model_versions=(ModelVersion("content", 1),),
        index_version="i1",
        degraded=(Degradation("content", DegradationReason.FAILED, ""),),
    )


def test_rank_tracks(client, server):
    server.script(
        "RankTracks",
        recommender_service_pb2.RankTracksResponse(
            recommendation_id="r2",
            tracks=[{"track_id": "b", "score": 1.0}, {"track_id": "a", "score": 0.5}],
            model_versions=[{"model": "ncf", "version": 3}],
        ),
    )

    answer = client.rank_tracks("u1", track_ids=["a", "b"], mood=Mood.WORKOUT, genres=["rock"], explain=True)

    assert server.requests == [
        recommender_service_pb2.RankTracksRequest(
            subject={"user_id": "u1"},
            track_ids=["a", "b"],
            context={"mood": track_pb2.MOOD_WORKOUT, "genres": ["rock"]},
            explain=True,
        )
    ]
    assert answer == Ranking(
        recommendation_id="r2",
        tracks=(RecommendedTrack("b", "", "", 1.0, 0.0), RecommendedTrack("a", "", "", 0.5, 0.0)),
        model_versions=(ModelVersion("ncf", 3),),
        degraded=(),
    )


def test_record_feedback(client, server):
    server.script(
        "RecordFeedback",
        feedback_service_pb2.RecordFeedbackResponse(
            results=[
                {"event_id": "e1", "status": feedback_service_pb2.FEEDBACK_STATUS_ACCEPTED},
                {
                    "event_id": "e2",
                    "status": feedback_service_pb2.FEEDBACK_STATUS_REJECTED,
                    "reason": "rating: send 0..5",
                },
            ]
        ),
    )
    noon_in_berlin = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))

    results = client.record_feedback(
        [
            FeedbackEvent("u1", "t1", EventType.ADD_TO_PLAYLIST, event_id="e1", occurred_at=noon_in_berlin),
            FeedbackEvent("u1", "t2", EventType.RATING, event_id="e2", recommendation_id="r1", rating=0.0),
        ]
    )

    first, second = server.requests[0].events
    assert first.type == feedback_service_pb2.EVENT_TYPE_ADD_TO_PLAYLIST
    assert first.occurred_at.ToDatetime(tzinfo=UTC) == noon_in_berlin
    assert not first.HasField("rating")
    assert second == feedback_service_pb2.FeedbackEvent(
        event_id="e2",
        user_id="u1",
        track_id="t2",
        type=feedback_service_pb2.EVENT_TYPE_RATING,
        recommendation_id="r1",
        rating=0.0,
    )
    assert results == (
        FeedbackResult("e1", FeedbackStatus.ACCEPTED, ""),
        FeedbackResult("e2", FeedbackStatus.REJECTED, "rating: send 0..5"),
    )


def test_every_event_type_is_on_the_wire(client, server):
    client.record_feedback([FeedbackEvent("u1", "t1", kind) for kind in EventType])

    sent = [event.type for event in server.requests[0].events]
    assert sorted(sent) == sorted(feedback_service_pb2.EventType.values())[1:]


def test_every_mood_is_on_the_wire(client, server):
    for mood in Mood:
        client.recommend("u1", mood=mood)

    sent = [request.context.mood for request in server.requests]
    assert sorted(sent) == sorted(track_pb2.Mood.values())[1:]


def test_upsert_tracks(client, server):
    server.script("UpsertTracks", catalog_service_pb2.UpsertTracksResponse(created_count=1, updated_count=2))

    assert client.upsert_tracks([TRACK, Track("t2")]) == UpsertResult(created_count=1, updated_count=2)
    assert server.requests == [
        catalog_service_pb2.UpsertTracksRequest(tracks=[TRACK_MESSAGE, track_pb2.Track(track_id="t2")])
    ]


def test_get_tracks_tells_unknown_from_zero(client, server):
    server.script(
        "GetTracks",
        catalog_service_pb2.GetTracksResponse(tracks=[TRACK_MESSAGE, track_pb2.Track(track_id="t2")]),
    )

    assert client.get_tracks(["t1", "t2"]) == (TRACK, Track("t2"))
    assert server.requests == [catalog_service_pb2.GetTracksRequest(track_ids=["t1", "t2"])]


def test_delete_tracks(client, server):
    server.script("DeleteTracks", catalog_service_pb2.DeleteTracksResponse(deleted_count=1, unknown_count=2))

    assert client.delete_tracks(["t1", "t2", "t3"]) == DeleteResult(deleted_count=1, unknown_count=2)
    assert server.requests == [catalog_service_pb2.DeleteTracksRequest(track_ids=["t1", "t2", "t3"])]


def test_models_are_selected_by_label_and_version(client, server):
    client.recommend("u1", model_label="canary", model_versions={"ncf": 3})
    client.rank_tracks("u1", track_ids=["t1"], model_versions={"ncf": 3})
    client.recommend("u1")

    by_both, by_version, by_none = server.requests
    assert by_both.models.label == "canary"
    assert [(chosen.model, chosen.version) for chosen in by_both.models.versions] == [("ncf", 3)]
    assert [(chosen.model, chosen.version) for chosen in by_version.models.versions] == [("ncf", 3)]
    assert not by_none.HasField("models")


@pytest.mark.parametrize(
    ("call", "arguments", "kind", "message"),
    [
        ("recommend", {}, ValueError, "exactly one of user_id, seed_tracks, session_tracks; given: none"),
        ("recommend", {"user_id": "u", "seed_tracks": ["t"]}, ValueError, "given: user_id and seed_tracks"),
        ("recommend", {"user_id": "u", "mood": "grumpy"}, ValueError, "mood must be one of energetic, chill"),
        ("recommend", {"user_id": "u", "exclude": "t1"}, TypeError, r"exclude takes several strings, such as \['t1'\]"),
        ("recommend", {"user_id": "u", "timeout_s": 0.0}, ValueError, "timeout_s must be above 0"),
        ("recommend", {"user_id": "u", "limit": "ten"}, TypeError, "integer"),
        ("recommend", {"user_id": "u", "limt": 10}, TypeError, "limt"),
        ("rank_tracks", {"track_ids": ["t"]}, ValueError, "given: none"),
        ("similar_tracks", {}, ValueError, "exactly one of track_id, features, vector"),
        ("similar_tracks", {"track_id": "t", "vector": [1.0]}, ValueError, "given: track_id and vector"),
        ("get_tracks", {"track_ids": "t1"}, TypeError, "track_ids takes several strings"),
        (
            "record_feedback",
            {"events": [FeedbackEvent("u", "t", EventType.PLAY, occurred_at=datetime(2026, 1, 1))]},
            ValueError,
            "occurred_at needs a time zone",
        ),
        ("record_feedback", {"events": [FeedbackEvent("u", "t", "hum")]}, ValueError, "type must be one of play"),
    ],
)
def test_a_mistake_of_the_caller_is_raised_before_anything_is_sent(client, server, call, arguments, kind, message):
    with pytest.raises(kind, match=message):
        getattr(client, call)(**arguments)

    assert server.received == []
