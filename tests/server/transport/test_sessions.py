"""Sessions of groups over a real channel: what members do, what it does to their list, and a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from audotics.v1 import feedback_service_pb2
from audotics.v1 import group_service_pb2 as pb
from audotics.v1 import recommender_service_pb2 as recommender_pb
from tests.server.group_bundles import write_group_model

Details = Callable[..., list[Any]]
NAME = "sessions/party"


async def open_session(server: Any, *user_ids: str, session_id: str = "party", **fields: Any) -> Any:
    members = [recommender_pb.GroupMember(user_id=user_id) for user_id in user_ids]
    request = pb.CreateSessionRequest(session_id=session_id, members=members, **fields)
    return (await server.groups.CreateSession(request)).session


async def vote(server: Any, user_id: str, track_id: str, cast: int) -> Any:
    request = pb.VoteTrackRequest(name=NAME, user_id=user_id, track_id=track_id, vote=cast)
    return (await server.groups.VoteTrack(request)).session


async def play(server: Any, track_id: str) -> Any:
    return (await server.groups.SetNowPlaying(pb.SetNowPlayingRequest(name=NAME, track_id=track_id))).session


async def skip(server: Any, track_id: str) -> Any:
    return (await server.groups.SkipTrack(pb.SkipTrackRequest(name=NAME, track_id=track_id))).session


async def get(server: Any, name: str = NAME) -> Any:
    return (await server.groups.GetSession(pb.GetSessionRequest(name=name))).session


async def listed(server: Any, limit: int = 12, **fields: Any) -> Any:
    request = recommender_pb.RecommendGroupRequest(session=NAME, limit=limit, diversity=0.0, **fields)
    return await server.recommender.RecommendGroup(request)


def ids(answer: Any) -> list[str]:
    return [track.track_id for track in answer.tracks]


async def test_a_session_survives_a_restart(start: Any, repository: Any) -> None:
    async with start(repository.path) as server:
        made = await open_session(
            server, "u00", "u01", strategy=recommender_pb.GROUP_STRATEGY_FAIRNESS, fairness_floor=0.25
        )
        assert (made.name, made.strategy, made.fairness_floor) == (NAME, 4, 0.25)
        assert [member.user_id for member in made.members] == ["u00", "u01"]
        await vote(server, "u00", "t100", pb.VOTE_UP)
        await vote(server, "u01", "t100", pb.VOTE_DOWN)
        await play(server, "t004")
        before = await skip(server, "t004")
        before = await play(server, "t008")
        list_before = await listed(server)
    async with start(repository.path) as server:
        after = await get(server)
        assert after == before
        assert [(votes.track_id, votes.up_count, votes.down_count) for votes in after.votes] == [("t100", 1, 1)]
        assert [(item.track_id, item.skipped) for item in after.plays] == [("t004", True), ("t008", False)]
        assert after.now_playing == "t008"
        list_after = await listed(server)
    assert ids(list_after) == ids(list_before)
    assert list_after.strategy == recommender_pb.GROUP_STRATEGY_FAIRNESS
    assert not {"t004", "t008"} & set(ids(list_after))


async def test_members_join_change_and_leave(server: Any) -> None:
    session = await open_session(server, session_id="")
    name = session.name
    assert name.startswith("sessions/")
    joined = (await server.groups.JoinSession(pb.JoinSessionRequest(name=name, member={"user_id": "u00"}))).session
    assert [(member.user_id, member.weight) for member in joined.members] == [("u00", 1.0)]
    member = {"user_id": "u00", "weight": 3.0}
    changed = (await server.groups.JoinSession(pb.JoinSessionRequest(name=name, member=member))).session
    assert [(member.user_id, member.weight) for member in changed.members] == [("u00", 3.0)]
    for _ in range(2):
        left = (await server.groups.LeaveSession(pb.LeaveSessionRequest(name=name, user_id="u00"))).session
        assert list(left.members) == []


async def test_votes_decide_what_comes(server: Any, repository: Any) -> None:
    await open_session(server, "u00", "u04", "u08")
    first = ids(await listed(server))
    likely = ids(await listed(server, 100))
    unlikely = next(track_id for track_id in sorted(repository.ids_of_taste(2)) if track_id not in likely)
    for user_id in ("u00", "u04", "u08"):
        await vote(server, user_id, unlikely, pb.VOTE_UP)
    await vote(server, "u00", first[0], pb.VOTE_DOWN)
    voted = await listed(server, explain=True)
    assert voted.tracks[0].track_id == unlikely
    assert list(voted.tracks[0].worth) == [1.0, 1.0, 1.0]
    assert first[0] not in ids(await listed(server, 100))
    await vote(server, "u04", first[0], pb.VOTE_UP)
    await vote(server, "u08", first[0], pb.VOTE_UP)
    assert first[0] in ids(await listed(server, 100))
    for user_id in ("u00", "u04", "u08"):
        await vote(server, user_id, unlikely, pb.VOTE_WITHDRAWN)
    assert unlikely not in ids(await listed(server))


async def test_a_vote_does_not_pass_a_filter(server: Any) -> None:
    await open_session(server, "u00")
    await vote(server, "u00", "t102", pb.VOTE_UP)  # of taste 2
    assert "t102" in ids(await listed(server))
    rock = recommender_pb.TrackFilter(genres=["rock"])
    assert "t102" not in ids(await listed(server, filter=rock))
    excluded = recommender_pb.Exclusion(track_ids=["t102"])
    assert "t102" not in ids(await listed(server, exclude=excluded))


async def test_a_member_votes_on_so_many_tracks_at_a_time(server: Any, details: Details) -> None:
    await open_session(server, "u00", "u04")
    for number in range(100):
        await vote(server, "u00", f"t{number:03d}", pb.VOTE_UP)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await vote(server, "u00", "t100", pb.VOTE_DOWN)
    (violation,) = details(caught.value, error_details_pb2.BadRequest)[0].field_violations
    assert (violation.field, "100 that a member may vote on" in violation.description) == ("track_id", True)
    await vote(server, "u00", "t000", pb.VOTE_DOWN)  # another vote on a track that they voted on
    await vote(server, "u04", "t100", pb.VOTE_UP)
    await vote(server, "u00", "t000", pb.VOTE_WITHDRAWN)
    await vote(server, "u00", "t100", pb.VOTE_UP)


async def test_a_track_that_has_played_takes_no_votes(server: Any, details: Details) -> None:
    await open_session(server, "u00")
    await vote(server, "u00", "t004", pb.VOTE_UP)
    await play(server, "t004")
    for state in ("plays", "has played"):
        for direction in (pb.VOTE_UP, pb.VOTE_DOWN):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await vote(server, "u00", "t004", direction)
            (violation,) = details(caught.value, error_details_pb2.BadRequest)[0].field_violations
            assert violation.field == "track_id"
            assert violation.description == f"'t004' {state} in {NAME} and does not come again; vote on another"
        await play(server, "t008")
    await vote(server, "u00", "t004", pb.VOTE_WITHDRAWN)
    session = (await server.groups.GetSession(pb.GetSessionRequest(name=NAME))).session
    assert list(session.votes) == []
    await vote(server, "u00", "t000", pb.VOTE_UP)


async def test_what_was_played_moves_the_list_and_never_comes_again(server: Any, repository: Any) -> None:
    """Two strangers who let tracks of one taste play get more of it, and those who skip them do not."""
    await open_session(server, "new1", "new2")
    played = sorted(repository.ids_of_taste(3))[:6]
    for track_id in played:
        await play(server, track_id)
    heard = ids(await listed(server, include_heard=True))
    assert not set(heard) & set(played)
    assert len(set(heard) & repository.ids_of_taste(3)) >= 8
    await open_session(server, "new1", "new2", session_id="other")
    for track_id in played:
        await server.groups.SetNowPlaying(pb.SetNowPlayingRequest(name="sessions/other", track_id=track_id))
        await server.groups.SkipTrack(pb.SkipTrackRequest(name="sessions/other", track_id=track_id))
    request = recommender_pb.RecommendGroupRequest(session="sessions/other", limit=12, diversity=0.0)
    skipped = ids(await server.recommender.RecommendGroup(request))
    assert not set(skipped) & set(played)
    assert len(set(skipped) & repository.ids_of_taste(3)) < 8


async def test_the_history_of_a_session_feeds_the_group_model(start: Any, repository: Any) -> None:
    write_group_model(repository)
    strategy = recommender_pb.GROUP_STRATEGY_LEARNED_ATTENTION
    async with start(repository.path) as server:
        await open_session(server, "u00", "u01", strategy=strategy)
        for track_id in ("t001", "t005"):  # of the taste of u01
            await play(server, track_id)
            await skip(server, track_id)
        answer = await listed(server)
        tastes = {int(track_id[1:]) % 4 for track_id in ids(answer)}
        assert answer.strategy == strategy
        assert tastes == {0}


async def test_saying_it_twice_changes_nothing(server: Any) -> None:
    await open_session(server, "u00")
    await play(server, "t004")
    assert len((await play(server, "t004")).plays) == 1
    first = await skip(server, "t004")
    assert await skip(server, "t004") == first
    assert first.now_playing == ""
    assert (await play(server, "")).now_playing == ""
    ended = (await server.groups.EndSession(pb.EndSessionRequest(name=NAME))).session
    assert ended.ended_at.seconds > 0
    assert (await server.groups.EndSession(pb.EndSessionRequest(name=NAME))).session == ended


async def test_a_deleted_listener_is_in_no_session(server: Any) -> None:
    await open_session(server, "u00", "u01")
    await vote(server, "u00", "t100", pb.VOTE_UP)
    answer = await server.feedback.DeleteUser(feedback_service_pb2.DeleteUserRequest(user_id="u00"))
    assert (answer.deleted_memberships, answer.deleted_votes, answer.deleted_session_entries) == (1, 1, 2)
    assert answer.remaining == 0
    session = await get(server)
    assert [member.user_id for member in session.members] == ["u01"]
    assert list(session.votes) == []


@pytest.mark.parametrize(
    ("method", "request_", "fields"),
    [
        ("CreateSession", pb.CreateSessionRequest(session_id="A B"), {"session_id"}),
        ("CreateSession", pb.CreateSessionRequest(session_id="party"), {"session_id"}),
        ("CreateSession", pb.CreateSessionRequest(strategy=9, fairness_floor=2), {"strategy", "fairness_floor"}),
        (
            "CreateSession",
            pb.CreateSessionRequest(members=[{"user_id": "a"}, {"user_id": "a"}, {"user_id": "b", "weight": -1}]),
            {"members[1].user_id", "members[2].weight"},
        ),
        ("GetSession", pb.GetSessionRequest(name="party"), {"name"}),
        ("JoinSession", pb.JoinSessionRequest(name=NAME), {"member.user_id"}),
        ("JoinSession", pb.JoinSessionRequest(name="sessions/ended", member={"user_id": "a"}), {"name"}),
        ("LeaveSession", pb.LeaveSessionRequest(name=NAME), {"user_id"}),
        ("VoteTrack", pb.VoteTrackRequest(name=NAME, user_id="u00", track_id="t001"), {"vote"}),
        ("VoteTrack", pb.VoteTrackRequest(), {"name", "user_id", "track_id", "vote"}),
        ("VoteTrack", pb.VoteTrackRequest(name=NAME, user_id="u09", track_id="t001", vote=1), {"user_id"}),
        ("SetNowPlaying", pb.SetNowPlayingRequest(name="sessions/", track_id="t001"), {"name"}),
        ("SkipTrack", pb.SkipTrackRequest(name=NAME, track_id="t001"), {"track_id"}),
    ],
)
async def test_wrong_fields_are_named(
    server: Any, details: Details, method: str, request_: Any, fields: set[str]
) -> None:
    await open_session(server, "u00")
    await open_session(server, "u00", session_id="ended")
    await server.groups.EndSession(pb.EndSessionRequest(name="sessions/ended"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(server.groups, method)(request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    assert {violation.field for violation in bad.field_violations} == fields


async def test_what_is_not_there_is_named(server: Any, details: Details) -> None:
    await open_session(server, "u00")
    for request, resource in (
        (server.groups.GetSession(pb.GetSessionRequest(name="sessions/none")), "sessions/none"),
        (server.groups.SetNowPlaying(pb.SetNowPlayingRequest(name=NAME, track_id="nope")), "nope"),
        (server.groups.VoteTrack(pb.VoteTrackRequest(name=NAME, user_id="u00", track_id="nope", vote=1)), "nope"),
        (
            server.recommender.RecommendGroup(recommender_pb.RecommendGroupRequest(session="sessions/none", limit=5)),
            "sessions/none",
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await request
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        (info,) = details(caught.value, error_details_pb2.ResourceInfo)
        assert info.resource_name == resource


async def test_a_list_needs_one_of_members_and_a_session_that_has_some(server: Any, details: Details) -> None:
    await open_session(server)
    for request in (
        recommender_pb.RecommendGroupRequest(session=NAME, limit=5),
        recommender_pb.RecommendGroupRequest(session=NAME, members=[{"user_id": "u00"}], limit=5),
        recommender_pb.RecommendGroupRequest(session="nonsense", limit=5),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.recommender.RecommendGroup(request)
        (bad,) = details(caught.value, error_details_pb2.BadRequest)
        assert [violation.field for violation in bad.field_violations] == ["session"]
