"""Calls of ExperimentService."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from audotics.client.calls.call import Call, call_of
from audotics.client.calls.models import LOAD_TIMEOUT_S
from audotics.client.codec import experiments as codec
from audotics.client.results.experiments import (
    Experiment,
    ExperimentPlan,
    ExperimentReport,
    ExperimentState,
    Metric,
    PolicyEstimates,
    PolicyRule,
    Promotion,
)
from audotics.v1 import experiment_service_pb2 as pb

REPORT_TIMEOUT_S = 60.0
"""A report reads every list that the arms have made, and what followed it."""


def create_experiment(plan: ExperimentPlan, *, timeout_s: float | None = None) -> Call[Experiment]:
    """Start an experiment. InvalidArgumentError names every field that is wrong, and nothing is started.

    One that is there already, word for word, is returned as it is.
    """

    def decode(answer: pb.CreateExperimentResponse) -> Experiment:
        return codec.decode_experiment(answer.experiment)

    request = pb.CreateExperimentRequest(experiment=codec.encode_plan(plan))
    return call_of("ExperimentService/CreateExperiment", request, pb.CreateExperimentResponse, decode, timeout_s)


def get_experiment(name: str, *, timeout_s: float | None = None) -> Call[Experiment]:
    """One experiment, and what happened to it."""

    def decode(answer: pb.GetExperimentResponse) -> Experiment:
        return codec.decode_experiment(answer.experiment)

    request = pb.GetExperimentRequest(name=name)
    return call_of("ExperimentService/GetExperiment", request, pb.GetExperimentResponse, decode, timeout_s)


def list_experiments(*, running: bool | None = None, timeout_s: float | None = None) -> Call[tuple[Experiment, ...]]:
    """Every experiment, the newest first; with `running`, those that run or, when False, those that do not."""

    def decode(answer: pb.ListExperimentsResponse) -> tuple[Experiment, ...]:
        return tuple(codec.decode_experiment(item) for item in answer.experiments)

    state = None if running is None else ExperimentState.RUNNING if running else ExperimentState.STOPPED
    request = pb.ListExperimentsRequest(state=None if state is None else f"EXPERIMENT_STATE_{state.name}")
    return call_of("ExperimentService/ListExperiments", request, pb.ListExperimentsResponse, decode, timeout_s)


def set_traffic(name: str, traffic_share: float, *, timeout_s: float | None = None) -> Call[Experiment]:
    """Give a running experiment another share of its layer. Growing keeps every listener where they are."""

    def decode(answer: pb.SetTrafficResponse) -> Experiment:
        return codec.decode_experiment(answer.experiment)

    request = pb.SetTrafficRequest(name=name, traffic_share=traffic_share)
    return call_of("ExperimentService/SetTraffic", request, pb.SetTrafficResponse, decode, timeout_s)


def stop_experiment(name: str, *, reason: str = "", timeout_s: float | None = None) -> Call[Experiment]:
    """Serve the listeners of an experiment as all others from now on. The reason is kept."""

    def decode(answer: pb.StopExperimentResponse) -> Experiment:
        return codec.decode_experiment(answer.experiment)

    request = pb.StopExperimentRequest(name=name, reason=reason)
    return call_of("ExperimentService/StopExperiment", request, pb.StopExperimentResponse, decode, timeout_s)


def promote_arm(
    name: str,
    arm: str,
    *,
    label: str = "stable",
    force: bool = False,
    timeout_s: float | None = LOAD_TIMEOUT_S,
) -> Call[Promotion]:
    """Let `label` stand for the model versions of an arm, through the promotion gate, and end the experiment.

    FailedPreconditionError says what is in the way; then no label has moved. A call that failed is never repeated.
    """
    request = pb.PromoteArmRequest(name=name, arm=arm, label=label, force=force)
    call = call_of("ExperimentService/PromoteArm", request, pb.PromoteArmResponse, codec.decode_promotion, timeout_s)
    return replace(call, repeatable=False)


def report_experiment(name: str, *, timeout_s: float | None = REPORT_TIMEOUT_S) -> Call[ExperimentReport]:
    """How the arms do. The intervals hold however often this is asked."""
    request = pb.ReportExperimentRequest(name=name)
    return call_of(
        "ExperimentService/ReportExperiment", request, pb.ReportExperimentResponse, codec.decode_report, timeout_s
    )


def evaluate_policy(
    name: str,
    rules: Iterable[PolicyRule],
    *,
    metric: Metric | str = Metric.ENGAGEMENT,
    clip: float = 0.0,
    timeout_s: float | None = REPORT_TIMEOUT_S,
) -> Call[PolicyEstimates]:
    """What a policy that nobody was served by would have earned, from the receipts of an experiment.

    Each list is made by the arms of the first rule that fits it; the last rule must fit all. `clip` bounds the ratio of
    probabilities, 0 does not.
    """
    request = pb.EvaluatePolicyRequest(
        name=name,
        rules=[codec.encode_rule(rule) for rule in rules],
        metric=codec.encode_metric(metric),
        clip=clip,
    )
    return call_of(
        "ExperimentService/EvaluatePolicy", request, pb.EvaluatePolicyResponse, codec.decode_estimates, timeout_s
    )
