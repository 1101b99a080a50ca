"""Each method of both clients: what arrives at the server, and what the caller gets back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import grpc
import pytest

from audotics.client import (
    AudioFeatures,
    BuiltRecall,
    Contribution,
    Degradation,
    DegradationReason,
    DeleteResult,
    EventType,
    FeatureRange,
    FeedbackEvent,
    FeedbackResult,
    FeedbackStatus,
    IndexInfo,
    IndexRecall,
    ModelInfo,
    ModelVersion,
    Mood,
    Objectives,
    Ranking,
    RecallReport,
    Recommendation,
    RecommendedTrack,
    ShadowReport,
    SimilarTrack,
    SimilarTracks,
    TensorInfo,
    Track,
    TrackFilter,
    UnavailableError,
    UpsertResult,
    VersionInfo,
    VersionState,
)
from audotics.v1 import (
    catalog_service_pb2,
    feedback_service_pb2,
    model_service_pb2,
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
MODEL_MESSAGE = model_service_pb2.Model(
    name="ncf",
    kind="ncf",
    versions=[
        model_service_pb2.VersionInfo(
            version=2,
            state=model_service_pb2.VERSION_STATE_REFUSED,
            reason="model.onnx is altered; export it again",
        ),
        model_service_pb2.VersionInfo(
            version=1,
            state=model_service_pb2.VERSION_STATE_IN_SERVICE,
            created_at={"seconds": 1_700_000_000},
            framework="pytorch",
            metrics={"ndcg@10": 0.25},
            inputs=[model_service_pb2.TensorInfo(name="user", dtype="float32", shape=[-1, 64])],
            outputs=[model_service_pb2.TensorInfo(name="score", dtype="float32", shape=[-1])],
            size_bytes=4096,
            parity_max_abs_diff=0.0,
        ),
    ],
    labels={"stable": 1},
)
MODEL = ModelInfo(
    "ncf",
    "ncf",
    (
        VersionInfo(2, VersionState.REFUSED, reason="model.onnx is altered; export it again"),
        VersionInfo(
            1,
            VersionState.IN_SERVICE,
            created_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
            framework="pytorch",
            metrics={"ndcg@10": 0.25},
            inputs=(TensorInfo("user", "float32", (-1, 64)),),
            outputs=(TensorInfo("score", "float32", (-1,)),),
            size_bytes=4096,
            parity_max_abs_diff=0.0,
        ),
    ),
    {"stable": 1},
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


def test_list_models(client, server):
    server.script("ListModels", model_service_pb2.ListModelsResponse(models=[MODEL_MESSAGE]))

    assert client.list_models() == (MODEL,)


@pytest.mark.parametrize(
    ("method", "call", "arguments", "answer"),
    [
        ("GetModel", "get_model", ("ncf",), model_service_pb2.GetModelResponse),
        ("LoadVersion", "load_version", ("ncf", 2), model_service_pb2.LoadVersionResponse),
        ("UnloadVersion", "unload_version", ("ncf", 2), model_service_pb2.UnloadVersionResponse),
        ("SetLabel", "set_label", ("ncf", "canary", 2), model_service_pb2.SetLabelResponse),
        ("Rollback", "rollback", ("ncf",), model_service_pb2.RollbackResponse),
    ],
)
def test_calls_on_one_model(client, server, method, call, arguments, answer):
    server.script(method, answer(model=MODEL_MESSAGE))

    assert getattr(client, call)(*arguments) == MODEL
    (received,) = server.received
    assert received.method == method
    assert received.request.name == "ncf"
    assert method in ("GetModel", "Rollback") or received.request.version == 2
    assert method != "SetLabel" or (received.request.label, received.request.force) == ("canary", False)


def test_a_label_is_forced_and_taken_away(client, server):
    client.set_label("ncf", "stable", 2, force=True)
    client.remove_label("ncf", "stable")

    forced, removed = server.requests
    assert forced == model_service_pb2.SetLabelRequest(name="ncf", label="stable", version=2, force=True)
    assert removed == model_service_pb2.SetLabelRequest(name="ncf", label="stable")


def test_a_rollback_is_never_tried_again(client, server, failure):
    server.script("Rollback", failure(grpc.StatusCode.UNAVAILABLE), model_service_pb2.RollbackResponse())

    with pytest.raises(UnavailableError):
        client.rollback("ncf")
    assert len(server.requests) == 1


def test_models_are_selected_by_label_and_version(client, server):
    client.recommend("u1", model_label="canary", model_versions={"ncf": 3})
    client.rank_tracks("u1", track_ids=["t1"], model_versions={"ncf": 3})
    client.recommend("u1")

    by_both, by_version, by_none = server.requests
    assert by_both.models.label == "canary"
    assert [(chosen.model, chosen.version) for chosen in by_both.models.versions] == [("ncf", 3)]
    assert [(chosen.model, chosen.version) for chosen in by_version.models.versions] == [("ncf", 3)]
    assert not by_none.HasField("models")


def test_indexes_are_values_and_a_rebuild_says_what_it_should(client, server):
    built = model_service_pb2.BuiltRecall(k=10, target=0.95, measured=0.97, query_count=100)
    fields = {"name": "content", "version": 2, "kind": "hnsw", "settings": "hnsw links 16", "metric": "cosine"}
    counts = {"dimension": 16, "vector_count": 9, "changed_count": 3, "deleted_count": 1, "in_service": True}
    message = model_service_pb2.VectorIndex(**fields, **counts, built=built)
    server.script("ListIndexes", model_service_pb2.ListIndexesResponse(indexes=[message]))
    server.script("RebuildIndex", model_service_pb2.RebuildIndexResponse(index=message))

    expected = IndexInfo(**fields, **counts, built=BuiltRecall(10, 0.95, 0.97, 100))
    assert client.list_indexes() == (expected,)
    assert client.rebuild_index("content", 2, retrain=True) == expected
    assert server.requests[-1] == model_service_pb2.RebuildIndexRequest(name="content", version=2, retrain=True)


def test_the_recall_report_tells_none_from_nought(client, server):
    totals = {"sampled_count": 1, "skipped_count": 2, "blocked_count": 3, "completed_count": 4}
    totals |= {"exact_filtered_count": 5, "indexed_filtered_count": 6, "device_fallback_count": 7}
    measured = model_service_pb2.IndexRecall(name="content", version=1, live=0.0, live_count=8, held_out=0.5)
    unknown = model_service_pb2.IndexRecall(name="collaborative", version=1)
    report = model_service_pb2.GetRecallReportResponse(indexes=[measured, unknown], sample_share=0.25, **totals)
    server.script("GetRecallReport", report)

    assert client.get_recall_report(measure=True) == RecallReport(
        (IndexRecall("content", 1, None, 0.0, 8, 0.5), IndexRecall("collaborative", 1, None, None, 0, None)),
        0.25,
        **totals,
    )
    assert server.requests[-1].measure


def test_the_shadow_report_is_a_value(client, server):
    assert client.get_shadow_report() is None
    fields = {"request_count": 9, "failure_count": 1, "skipped_count": 2, "overlap_at_k": 0.5, "k": 10}
    times = {"score_drift": -0.25, "served_ms": 2.0, "shadow_ms": 3.0}
    report = model_service_pb2.ShadowReport(versions={"ncf": 2}, **fields, **times)
    server.script("GetShadowReport", model_service_pb2.GetShadowReportResponse(report=report))

    assert client.get_shadow_report() == ShadowReport(versions={"ncf": 2}, **fields, **times)


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
