"""`ExperimentService` over a real channel: good plans, every bad field, what arms do to lists, reports, promotion."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from audotics.v1 import experiment_service_pb2 as pb
from audotics.v1 import feedback_service_pb2 as feedback_pb
from audotics.v1 import model_service_pb2 as model_pb
from audotics.v1 import recommender_service_pb2 as recommender_pb

Start = Callable[..., AbstractAsyncContextManager[Any]]
Details = Callable[..., list[Any]]


def plan(**changes: Any) -> pb.Experiment:
    fields: dict[str, Any] = {
        "name": "variety",
        "arms": [{"name": "control"}, {"name": "varied", "diversity": 0.9}],
        "window": {"nanos": 1},
    }
    return pb.Experiment(**(fields | changes))


async def create(server: Any, **changes: Any) -> pb.Experiment:
    request = pb.CreateExperimentRequest(experiment=plan(**changes))
    return (await server.experiments.CreateExperiment(request)).experiment


async def recommend(server: Any, user_id: str, **fields: Any) -> recommender_pb.RecommendResponse:
    request = recommender_pb.RecommendRequest(subject={"user_id": user_id}, limit=10, **fields)
    return await server.recommender.Recommend(request)


def arm_of(answer: recommender_pb.RecommendResponse) -> str:
    return answer.experiments[0].arm if answer.experiments else ""


def ids(answer: recommender_pb.RecommendResponse) -> list[str]:
    return [track.track_id for track in answer.tracks]


async def test_listeners_keep_their_arm_and_the_answer_names_it(start: Start, repository: Any) -> None:
    async with start(repository.path) as server:
        before = {f"l{number}": ids(await recommend(server, f"l{number}")) for number in range(40)}
        created = await create(server)
        answers = {user_id: await recommend(server, user_id) for user_id in before}
    assert created.state == pb.EXPERIMENT_STATE_RUNNING
    assert {arm_of(answer) for answer in answers.values()} == {"control", "varied"}
    for user_id, answer in answers.items():
        assert [each.propensity for each in answer.experiments] == [0.5]
        if arm_of(answer) == "control":
            assert ids(answer) == before[user_id]
    varied = [user_id for user_id in answers if arm_of(answers[user_id]) == "varied"]
    assert any(ids(answers[user_id]) != before[user_id] for user_id in varied)
    async with start(repository.path) as again:
        for user_id, answer in answers.items():
            assert arm_of(await recommend(again, user_id)) == arm_of(answer)


async def test_what_a_request_sets_itself_and_anonymous_subjects_are_left_alone(server: Any) -> None:
    await create(server, overrides={"u00": "varied"})
    assert arm_of(await recommend(server, "u00")) == "varied"
    own = await recommend(server, "u00", diversity=0.0)
    await server.experiments.StopExperiment(pb.StopExperimentRequest(name="variety"))
    assert ids(await recommend(server, "u00", diversity=0.0)) == ids(own)
    await create(server, name="again", overrides={"u00": "varied"})
    assert not (await recommend(server, "u00", models={"versions": [{"model": "ncf", "version": 1}]})).experiments
    request = recommender_pb.RecommendRequest(subject={"session": {"track_ids": ["t001"]}}, limit=5)
    assert not (await server.recommender.Recommend(request)).experiments


async def test_arms_weigh_components_and_widen_the_pipeline(server: Any) -> None:
    arms = [
        {"name": "control"},
        {"name": "popular", "component_weights": dict.fromkeys(("collaborative", "ncf", "content"), 0.0)},
        {"name": "one-each", "pipeline": {"artist_cap": 1}},
    ]
    await create(server, arms=arms, overrides={"u00": "control", "u01": "popular", "u02": "one-each"})
    popular = await recommend(server, "u01", explain=True)
    weights = {part.model: part.weight for track in popular.tracks for part in track.contributions}
    assert [weights[name] for name in ("collaborative", "ncf", "content")] == [0.0, 0.0, 0.0]
    assert all(
        sum(part.contribution for part in track.contributions) == pytest.approx(track.score, abs=1e-4)
        for track in popular.tracks
    )
    one_each = await recommend(server, "u02")
    artists = [track.artist for track in one_each.tracks]
    assert len(set(artists)) == len(artists)
    explained = await server.recommender.ExplainRecommendation(
        recommender_pb.ExplainRecommendationRequest(recommendation_id=popular.recommendation_id)
    )
    assert explained.exact
    assert [(each.experiment, each.arm, each.propensity) for each in explained.experiments] == [
        ("variety", "popular", 1.0)
    ]


async def test_the_same_plan_twice_is_one_experiment_and_a_name_is_never_used_again(
    server: Any, details: Details
) -> None:
    first = await create(server)
    assert await create(server) == first
    for changes in ({"description": "other"}, {"traffic_share": 0.5}):
        assert await wrong_fields(server, details, **changes) == ["experiment.name"]
    listed = await server.experiments.ListExperiments(pb.ListExperimentsRequest())
    assert list(listed.experiments) == [first]


async def wrong_fields(server: Any, details: Details, **changes: Any) -> list[str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await create(server, **changes)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()
    (bad,) = details(caught.value, error_details_pb2.BadRequest)
    return [violation.field for violation in bad.field_violations]


ARM = {"name": "a"}


WRONG_PLANS: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": "Variety!"}, ["experiment.name"]),
    ({"layer": "x" * 33}, ["experiment.layer"]),
    ({"traffic_share": 1.2}, ["experiment.traffic_share"]),
    ({"traffic_share": 0.0}, ["experiment.traffic_share"]),
    ({"traffic_share": float("nan")}, ["experiment.traffic_share"]),
    ({"arms": [ARM]}, ["experiment.arms"]),
    ({"arms": [{"name": "a", "share": float("nan")}, {"name": "b", "share": 0.5}]}, ["experiment.arms[0].share"]),
    ({"arms": [ARM, ARM]}, ["experiment.arms[1].name"]),
    ({"arms": [ARM, {"name": "holdout"}]}, ["experiment.arms[1].name"]),
    ({"arms": [{"name": "a", "share": 0.7}, {"name": "b", "share": 0.5}]}, ["experiment.arms"]),
    (
        {"arms": [{"name": "a", "share": 1.5}, {"name": "b", "share": -0.5}]},
        ["experiment.arms[0].share", "experiment.arms[1].share"],
    ),
    ({"arms": [ARM, {"name": "b", "diversity": 2}]}, ["experiment.arms[1].diversity"]),
    ({"arms": [ARM, {"name": "b", "objectives": {"novelty": -1}}]}, ["experiment.arms[1].objectives.novelty"]),
    ({"arms": [ARM, {"name": "b", "models": {}}]}, ["experiment.arms[1].models"]),
    ({"arms": [ARM, {"name": "b", "models": {"label": "nope"}}]}, ["experiment.arms[1].models"]),
    (
        {"arms": [ARM, {"name": "b", "models": {"versions": [{"model": "ncf", "version": 7}]}}]},
        ["experiment.arms[1].models"],
    ),
    (
        {"arms": [ARM, {"name": "b", "component_weights": {"nope": 1.0, "ncf": 11.0}}]},
        ["experiment.arms[1].component_weights[nope]", "experiment.arms[1].component_weights[ncf]"],
    ),
    ({"arms": [ARM, {"name": "b", "pipeline": {"artist_cap": 0}}]}, ["experiment.arms[1].pipeline.artist_cap"]),
    ({"arms": [ARM, {"name": "b", "pipeline": {}}]}, ["experiment.arms[1].pipeline"]),
    ({"control": "c"}, ["experiment.control"]),
    ({"metric": 99}, ["experiment.metric"]),
    ({"window": {"seconds": -5}}, ["experiment.window"]),
    ({"smallest_lift": 0.0}, ["experiment.smallest_lift"]),
    ({"guardrails": {"max_error_increase": -0.5}}, ["experiment.guardrails.max_error_increase"]),
    ({"overrides": {"u": "nope"}}, ["experiment.overrides[u]"]),
    ({"overrides": {f"u{number}": "varied" for number in range(1001)}}, ["experiment.overrides"]),
]


async def test_every_wrong_field_is_named_and_nothing_is_started(server: Any, details: Details) -> None:
    for changes, fields in WRONG_PLANS:
        assert sorted(await wrong_fields(server, details, **changes)) == sorted(fields)
    assert not (await server.experiments.ListExperiments(pb.ListExperimentsRequest())).experiments


async def test_a_layer_gives_out_its_listeners_once(server: Any, details: Details) -> None:
    await create(server, name="first", traffic_share=0.6)
    assert await wrong_fields(server, details, name="second", traffic_share=0.5) == ["experiment.traffic_share"]
    await create(server, name="second", traffic_share=0.4)
    in_each = [arm.experiment for n in range(100) for arm in (await recommend(server, f"l{n}")).experiments]
    assert len(in_each) == 100
    assert set(in_each) == {"first", "second"}
    with pytest.raises(grpc.aio.AioRpcError, match=r"has 60\.00% left"):
        await server.experiments.SetTraffic(pb.SetTrafficRequest(name="first", traffic_share=0.7))


async def test_layers_are_independent_and_must_not_set_the_same_thing(server: Any, details: Details) -> None:
    await create(server, name="variety")
    assert await wrong_fields(server, details, name="other", layer="second") == ["experiment.layer"]
    arms = [{"name": "control"}, {"name": "fresh", "objectives": {"relevance": 1, "freshness": 1}}]
    await create(server, name="other", layer="second", arms=arms)
    pairs = [
        tuple(f"{each.experiment}/{each.arm}" for each in (await recommend(server, f"l{number}")).experiments)
        for number in range(60)
    ]
    assert {len(pair) for pair in pairs} == {2}
    assert len(set(pairs)) == 4


async def test_growing_keeps_who_is_in_and_a_stopped_experiment_serves_nobody(server: Any) -> None:
    await create(server, traffic_share=0.3)
    small = {f"l{n}": arm_of(await recommend(server, f"l{n}")) for n in range(120)}
    grown = await server.experiments.SetTraffic(pb.SetTrafficRequest(name="variety", traffic_share=0.8))
    assert grown.experiment.traffic_share == pytest.approx(0.8)
    large = {user_id: arm_of(await recommend(server, user_id)) for user_id in small}
    assert all(large[user_id] == arm for user_id, arm in small.items() if arm)
    assert sum(map(bool, large.values())) > sum(map(bool, small.values()))
    stopped = await server.experiments.StopExperiment(pb.StopExperimentRequest(name="variety", reason="enough"))
    assert [record.event for record in stopped.experiment.records] == [
        pb.EXPERIMENT_EVENT_CREATED,
        pb.EXPERIMENT_EVENT_TRAFFIC_SET,
        pb.EXPERIMENT_EVENT_STOPPED,
    ]
    assert stopped.experiment.records[-1].detail == "enough"
    assert not (await recommend(server, "l1")).experiments
    again = await server.experiments.StopExperiment(pb.StopExperimentRequest(name="variety", reason="twice"))
    assert again == stopped
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.experiments.SetTraffic(pb.SetTrafficRequest(name="variety", traffic_share=0.9))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_what_is_not_there_is_not_found(server: Any) -> None:
    calls = [
        ("GetExperiment", pb.GetExperimentRequest(name="nope")),
        ("SetTraffic", pb.SetTrafficRequest(name="nope", traffic_share=0.5)),
        ("StopExperiment", pb.StopExperimentRequest(name="nope")),
        ("PromoteArm", pb.PromoteArmRequest(name="nope", arm="a")),
        ("ReportExperiment", pb.ReportExperimentRequest(name="nope")),
        ("EvaluatePolicy", pb.EvaluatePolicyRequest(name="nope", rules=[{"arms": {"a": 1.0}}])),
    ]
    for method, request in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await getattr(server.experiments, method)(request)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND, method
        assert "experiment not found: 'nope'; there are: none" in str(caught.value.details())


async def test_a_report_counts_what_followed_each_list(server: Any) -> None:
    await create(server, window={"seconds": 1})
    arms = {}
    for number in range(30):
        user_id = f"l{number}"
        answer = await recommend(server, user_id)
        arms[user_id] = arm_of(answer)
        events = [("play", 0), ("complete", 0), ("skip", 1)] if arm_of(answer) == "varied" else [("dislike", 0)]
        sent = [
            feedback_pb.FeedbackEvent(
                event_id=f"{user_id}-{kind}",
                user_id=user_id,
                track_id=answer.tracks[place].track_id,
                type=f"EVENT_TYPE_{kind.upper()}",
                recommendation_id=answer.recommendation_id,
            )
            for kind, place in events
        ]
        await server.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(events=sent))
    report = await server.experiments.ReportExperiment(pb.ReportExperimentRequest(name="variety"))
    assert {arm.arm: arm.listeners for arm in report.arms} == {
        arm: list(arms.values()).count(arm) for arm in ("control", "varied")
    }
    assert [comparison.HasField("lift") for comparison in report.comparisons] == [False] * 7
    assert report.winner == ""
    assert not report.sample_ratio.alarm
    assert any("fewer than 100 observed listeners" in note for note in report.notes)


async def test_a_winner_is_promoted_through_the_gate(
    server: Any, repository: Any, make_repository: Callable[..., Any]
) -> None:
    make_repository(repository.path)
    await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="stable", version=1))
    await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="canary", version=2))
    arms = [{"name": "control"}, {"name": "new", "models": {"label": "canary"}}]
    await create(server, arms=arms, overrides={"u00": "control", "u01": "new"})

    async def made_by(user_id: str) -> dict[str, int]:
        return {made.model: made.version for made in (await recommend(server, user_id)).model_versions}

    assert ((await made_by("u00"))["hybrid"], (await made_by("u01"))["hybrid"]) == (1, 2)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.experiments.PromoteArm(pb.PromoteArmRequest(name="variety", arm="control"))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "chooses no model versions" in str(caught.value.details())
    with pytest.raises(grpc.aio.AioRpcError, match="arm not found: 'nope'; variety has control, new"):
        await server.experiments.PromoteArm(pb.PromoteArmRequest(name="variety", arm="nope"))
    promoted = await server.experiments.PromoteArm(pb.PromoteArmRequest(name="variety", arm="new"))
    assert [(each.model, each.version) for each in promoted.promoted] == [("hybrid", 2)]
    assert promoted.experiment.state == pb.EXPERIMENT_STATE_STOPPED
    assert [record.detail for record in promoted.experiment.records[-2:]] == ["hybrid/2 is stable", "new was promoted"]
    assert (await made_by("u00"))["hybrid"] == 2


async def test_models_that_have_gone_leave_the_arm_out_and_the_list_there(
    server: Any, repository: Any, make_repository: Callable[..., Any]
) -> None:
    make_repository(repository.path)
    await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="stable", version=1))
    await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="canary", version=2))
    await create(server, arms=[{"name": "a"}, {"name": "b", "models": {"label": "canary"}}], overrides={"u00": "b"})
    await server.models.SetLabel(model_pb.SetLabelRequest(name="hybrid", label="canary"))
    answer = await recommend(server, "u00")
    assert len(answer.tracks) == 10
    assert not answer.experiments
    assert [part.part for part in answer.degraded] == ["experiment"]


async def test_a_deleted_listener_leaves_no_override_and_no_exposure(server: Any) -> None:
    await create(server, overrides={"u00": "varied", "u01": "varied"})
    for user_id in ("u00", "u01", "u02"):
        await recommend(server, user_id)
    deleted = await server.feedback.DeleteUser(feedback_pb.DeleteUserRequest(user_id="u00"))
    assert deleted.remaining == 0
    shown = await server.experiments.GetExperiment(pb.GetExperimentRequest(name="variety"))
    assert dict(shown.experiment.overrides) == {"u01": "varied"}
    (own,) = (await recommend(server, "u00")).experiments
    assert own.propensity == 0.5


async def test_listeners_held_out_are_in_no_experiment_and_in_the_report(start: Start, repository: Any) -> None:
    async with start(repository.path, experiment_holdout_share=0.5) as server:
        await create(server)
        answers = [await recommend(server, f"l{number}") for number in range(60)]
        held_out = sum(not answer.experiments for answer in answers)
        report = await server.experiments.ReportExperiment(pb.ReportExperimentRequest(name="variety"))
    assert 15 < held_out < 45
    assert {arm.arm: arm.listeners for arm in report.arms}["holdout"] == held_out


WRONG_POLICIES: list[tuple[dict[str, Any], list[str]]] = [
    ({"rules": []}, ["rules"]),
    ({"rules": [{"arms": {"control": 0.5}}]}, ["rules[0].arms"]),
    ({"rules": [{"arms": {"control": 1.0}, "max_history": 5}]}, ["rules[0]"]),
    ({"rules": [{"arms": {"nope": 1.0}}]}, ["rules[0].arms"]),
    ({"rules": [{"arms": {"control": 1.5, "varied": -0.5}}]}, ["rules[0].arms[control]", "rules[0].arms[varied]"]),
    ({"rules": [{"arms": {"control": 1.0}, "moods": [99]}]}, ["rules[0].moods[0]"]),
    ({"clip": 0.5}, ["clip"]),
    ({"metric": 99}, ["metric"]),
]


async def test_every_wrong_field_of_a_policy_is_named(server: Any, details: Details) -> None:
    await create(server)
    for changes, fields in WRONG_POLICIES:
        request: dict[str, Any] = {"name": "variety", "rules": [{"arms": {"varied": 1.0}}]}
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.experiments.EvaluatePolicy(pb.EvaluatePolicyRequest(**(request | changes)))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()
        (bad,) = details(caught.value, error_details_pb2.BadRequest)
        assert sorted(violation.field for violation in bad.field_violations) == sorted(fields)


async def test_a_policy_waits_for_windows_that_are_over(server: Any) -> None:
    await create(server)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.experiments.EvaluatePolicy(
            pb.EvaluatePolicyRequest(name="variety", rules=[{"arms": {"varied": 1.0}}])
        )
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "has an observation window that is over" in str(caught.value.details())
