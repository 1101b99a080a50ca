"""Preferences and deletion: what both clients send, and what they make of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from audotics.client import DeletedUser, ListenerFeatures, Mood, Preferences
from audotics.v1 import feedback_service_pb2 as pb
from audotics.v1 import track_pb2


def test_what_is_given_is_replaced_and_named_in_the_mask(client: Any, server: Any) -> None:
    stored = pb.Preferences(liked_genres=["rock"], liked_moods=[track_pb2.MOOD_CHILL], blocked_artists=["x"])
    server.script("UpdatePreferences", pb.UpdatePreferencesResponse(preferences=stored))
    answer = client.update_preferences("u", liked_moods=[Mood.CHILL, "party"], blocked_tracks=[])
    assert answer == Preferences(liked_genres=("rock",), liked_moods=("chill",), blocked_artists=("x",))
    (request,) = server.requests
    assert request == pb.UpdatePreferencesRequest(
        user_id="u",
        preferences=pb.Preferences(liked_moods=[track_pb2.MOOD_CHILL, track_pb2.MOOD_PARTY]),
        update_mask={"paths": ["liked_moods", "blocked_tracks"]},
    )


def test_get_preferences(client: Any, server: Any) -> None:
    server.script("GetPreferences", pb.GetPreferencesResponse(preferences=pb.Preferences(blocked_tracks=["t1"])))
    assert client.get_preferences("u") == Preferences(blocked_tracks=("t1",))
    assert server.requests == [pb.GetPreferencesRequest(user_id="u")]


def test_get_listener_features(client: Any, server: Any) -> None:
    answer = pb.GetListenerFeaturesResponse(
        recent_track_ids=["b", "a"],
        seen_track_ids=["a", "b", "c"],
        history_length=2,
        genre_shares={"rock": 0.75, "jazz": 0.25},
        artists=[pb.ArtistShare(artist="A", share=0.5)],
        hour_shares=[1.0, *[0.0] * 23],
        weekday_shares=[1.0, *[0.0] * 6],
        audio_means={"energy": 0.5},
        preference_vector=[0.5, -0.5],
    )
    server.script("GetListenerFeatures", answer)
    assert client.get_listener_features("u") == ListenerFeatures(
        recent_track_ids=("b", "a"),
        seen_track_ids=frozenset("abc"),
        history_length=2,
        genre_shares={"rock": 0.75, "jazz": 0.25},
        artists=(("A", 0.5),),
        hour_shares=(1.0, *[0.0] * 23),
        weekday_shares=(1.0, *[0.0] * 6),
        audio_means={"energy": 0.5},
        preference_vector=(0.5, -0.5),
    )
    assert server.requests == [pb.GetListenerFeaturesRequest(user_id="u")]


def test_delete_user(client: Any, server: Any) -> None:
    answer = pb.DeleteUserResponse(
        deleted_events=1,
        deleted_receipts=2,
        deleted_preferences=3,
        dropped_lists=4,
        masked_history_tracks=5,
        remaining=6,
        deleted_memberships=7,
        deleted_votes=8,
        deleted_session_entries=9,
    )
    server.script("DeleteUser", answer)
    assert client.delete_user("u") == DeletedUser(1, 2, 3, 4, 5, 6, 7, 8, 9)
    assert server.requests == [pb.DeleteUserRequest(user_id="u")]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "give at least one preference"),
        ({"liked_moods": ["angry"]}, ValueError, "liked_moods must be one of energetic"),
        ({"liked_artists": "Björk"}, TypeError, "liked_artists takes several strings"),
    ],
)
def test_a_mistake_of_the_caller_is_raised_before_anything_is_sent(
    client: Any, server: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        client.update_preferences("u", **arguments)
    assert server.requests == []
