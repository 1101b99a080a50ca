"""`RecommenderService` over a real channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from audotics.v1 import catalog_service_pb2, feedback_service_pb2, track_pb2
from audotics.v1 import recommender_service_pb2 as pb

Details = Callable[..., list[Any]]


def user(user_id: str) -> pb.Subject:
    return pb.Subject(user_id=user_id)


async def test_a_caller_may_name_a_tenant_and_a_class(server: Any, details: Callable[..., list[Any]]) -> None:
    request = pb.RecommendRequest(subject=pb.Subject(user_id="u00"), limit=5)
    for priority in ("high", "normal", "LOW"):
        metadata = (("audotics-tenant", "acme"), ("audotics-priority", priority))
        assert len((await server.recommender.Recommend(request, metadata=metadata)).tracks) == 5
    metadata = (("audotics-tenant", "a" * 65), ("audotics-priority", "urgent"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.Recommend(request, metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["audotics-tenant", "audotics-priority"]


async def test_a_known_listener_gets_new_tracks_of_their_taste(server: Any, repository: Any) -> None:
    answer = await server.recommender.Recommend(pb.RecommendRequest(subject=user("u00"), limit=10, explain=True))
    heard = set(repository.tracks.ids[repository.history("u00")])
    recommended = [track.track_id for track in answer.tracks]
    assert len(set(recommended)) == 10
    assert not set(recommended) & heard
    assert len(set(recommended) & repository.ids_of_taste(0)) >= 8
    assert list(answer.degraded) == []
    assert answer.recommendation_id
    assert answer.index_version
    assert {(used.model, used.version) for used in answer.model_versions} >= {("ncf", 1), ("hybrid", 1)}
    for track in answer.tracks:
        assert track.title.startswith("Title")
        assert 0.0 <= track.confidence <= 1.0
        assert sum(part.contribution for part in track.contributions) == pytest.approx(track.score, abs=1e-4)
        assert track.reasons


async def test_without_explain_there_is_no_explanation(server: Any) -> None:
    answer = await server.recommender.Recommend(pb.RecommendRequest(subject=user("u00"), limit=3))
    assert [(list(track.contributions), list(track.reasons)) for track in answer.tracks] == [([], [])] * 3


async def test_a_stranger_is_served_and_the_answer_says_so(server: Any) -> None:
    answer = await server.recommender.Recommend(pb.RecommendRequest(subject=user("stranger"), limit=5))
    assert len(answer.tracks) == 5
    unknown = [part for part in answer.degraded if part.part == "user"]
    assert [part.reason for part in unknown] == [pb.DEGRADATION_REASON_UNKNOWN_USER]


async def test_seed_tracks_and_sessions_stand_for_a_taste(server: Any, repository: Any) -> None:
    seeds = ["t001", "t005", "t009"]
    for subject in (
        pb.Subject(seed_tracks=pb.SeedTracks(track_ids=seeds)),
        pb.Subject(session=pb.AnonymousSession(track_ids=seeds)),
    ):
        answer = await server.recommender.Recommend(pb.RecommendRequest(subject=subject, limit=8))
        recommended = {track.track_id for track in answer.tracks}
        assert not recommended & set(seeds)
        assert len(recommended & repository.ids_of_taste(1)) >= 6
        assert [part.part for part in answer.degraded] == []


async def test_filters_and_exclusions_hold(server: Any) -> None:
    first = await server.recommender.Recommend(pb.RecommendRequest(subject=user("u00"), limit=5))
    shown = [track.track_id for track in first.tracks]
    answer = await server.recommender.Recommend(
        pb.RecommendRequest(
            subject=user("u00"),
            limit=5,
            exclude=pb.Exclusion(track_ids=[*shown, "unheard of"]),
            filter=pb.TrackFilter(genres=["jazz"]),
        )
    )
    recommended = [track.track_id for track in answer.tracks]
    assert len(recommended) == 5
    assert not set(recommended) & set(shown)
    assert all(int(track_id[1:]) % 4 == 1 for track_id in recommended)


async def test_unknown_seed_tracks_are_named(server: Any, details: Details) -> None:
    subject = pb.Subject(seed_tracks=pb.SeedTracks(track_ids=["t001", "nope", "neither"]))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.Recommend(pb.RecommendRequest(subject=subject, limit=5))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    infos = details(caught.value, error_details_pb2.ResourceInfo)
    assert [(info.resource_type, info.resource_name) for info in infos] == [("track", "nope"), ("track", "neither")]


async def test_wrong_fields_are_named(server: Any, details: Details) -> None:
    request = pb.RecommendRequest(limit=10_000, objectives=pb.Objectives(novelty=float("nan")))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.Recommend(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    assert {violation.field for violation in bad.field_violations} == {"subject", "limit", "objectives.novelty"}


async def test_candidates_of_the_caller_all_come_back(server: Any, repository: Any) -> None:
    heard = str(repository.tracks.ids[repository.history("u02")[0]])
    candidates = ["t000", "t001", "t002", "t003", heard]
    answer = await server.recommender.RankTracks(
        pb.RankTracksRequest(subject=user("u02"), track_ids=dict.fromkeys(candidates), explain=True)
    )
    assert {track.track_id for track in answer.tracks} == set(candidates)
    assert answer.tracks[0].track_id in repository.ids_of_taste(2)
    scores = [track.score for track in answer.tracks]
    assert scores == sorted(scores, reverse=True)


async def test_unknown_candidates_are_named(server: Any, details: Details) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.RankTracks(pb.RankTracksRequest(subject=user("u00"), track_ids=["t000", "nope"]))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    (info,) = details(caught.value, error_details_pb2.ResourceInfo)
    assert info.resource_name == "nope"


async def test_similar_to_a_track_to_features_and_to_a_vector(server: Any, repository: Any) -> None:
    by_track = await server.recommender.SimilarTracks(pb.SimilarTracksRequest(track_id="t010", limit=5))
    assert "t010" not in {track.track_id for track in by_track.tracks}
    assert {track.track_id for track in by_track.tracks} <= repository.ids_of_taste(2)
    similarities = [track.similarity for track in by_track.tracks]
    assert similarities == sorted(similarities, reverse=True)
    assert similarities[0] <= 1.0 + 1e-5

    (record,) = (await server.catalog.GetTracks(catalog_service_pb2.GetTracksRequest(track_ids=["t010"]))).tracks
    features = track_pb2.Track(tags=record.tags, artist=record.artist, audio_features=record.audio_features)
    by_features = await server.recommender.SimilarTracks(pb.SimilarTracksRequest(features=features, limit=5))
    assert by_features.tracks[0].track_id == "t010"

    vector = pb.FeatureVector(values=[1.0] + [0.0] * 15)
    by_vector = await server.recommender.SimilarTracks(pb.SimilarTracksRequest(vector=vector, limit=5))
    assert len(by_vector.tracks) == 5


async def test_a_vector_of_another_dimension_is_refused(server: Any, details: Details) -> None:
    request = pb.SimilarTracksRequest(vector=pb.FeatureVector(values=[1.0, 2.0]), limit=5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.SimilarTracks(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["vector.values"]


async def test_an_unknown_track_has_no_similar_ones(server: Any, details: Details) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.SimilarTracks(pb.SimilarTracksRequest(track_id="nope", limit=5))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    (info,) = details(caught.value, error_details_pb2.ResourceInfo)
    assert info.resource_name == "nope"


async def test_the_next_list_reflects_feedback(server: Any, repository: Any) -> None:
    request = pb.RecommendRequest(subject=user("newcomer"), limit=10)
    before = await server.recommender.Recommend(request)
    assert [part.part for part in before.degraded] == ["user"]
    played = sorted(repository.ids_of_taste(3))[:6]
    answer = await server.feedback.RecordFeedback(
        feedback_service_pb2.RecordFeedbackRequest(
            events=[
                feedback_service_pb2.FeedbackEvent(
                    event_id=f"e-{track_id}",
                    user_id="newcomer",
                    track_id=track_id,
                    type=feedback_service_pb2.EVENT_TYPE_COMPLETE,
                    recommendation_id=before.recommendation_id,
                )
                for track_id in played
            ]
        )
    )
    assert {result.status for result in answer.results} == {feedback_service_pb2.FEEDBACK_STATUS_ACCEPTED}
    after = await server.recommender.Recommend(request)
    recommended = {track.track_id for track in after.tracks}
    assert list(after.degraded) == []
    assert not recommended & set(played)
    assert len(recommended & repository.ids_of_taste(3)) >= 8


async def test_a_passed_deadline_is_an_error_and_the_server_goes_on(server: Any) -> None:
    request = pb.RecommendRequest(subject=user("u00"), limit=5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.Recommend(request, timeout=0.0)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len((await server.recommender.Recommend(request, timeout=30.0)).tracks) == 5
