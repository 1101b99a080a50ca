"""Arms of experiments that make lists of groups: who is in which, what they set, and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from typing import Any

from audotics.server.storage.database import Database
from audotics.server.storage.exposures import ExposureStore
from audotics.v1 import experiment_service_pb2 as pb
from audotics.v1 import feedback_service_pb2 as feedback_pb
from audotics.v1 import group_service_pb2 as group_pb
from audotics.v1 import model_service_pb2 as model_pb
from audotics.v1 import recommender_service_pb2 as recommender_pb

Start = Callable[..., AbstractAsyncContextManager[Any]]
GROUPS = [(f"u{number:02d}", f"u{number + 1:02d}") for number in range(20)]


async def create(server: Any, **changes: Any) -> None:
    fields: dict[str, Any] = {
        "name": "variety",
        "arms": [{"name": "control"}, {"name": "varied", "diversity": 0.9}],
        "window": {"seconds": 60},
    }
    await server.experiments.CreateExperiment(
        pb.CreateExperimentRequest(experiment=pb.Experiment(**(fields | changes)))
    )


async def listed(server: Any, *user_ids: str, **fields: Any) -> recommender_pb.RecommendGroupResponse:
    members = [recommender_pb.GroupMember(user_id=user_id) for user_id in user_ids]
    request = recommender_pb.RecommendGroupRequest(members=members, **({"limit": 10} | fields))
    return await server.recommender.RecommendGroup(request)


async def open_session(server: Any, session_id: str, *user_ids: str) -> str:
    members = [recommender_pb.GroupMember(user_id=user_id) for user_id in user_ids]
    request = group_pb.CreateSessionRequest(session_id=session_id, members=members)
    return (await server.groups.CreateSession(request)).session.name


def arm_of(answer: recommender_pb.RecommendGroupResponse) -> str:
    return answer.experiments[0].arm if answer.experiments else ""


def ids(answer: recommender_pb.RecommendGroupResponse) -> list[str]:
    return [track.track_id for track in answer.tracks]


async def test_a_group_keeps_its_arm_in_any_order_and_after_a_restart(start: Start, repository: Any) -> None:
    async with start(repository.path) as server:
        before = [ids(await listed(server, *group)) for group in GROUPS]
        await create(server)
        answers = [await listed(server, *group) for group in GROUPS]
        assert [arm_of(await listed(server, *reversed(group))) for group in GROUPS] == [
            arm_of(answer) for answer in answers
        ]
    assert {arm_of(answer) for answer in answers} == {"control", "varied"}
    assert {(each.experiment, each.propensity) for answer in answers for each in answer.experiments} == {
        ("variety", 0.5)
    }
    for answer, plain in zip(answers, before, strict=True):
        assert ids(answer) == plain or arm_of(answer) == "varied"
    assert any(ids(answer) != plain for answer, plain in zip(answers, before, strict=True))
    async with start(repository.path) as again:
        assert [arm_of(await listed(again, *group)) for group in GROUPS] == [arm_of(answer) for answer in answers]


async def test_a_session_keeps_its_arm_whoever_joins(server: Any) -> None:
    await create(server)
    arms = {}
    for number in range(12):
        name = await open_session(server, f"s{number}", "u00")
        arms[name] = arm_of(await listed(server, session=name))
    assert set(arms.values()) == {"control", "varied"}
    for name, arm in arms.items():
        await server.groups.JoinSession(group_pb.JoinSessionRequest(name=name, member={"user_id": "u01"}))
        assert arm_of(await listed(server, session=name)) == arm


async def test_weights_and_the_pipeline_hold_for_the_members_scores(server: Any) -> None:
    names = [await open_session(server, name, "u00", "u01") for name in ("tilted", "single")]
    arms = [
        {"name": "control"},
        {"name": "popular", "component_weights": dict.fromkeys(("collaborative", "ncf", "content"), 0.0)},
        {"name": "one-each", "pipeline": {"artist_cap": 1}},
    ]
    await create(server, arms=arms, overrides={names[0]: "popular", names[1]: "one-each"})
    popular = await listed(server, session=names[0], explain=True)
    added = {part.model for track in popular.tracks for part in track.contributions if part.contribution}
    assert added
    assert not added & {"collaborative", "ncf", "content"}
    assert [(each.arm, each.propensity) for each in popular.experiments] == [("popular", 1.0)]
    one_each = [track.artist for track in (await listed(server, session=names[1])).tracks]
    assert len(set(one_each)) == len(one_each)
    explained = await server.recommender.ExplainRecommendation(
        recommender_pb.ExplainRecommendationRequest(recommendation_id=popular.recommendation_id)
    )
    assert list(explained.experiments) == list(popular.experiments)


async def test_an_arm_chooses_models_and_is_left_out_when_they_are_gone(
    server: Any, repository: Any, make_repository: Callable[..., Any]
) -> None:
    make_repository(repository.path)
    await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="stable", version=1))
    await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="canary", version=2))
    name = await open_session(server, "new", "u00", "u01")
    await create(server, arms=[{"name": "a"}, {"name": "b", "models": {"label": "canary"}}], overrides={name: "b"})
    made = {each.model: each.version for each in (await listed(server, session=name)).model_versions}
    assert made["hybrid"] == 2
    chosen = await listed(server, session=name, models={"versions": [{"model": "hybrid", "version": 1}]})
    assert not chosen.experiments
    await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="canary"))
    answer = await listed(server, session=name)
    assert len(answer.tracks) == 10
    assert not answer.experiments
    assert [part.part for part in answer.degraded] == ["experiment"]


async def test_a_watched_list_is_in_the_experiment(server: Any) -> None:
    await create(server)
    members = [{"user_id": "u00"}, {"user_id": "u01"}]
    request = recommender_pb.WatchRecommendationsRequest(recommend_group={"members": members, "limit": 5})
    watching = server.recommender.WatchRecommendations(request)
    first = await watching.read()
    watching.cancel()
    assert arm_of(first.group_recommendation) == arm_of(await listed(server, "u00", "u01"))


async def test_what_happens_in_a_session_is_its_groups_activity(start: Start, repository: Any, tmp_path: Any) -> None:
    async with start(repository.path) as server:
        name = await open_session(server, "party", "u00", "u01")
        await create(server)
        await listed(server, session=name)
        for user_id in ("u00", "u01"):
            vote = group_pb.VoteTrackRequest(name=name, user_id=user_id, track_id="t001", vote=group_pb.VOTE_UP)
            await server.groups.VoteTrack(vote)
        await server.groups.SetNowPlaying(group_pb.SetNowPlayingRequest(name=name, track_id="t001"))
        await server.experiments.ReportExperiment(pb.ReportExperimentRequest(name="variety"))  # writes what waits
    with closing(Database.open(f"sqlite:///{tmp_path}/state/state.db")) as database:
        (row,) = ExposureStore(database).outcomes("variety", window_s=60.0)
    assert (row.group_key, row.group_events) == (name, 3)


async def test_a_report_counts_groups_and_keeps_no_names(start: Start, repository: Any, tmp_path: Any) -> None:
    names = ("somebody-with-a-name-to-find", "somebody-else")
    async with start(repository.path) as server:
        await create(server)
        for user_id in names:
            await listed(server, *names, limit=5)
            event = feedback_pb.FeedbackEvent(
                event_id=user_id, user_id=user_id, track_id="t001", type="EVENT_TYPE_PLAY"
            )
            await server.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(events=[event]))
        deleted = await server.feedback.DeleteUser(feedback_pb.DeleteUserRequest(user_id=names[0]))
        assert deleted.remaining == 0
        report = await server.experiments.ReportExperiment(pb.ReportExperimentRequest(name="variety"))
        assert sum(arm.listeners for arm in report.arms) == 1
    stored = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    assert names[1].encode() in stored
    assert names[0].encode() not in stored
