"""`WatchRecommendations` over a real channel: what brings a new list, what does not, and how a stream ends."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import grpc
import pytest
from sqlalchemy import select

from audotics.server.errors import NotReadyError, OverloadedError
from audotics.server.services.changes import Changes
from audotics.server.storage.database import Database
from audotics.server.storage.schema import EXPOSURES, RECEIPTS
from audotics.v1 import experiment_service_pb2, feedback_service_pb2, recommender_service_pb2_grpc
from audotics.v1 import group_service_pb2 as group_pb
from audotics.v1 import recommender_service_pb2 as pb

PATIENCE_S = 30.0


def watch_user(server: Any, user_id: str, **fields: Any) -> Any:
    request = pb.RecommendRequest(subject=pb.Subject(user_id=user_id), limit=10, **fields)
    return server.recommender.WatchRecommendations(pb.WatchRecommendationsRequest(recommend=request))


async def following(stream: Any) -> Any:
    return await asyncio.wait_for(stream.read(), PATIENCE_S)


async def feed(server: Any, user_id: str, track_id: str, type_: int = feedback_service_pb2.EVENT_TYPE_LIKE) -> None:
    event = feedback_service_pb2.FeedbackEvent(
        event_id=f"{user_id}-{track_id}-{type_}", user_id=user_id, track_id=track_id, type=type_
    )
    await server.feedback.RecordFeedback(feedback_service_pb2.RecordFeedbackRequest(events=[event]))


def ids(response: Any) -> list[str]:
    return [track.track_id for track in response.recommendation.tracks]


async def test_feedback_brings_a_new_list(server: Any) -> None:
    stream = watch_user(server, "u00")
    first = ids(await following(stream))
    assert len(first) == 10
    await feed(server, "u00", first[0])
    second = ids(await following(stream))
    assert first[0] not in second
    blocked = feedback_service_pb2.Preferences(blocked_tracks=[second[0]])
    await server.feedback.UpdatePreferences(
        feedback_service_pb2.UpdatePreferencesRequest(user_id="u00", preferences=blocked)
    )
    assert second[0] not in ids(await following(stream))
    stream.cancel()


async def test_what_changes_nothing_brings_nothing(server: Any) -> None:
    """Others' feedback, and impressions of the listener's own; then something that does."""
    stream = watch_user(server, "u00")
    first = ids(await following(stream))
    await feed(server, "u04", first[0])
    await feed(server, "u00", first[0], feedback_service_pb2.EVENT_TYPE_IMPRESSION)
    await feed(server, "u00", first[1])
    second = ids(await following(stream))
    assert first[1] not in second
    assert second != first
    stream.cancel()


async def test_who_reads_late_gets_the_latest_and_not_every_list(server: Any) -> None:
    stream = watch_user(server, "u00")
    first = ids(await following(stream))
    for track_id in first:
        await feed(server, "u00", track_id)
    seen: set[str] = set(first)
    latest = first
    lists = 0
    while seen & set(latest):
        latest = ids(await following(stream))
        lists += 1
    assert lists <= len(first)
    stream.cancel()


async def test_a_session_is_followed(server: Any) -> None:
    members = [pb.GroupMember(user_id="u00"), pb.GroupMember(user_id="u04")]
    await server.groups.CreateSession(group_pb.CreateSessionRequest(session_id="s", members=members))
    name = "sessions/s"
    request = pb.RecommendGroupRequest(session=name, limit=10, diversity=0.0)
    stream = server.recommender.WatchRecommendations(pb.WatchRecommendationsRequest(recommend_group=request))

    async def tracks() -> list[str]:
        return [track.track_id for track in (await following(stream)).group_recommendation.tracks]

    first = await tracks()
    await server.groups.SetNowPlaying(group_pb.SetNowPlayingRequest(name=name, track_id=first[0]))
    played = await tracks()
    assert first[0] not in played
    for user_id in ("u00", "u04"):
        vote = group_pb.VoteTrackRequest(name=name, user_id=user_id, track_id=played[1], vote=group_pb.VOTE_DOWN)
        await server.groups.VoteTrack(vote)
    listed = played
    while played[1] in listed:
        listed = await tracks()
    for number in (1, 5, 9):
        member = pb.GroupMember(user_id=f"u{number:02d}", weight=5.0)
        await server.groups.JoinSession(group_pb.JoinSessionRequest(name=name, member=member))
    joined: list[str] = []
    while sum(int(track_id[1:]) % 4 == 1 for track_id in joined) < 8:
        joined = await tracks()
    liked = joined[0]
    await feed(server, "u09", liked)  # of somebody who joined later
    while liked in joined:
        joined = await tracks()
    stream.cancel()


async def test_a_server_that_stops_ends_the_stream_at_once(start: Any, repository: Any) -> None:
    running = start(repository.path, drain_s=600.0)
    server = await running.__aenter__()
    async with grpc.aio.insecure_channel(server.app.address) as channel:
        stub = recommender_service_pb2_grpc.RecommenderServiceStub(channel)
        query = pb.RecommendRequest(subject=pb.Subject(user_id="u00"), limit=10)
        stream = stub.WatchRecommendations(pb.WatchRecommendationsRequest(recommend=query))
        await following(stream)
        await asyncio.wait_for(running.__aexit__(None, None, None), PATIENCE_S)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await following(stream)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "the server is stopping; watch again, and another one answers"


async def test_who_leaves_makes_room_for_others(start: Any, repository: Any) -> None:
    async with start(repository.path, max_watchers=1) as server:
        first = watch_user(server, "u00")
        await following(first)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await following(watch_user(server, "u01"))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.cancel()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                second = watch_user(server, "u01")
                try:
                    assert len(ids(await following(second))) == 10
                    break
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                        raise
        second.cancel()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (pb.WatchRecommendationsRequest(), "query: is not set; send one of recommend and recommend_group"),
        (
            pb.WatchRecommendationsRequest(recommend=pb.RecommendRequest(subject=pb.Subject(user_id="u00"))),
            "limit: is 0; send 1 to 500",
        ),
        (
            pb.WatchRecommendationsRequest(recommend_group=pb.RecommendGroupRequest(limit=5)),
            "members: has 0 entries; send 1 to 100",
        ),
    ],
)
async def test_wrong_fields_are_named(server: Any, request_: Any, message: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await following(server.recommender.WatchRecommendations(request_))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, message)


async def test_watchers_are_told_of_what_they_watch_and_only_once() -> None:
    async with Changes(limit=2) as changes:
        with changes.subscribe() as one, changes.subscribe() as two:
            one.watch(["users/a", "sessions/s"])
            two.watch(["users/b"])
            changes.publish(["users/c"])
            changes.publish(["sessions/s", "users/c"])
            changes.publish(["users/a"])
            await one.changed()
            one.watch(["users/a"])
            waiting = [asyncio.ensure_future(each.changed()) for each in (one, two)]
            await asyncio.sleep(0)
            assert not any(task.done() for task in waiting)
            with pytest.raises(OverloadedError, match="2 lists are watched already"), changes.subscribe():
                pass
            await changes.__aexit__(None, None, None)
            for task in waiting:
                with pytest.raises(NotReadyError, match="the server is stopping"):
                    await task
            with pytest.raises(NotReadyError), changes.subscribe():
                pass
        assert len(changes) == 0


async def test_a_session_that_everybody_leaves_is_waited_for_and_its_end_is_the_end(server: Any) -> None:
    name = "sessions/s"
    members = [pb.GroupMember(user_id="u00")]
    await server.groups.CreateSession(group_pb.CreateSessionRequest(session_id="s", members=members))
    request = pb.RecommendGroupRequest(session=name, limit=10)
    stream = server.recommender.WatchRecommendations(pb.WatchRecommendationsRequest(recommend_group=request))
    assert [member.user_id for member in (await following(stream)).group_recommendation.members] == ["u00"]
    await server.groups.LeaveSession(group_pb.LeaveSessionRequest(name=name, user_id="u00"))
    await server.groups.JoinSession(group_pb.JoinSessionRequest(name=name, member=pb.GroupMember(user_id="u05")))
    assert [member.user_id for member in (await following(stream)).group_recommendation.members] == ["u05"]
    await server.feedback.DeleteUser(feedback_service_pb2.DeleteUserRequest(user_id="u05"))
    await server.groups.JoinSession(group_pb.JoinSessionRequest(name=name, member=pb.GroupMember(user_id="u06")))
    assert [member.user_id for member in (await following(stream)).group_recommendation.members] == ["u06"]
    await server.groups.EndSession(group_pb.EndSessionRequest(name=name))
    assert await following(stream) is grpc.aio.EOF
    again = server.recommender.WatchRecommendations(pb.WatchRecommendationsRequest(recommend_group=request))
    assert len((await following(again)).group_recommendation.tracks) == 10
    assert await following(again) is grpc.aio.EOF


async def test_a_list_that_is_not_sent_again_is_no_exposure(start: Any, repository: Any, tmp_path: Any) -> None:
    """Each list that was sent leaves one receipt and one exposure; those that were not leave none."""
    async with start(repository.path) as server:
        arms = [experiment_service_pb2.Arm(name="a"), experiment_service_pb2.Arm(name="b")]
        plan = experiment_service_pb2.Experiment(name="x", arms=arms)
        await server.experiments.CreateExperiment(experiment_service_pb2.CreateExperimentRequest(experiment=plan))
        members = [pb.GroupMember(user_id=user_id) for user_id in ("u00", "u04")]
        await server.groups.CreateSession(group_pb.CreateSessionRequest(session_id="s", members=members))
        request = pb.RecommendGroupRequest(session="sessions/s", limit=10)
        group = server.recommender.WatchRecommendations(pb.WatchRecommendationsRequest(recommend_group=request))
        single = watch_user(server, "u00")
        in_group = await following(group)
        sent = [
            in_group.group_recommendation.recommendation_id,
            (await following(single)).recommendation.recommendation_id,
        ]
        for track_id in ("t199", "t198", "t197"):
            await feed(server, "u00", track_id, feedback_service_pb2.EVENT_TYPE_IMPRESSION)
        listed = {track.track_id for track in in_group.group_recommendation.tracks}
        await feed(server, "u00", min(listed))
        sent.append((await following(group)).group_recommendation.recommendation_id)
        sent.append((await following(single)).recommendation.recommendation_id)
        group.cancel()
        single.cancel()
    with closing(Database.open(f"sqlite:///{tmp_path}/state/state.db")) as database, database.reading() as connection:
        for table in (RECEIPTS, EXPOSURES):
            assert set(connection.scalars(select(table.c.recommendation_id))) == set(sent), table.name
