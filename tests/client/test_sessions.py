"""What both clients send about sessions and tastes, and what they make of the answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import grpc
import pytest

from audotics.client import (
    AudioTrait,
    Compatibility,
    FeedbackEvent,
    GroupMember,
    GroupStrategy,
    ListeningPattern,
    Session,
    SessionMember,
    SessionPlay,
    TasteAnalysis,
    TasteFactor,
    TasteTrend,
    TrackVotes,
    UnavailableError,
    Vote,
)
from audotics.v1 import group_service_pb2 as pb
from audotics.v1 import recommender_service_pb2 as recommender_pb

MOMENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
SECONDS = {"seconds": 1_700_000_000}
MESSAGE = pb.Session(
    name="sessions/s",
    strategy=recommender_pb.GROUP_STRATEGY_FAIRNESS,
    fairness_floor=0.25,
    members=[pb.SessionMember(user_id="a", weight=2.0, joined_at=SECONDS)],
    now_playing="t2",
    votes=[pb.TrackVotes(track_id="t3", up_count=2, down_count=1)],
    plays=[pb.SessionPlay(track_id="t1", started_at=SECONDS, skipped=True)],
    created_at=SECONDS,
)
SESSION = Session(
    name="sessions/s",
    strategy=GroupStrategy.FAIRNESS,
    fairness_floor=0.25,
    members=(SessionMember("a", 2.0, MOMENT),),
    now_playing="t2",
    votes=(TrackVotes("t3", 2, 1),),
    plays=(SessionPlay("t1", MOMENT, True),),
    created_at=MOMENT,
    ended_at=None,
)
CALLS = {
    "CreateSession": (
        lambda client: client.create_session(
            ["a", GroupMember("b", 0.5)], session_id="s", strategy="fairness", fairness_floor=0.25
        ),
        pb.CreateSessionRequest(
            session_id="s",
            members=[{"user_id": "a"}, {"user_id": "b", "weight": 0.5}],
            strategy=recommender_pb.GROUP_STRATEGY_FAIRNESS,
            fairness_floor=0.25,
        ),
    ),
    "GetSession": (lambda client: client.get_session("sessions/s"), pb.GetSessionRequest(name="sessions/s")),
    "JoinSession": (
        lambda client: client.join_session("sessions/s", GroupMember("b", 0.0)),
        pb.JoinSessionRequest(name="sessions/s", member={"user_id": "b", "weight": 0.0}),
    ),
    "LeaveSession": (
        lambda client: client.leave_session("sessions/s", "b"),
        pb.LeaveSessionRequest(name="sessions/s", user_id="b"),
    ),
    "VoteTrack": (
        lambda client: client.vote_track("sessions/s", "b", "t1", Vote.WITHDRAWN),
        pb.VoteTrackRequest(name="sessions/s", user_id="b", track_id="t1", vote=pb.VOTE_WITHDRAWN),
    ),
    "SetNowPlaying": (
        lambda client: client.set_now_playing("sessions/s", "t1"),
        pb.SetNowPlayingRequest(name="sessions/s", track_id="t1"),
    ),
    "SkipTrack": (
        lambda client: client.skip_track("sessions/s", "t1"),
        pb.SkipTrackRequest(name="sessions/s", track_id="t1"),
    ),
    "EndSession": (lambda client: client.end_session("sessions/s"), pb.EndSessionRequest(name="sessions/s")),
}


@pytest.mark.parametrize("method", CALLS)
def test_every_call_answers_with_the_session(client: Any, server: Any, method: str) -> None:
    call, request = CALLS[method]
    server.script(method, getattr(pb, f"{method}Response")(session=MESSAGE))
    assert call(client) == SESSION
    assert server.requests == [request]


def test_only_the_opening_of_a_session_is_not_retried(client: Any, server: Any, failure: Any) -> None:
    for method in ("CreateSession", "SkipTrack"):
        server.script(method, failure(grpc.StatusCode.UNAVAILABLE), getattr(pb, f"{method}Response")(session=MESSAGE))
    with pytest.raises(UnavailableError):
        client.create_session()
    assert client.skip_track("sessions/s", "t1") == SESSION


def test_a_session_has_ended(client: Any, server: Any) -> None:
    ended = pb.Session(ended_at=SECONDS, created_at=SECONDS)
    server.script("EndSession", pb.EndSessionResponse(session=ended))
    assert client.end_session("sessions/s").ended_at == MOMENT


def test_a_list_of_a_session(client: Any, server: Any) -> None:
    client.recommend_group(session="sessions/s", limit=5)
    assert server.requests == [recommender_pb.RecommendGroupRequest(session="sessions/s", limit=5)]
    for arguments in ({}, {"members": ["a"], "session": "sessions/s"}):
        with pytest.raises(ValueError, match="give exactly one of members, session"):
            client.recommend_group(**arguments)


def test_score_compatibility(client: Any, server: Any) -> None:
    factor = recommender_pb.TasteFactor(
        kind=recommender_pb.TASTE_FACTOR_KIND_GENRE, name="jazz", values=[0.5, 0.25], sentence="Jazz"
    )
    server.script(
        "ScoreCompatibility",
        recommender_pb.ScoreCompatibilityResponse(
            rows=[{"user_id": "a", "scores": [1.0, 0.5]}, {"user_id": "b", "scores": [0.5, 1.0]}],
            group_score=0.5,
            facets=[{"name": "genres", "score": 0.75}],
            shared=[factor],
            dividing=[recommender_pb.TasteFactor(kind=99, name="new")],
        ),
    )
    assert client.score_compatibility(["a", "b"], model_versions={"group": 2}) == Compatibility(
        user_ids=("a", "b"),
        matrix=((1.0, 0.5), (0.5, 1.0)),
        group_score=0.5,
        facets={"genres": 0.75},
        shared=(TasteFactor("genre", "jazz", (0.5, 0.25), "Jazz"),),
        dividing=(TasteFactor("unknown", "new", (), ""),),
        model_versions=(),
        degraded=(),
    )
    assert server.requests == [
        recommender_pb.ScoreCompatibilityRequest(
            user_ids=["a", "b"], models={"versions": [{"model": "group", "version": 2}]}
        )
    ]


def test_analyze_taste(client: Any, server: Any) -> None:
    server.script(
        "AnalyzeTaste",
        recommender_pb.AnalyzeTasteResponse(
            user_id="a",
            track_count=3,
            genres=[{"name": "jazz", "share": 0.75}, {"name": "pop", "share": 0.25}],
            genre_diversity=0.5,
            audio=[
                {"feature": "energy", "mean": 0.5, "standard_deviation": 0.25, "catalog_mean": 0.75, "deviation": -1}
            ],
            pattern={"event_count": 2, "local_event_count": 1, "hours": [2] + [0] * 23, "weekdays": [0] * 6 + [2]},
            trends=[{"kind": 2, "name": "chill", "earlier_share": 0.5, "recent_share": 0.25}],
            insights=["so"],
        ),
    )
    assert client.analyze_taste("a") == TasteAnalysis(
        user_id="a",
        track_count=3,
        genres={"jazz": 0.75, "pop": 0.25},
        moods={},
        artists={},
        genre_diversity=0.5,
        mood_diversity=None,
        audio=(AudioTrait("energy", 0.5, 0.25, 0.75, -1.0),),
        pattern=ListeningPattern(2, 1, (2,) + (0,) * 23, (0,) * 6 + (2,)),
        trends=(TasteTrend("mood", "chill", 0.5, 0.25),),
        insights=("so",),
        degraded=(),
    )
    assert server.requests == [recommender_pb.AnalyzeTasteRequest(user_id="a")]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2023, 1, 1, tzinfo=timezone(timedelta(hours=-9.5))), -570),
        (datetime(2023, 1, 1, tzinfo=timezone(timedelta(0), "Lisbon")), 0),
        (datetime(2023, 1, 1, tzinfo=UTC), None),
        (None, None),
    ],
)
def test_local_time_goes_with_an_event_where_it_is_known(
    client: Any, server: Any, moment: datetime | None, expected: int | None
) -> None:
    client.record_feedback([FeedbackEvent("u", "t", "play", occurred_at=moment)])
    (event,) = server.requests[0].events
    assert (event.utc_offset_minutes if event.HasField("utc_offset_minutes") else None) == expected
