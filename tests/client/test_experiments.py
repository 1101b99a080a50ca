"""Calls of ExperimentService: what both clients send, and what they make of the answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from audotics.client import (
    Arm,
    ArmReport,
    Comparison,
    Estimator,
    Experiment,
    ExperimentArm,
    ExperimentEvent,
    ExperimentPlan,
    ExperimentRecord,
    ExperimentReport,
    ExperimentState,
    Guardrails,
    Metric,
    Mood,
    Objectives,
    PipelineSettings,
    PolicyEstimate,
    PolicyEstimates,
    PolicyRule,
    Promotion,
    SampleRatio,
    UnavailableError,
)
from audotics.v1 import experiment_service_pb2 as pb
from audotics.v1 import recommender_service_pb2 as recommender_pb
from audotics.v1 import track_pb2

PLAN = ExperimentPlan(
    "x",
    (
        Arm("control", 0.5),
        Arm(
            "new",
            0.5,
            model_label="canary",
            model_versions={"ncf": 2},
            diversity=0.0,
            objectives=Objectives(novelty=0.5),
            component_weights={"ncf": 2.0},
            pipeline=PipelineSettings(artist_cap=1),
        ),
    ),
    description="why",
    layer="ranking",
    traffic_share=0.25,
    control="control",
    metric="skip_rate",
    window_s=0.5,
    smallest_lift=0.1,
    guardrails=Guardrails(0.01, 0.5, 0.25),
    overrides={"u1": "new"},
)
MESSAGE = pb.Experiment(
    name="x",
    description="why",
    layer="ranking",
    traffic_share=0.25,
    arms=[
        {"name": "control", "share": 0.5},
        {
            "name": "new",
            "share": 0.5,
            "models": {"label": "canary", "versions": [{"model": "ncf", "version": 2}]},
            "diversity": 0.0,
            "objectives": {"relevance": 1.0, "novelty": 0.5},
            "component_weights": {"ncf": 2.0},
            "pipeline": {"artist_cap": 1},
        },
    ],
    control="control",
    metric=pb.METRIC_SKIP_RATE,
    window={"nanos": 500_000_000},
    smallest_lift=0.1,
    guardrails={"max_error_increase": 0.01, "max_latency_increase": 0.5, "max_diversity_drop": 0.25},
    overrides={"u1": "new"},
)
CREATED = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
ANSWER = pb.Experiment()
ANSWER.CopyFrom(MESSAGE)
ANSWER.state = pb.EXPERIMENT_STATE_RUNNING
ANSWER.created_at.FromSeconds(1_700_000_000)
ANSWER.records.add(at={"seconds": 1_700_000_000}, event=pb.EXPERIMENT_EVENT_CREATED, detail="25% of layer ranking")
EXPERIMENT = Experiment(
    PLAN,
    ExperimentState.RUNNING,
    CREATED,
    None,
    (ExperimentRecord(CREATED, ExperimentEvent.CREATED, "", "25% of layer ranking"),),
)


def test_a_plan_is_sent_whole_and_comes_back(client: Any, server: Any) -> None:
    server.script("CreateExperiment", pb.CreateExperimentResponse(experiment=ANSWER))
    assert client.create_experiment(PLAN) == EXPERIMENT
    assert server.requests == [pb.CreateExperimentRequest(experiment=MESSAGE)]


@pytest.mark.parametrize(
    ("method", "arguments", "answer", "request_message"),
    [
        ("get_experiment", ("x",), pb.GetExperimentResponse, pb.GetExperimentRequest(name="x")),
        ("set_traffic", ("x", 0.5), pb.SetTrafficResponse, pb.SetTrafficRequest(name="x", traffic_share=0.5)),
        ("stop_experiment", ("x",), pb.StopExperimentResponse, pb.StopExperimentRequest(name="x")),
    ],
)
def test_calls_that_return_an_experiment(
    client: Any, server: Any, method: str, arguments: tuple[Any, ...], answer: type[Any], request_message: Any
) -> None:
    server.script("".join(word.capitalize() for word in method.split("_")), answer(experiment=ANSWER))
    assert getattr(client, method)(*arguments) == EXPERIMENT
    assert server.requests == [request_message]


def test_list_experiments(client: Any, server: Any) -> None:
    server.script("ListExperiments", pb.ListExperimentsResponse(experiments=[ANSWER]))
    assert client.list_experiments() == (EXPERIMENT,)
    client.list_experiments(running=True)
    client.list_experiments(running=False)
    assert [request.state for request in server.requests] == [
        pb.EXPERIMENT_STATE_UNSPECIFIED,
        pb.EXPERIMENT_STATE_RUNNING,
        pb.EXPERIMENT_STATE_STOPPED,
    ]


def test_a_report_is_read_whole(client: Any, server: Any) -> None:
    answer = pb.ReportExperimentResponse(
        experiment=ANSWER,
        arms=[
            {
                "arm": "new",
                "listeners": 3,
                "observed_listeners": 2,
                "lists": 5,
                "metrics": [{"metric": pb.METRIC_ENGAGEMENT, "value": 0.0}, {"metric": pb.METRIC_COMPLETION}],
            }
        ],
        comparisons=[
            {"arm": "new", "metric": pb.METRIC_ENGAGEMENT, "lift": 0.1, "low": 0.0, "high": 0.2, "p_value": 0.5},
            {"arm": "new", "metric": 99},
        ],
        sample_ratio={"p_value": 0.5, "expected_listeners": {"new": 1.5}},
        winner="new",
        notes=["so"],
    )
    server.script("ReportExperiment", answer)
    assert client.report_experiment("x") == ExperimentReport(
        EXPERIMENT,
        (ArmReport("new", 3, 2, 5, {Metric.ENGAGEMENT: 0.0, Metric.COMPLETION: None}),),
        (
            Comparison("new", Metric.ENGAGEMENT, 0.1, 0.0, 0.2, 0.5),
            Comparison("new", Metric.UNKNOWN, None, None, None, None),
        ),
        SampleRatio(0.5, False, {"new": 1.5}),
        "new",
        ("so",),
    )


def test_a_promotion_is_never_repeated(client: Any, server: Any, failure: Any) -> None:
    server.script("PromoteArm", failure(grpc.StatusCode.UNAVAILABLE))
    with pytest.raises(UnavailableError):
        client.promote_arm("x", "new")
    server.script("PromoteArm", pb.PromoteArmResponse(experiment=ANSWER, promoted=[{"model": "ncf", "version": 2}]))
    assert client.promote_arm("x", "new", label="canary", force=True) == Promotion(EXPERIMENT, {"ncf": 2})
    assert server.requests == [
        pb.PromoteArmRequest(name="x", arm="new", label="stable"),
        pb.PromoteArmRequest(name="x", arm="new", label="canary", force=True),
    ]


def test_a_policy_is_sent_rule_by_rule(client: Any, server: Any) -> None:
    answer = pb.EvaluatePolicyResponse(
        estimates=[{"estimator": pb.ESTIMATOR_SNIPS, "value": 0.5, "low": 0.25, "high": 0.75}],
        logged_value=0.25,
        lists=10,
        listeners=5,
        effective_lists=7.5,
    )
    server.script("EvaluatePolicy", answer)
    rules = [PolicyRule({"new": 1.0}, max_history=20, moods=(Mood.CHILL, "party")), PolicyRule({"control": 1.0})]
    assert client.evaluate_policy("x", rules, metric="completion", clip=10.0) == PolicyEstimates(
        (PolicyEstimate(Estimator.SNIPS, 0.5, 0.25, 0.75),), 0.25, 10, 5, 7.5
    )
    assert server.requests == [
        pb.EvaluatePolicyRequest(
            name="x",
            rules=[
                {"max_history": 20, "moods": [track_pb2.MOOD_CHILL, track_pb2.MOOD_PARTY], "arms": {"new": 1.0}},
                {"arms": {"control": 1.0}},
            ],
            metric=pb.METRIC_COMPLETION,
            clip=10.0,
        )
    ]


def test_a_mistake_of_the_caller_is_raised_before_anything_is_sent(client: Any, server: Any) -> None:
    with pytest.raises(ValueError, match="metric must be one of"):
        client.create_experiment(ExperimentPlan("x", (), metric="fame"))
    with pytest.raises(ValueError, match="moods must be one of"):
        client.evaluate_policy("x", [PolicyRule({"a": 1.0}, moods=("angry",))])
    assert server.requests == []


def test_a_list_names_the_arms_that_made_it(client: Any, server: Any) -> None:
    arm = recommender_pb.ExperimentArm(experiment="x", arm="new", propensity=0.5)
    server.script("Recommend", recommender_pb.RecommendResponse(recommendation_id="r", experiments=[arm]))
    assert client.recommend("u1").experiments == (ExperimentArm("x", "new", 0.5),)
