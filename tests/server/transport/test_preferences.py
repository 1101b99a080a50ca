"""Preferences and deletion over loopback: good input, every bad field, and a restart."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2

from audotics.v1 import feedback_service_pb2 as pb
from audotics.v1 import recommender_service_pb2 as recommender_pb
from audotics.v1 import track_pb2

FULL = pb.Preferences(
    liked_genres=["jazz"],
    liked_artists=["Artist 01"],
    liked_moods=[track_pb2.MOOD_CHILL],
    blocked_tracks=["t001", "unknown"],
    blocked_artists=["Artist 02"],
)


async def test_what_was_said_survives_a_restart_and_holds_in_lists(
    start: Callable[..., AbstractAsyncContextManager[Any]], repository: Any
) -> None:
    async with start(repository.path) as server:
        request = pb.UpdatePreferencesRequest(user_id="new", preferences=FULL)
        assert (await server.feedback.UpdatePreferences(request)).preferences == FULL
    async with start(repository.path) as server:
        stored = await server.feedback.GetPreferences(pb.GetPreferencesRequest(user_id="new"))
        assert stored.preferences == FULL
        subject = recommender_pb.Subject(user_id="new")
        answer = await server.recommender.Recommend(recommender_pb.RecommendRequest(subject=subject, limit=150))
    assert len(answer.tracks) == 150
    assert not {"t001"} & {track.track_id for track in answer.tracks}
    assert "Artist 02" not in {track.artist for track in answer.tracks}
    assert not answer.degraded


async def test_a_liked_mood_is_the_context_of_requests_without_one(server: Any) -> None:
    async def tracks(**context: Any) -> list[str]:
        subject = recommender_pb.Subject(user_id="new")
        request = recommender_pb.RecommendRequest(subject=subject, limit=20, **context)
        return [track.track_id for track in (await server.recommender.Recommend(request)).tracks]

    chill = recommender_pb.RequestContext(mood=track_pb2.MOOD_CHILL)
    party = recommender_pb.RequestContext(mood=track_pb2.MOOD_PARTY)
    plain, asked_chill, asked_party = await tracks(), await tracks(context=chill), await tracks(context=party)
    assert plain != asked_chill != asked_party
    liked = pb.Preferences(liked_moods=[track_pb2.MOOD_CHILL])
    await server.feedback.UpdatePreferences(pb.UpdatePreferencesRequest(user_id="new", preferences=liked))

    assert await tracks() == asked_chill
    assert await tracks(context=party) == asked_party


async def test_a_mask_names_what_is_replaced(server: Any) -> None:
    await server.feedback.UpdatePreferences(pb.UpdatePreferencesRequest(user_id="new", preferences=FULL))
    changed = pb.UpdatePreferencesRequest(
        user_id="new",
        preferences=pb.Preferences(liked_genres=["Rock ", "rock"]),
        update_mask=FieldMask(paths=["liked_genres", "blocked_tracks"]),
    )
    answer = await server.feedback.UpdatePreferences(changed)
    assert list(answer.preferences.liked_genres) == ["rock"]
    assert list(answer.preferences.blocked_tracks) == []
    assert answer.preferences.liked_moods == FULL.liked_moods


async def test_a_stranger_has_said_nothing(server: Any) -> None:
    answer = await server.feedback.GetPreferences(pb.GetPreferencesRequest(user_id="nobody"))
    assert answer.preferences == pb.Preferences()


async def test_every_wrong_field_is_named(server: Any, details: Callable[..., list[Any]]) -> None:
    wrong = pb.UpdatePreferencesRequest(
        preferences=pb.Preferences(
            liked_genres=["rock", "polka"],
            liked_artists=[" "],
            liked_moods=[track_pb2.MOOD_CHILL, 99],
            blocked_tracks=[""],
            blocked_artists=["x"] * 1001,
        ),
        update_mask=FieldMask(paths=["liked_genres", "mood"]),
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.feedback.UpdatePreferences(wrong)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    assert {violation.field for violation in bad.field_violations} == {
        "user_id",
        "preferences.liked_genres[1]",
        "preferences.liked_artists[0]",
        "preferences.liked_moods[1]",
        "preferences.blocked_tracks[0]",
        "preferences.blocked_artists",
        "update_mask.paths[1]",
    }


@pytest.mark.parametrize("method", ["GetPreferences", "DeleteUser"])
async def test_a_listener_needs_an_id(server: Any, method: str) -> None:
    request = {"GetPreferences": pb.GetPreferencesRequest, "DeleteUser": pb.DeleteUserRequest}[method]()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(server.feedback, method)(request)
    assert caught.value.details() == "user_id: has 0 characters; send 1 to 256"


async def test_a_deleted_listener_stays_deleted_after_a_restart(
    start: Callable[..., AbstractAsyncContextManager[Any]], repository: Any
) -> None:
    """u00 is in the training histories, which the repository still holds."""
    request = recommender_pb.RecommendRequest(subject=recommender_pb.Subject(user_id="u00"), limit=10)
    event = pb.FeedbackEvent(event_id="e1", user_id="u00", track_id="t001", type=pb.EVENT_TYPE_PLAY)
    async with start(repository.path) as server:
        await server.feedback.RecordFeedback(pb.RecordFeedbackRequest(events=[event]))
        await server.feedback.UpdatePreferences(pb.UpdatePreferencesRequest(user_id="u00", preferences=FULL))
        assert not (await server.recommender.Recommend(request)).degraded
        answer = await server.feedback.DeleteUser(pb.DeleteUserRequest(user_id="u00"))
        assert (answer.deleted_events, answer.deleted_preferences, answer.remaining) == (1, 1, 0)
        assert (answer.dropped_lists, answer.masked_history_tracks) == (1, 12)
    async with start(repository.path) as server:
        (degraded,) = (await server.recommender.Recommend(request)).degraded
        assert degraded.reason == recommender_pb.DEGRADATION_REASON_UNKNOWN_USER
        again = await server.feedback.RecordFeedback(pb.RecordFeedbackRequest(events=[event]))
        assert again.results[0].status == pb.FEEDBACK_STATUS_ACCEPTED
        assert not (await server.recommender.Recommend(request)).degraded
