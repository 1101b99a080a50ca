"""What experiments have shown: policies to evaluate go in checked, reports and estimates go back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from audotics.features.interval import Interval
from audotics.features.moods import MOODS
from audotics.server.experiments.policies import PolicyEstimates, Rule
from audotics.server.services.experiment_report import ArmReport, Comparison, ExperimentReport
from audotics.server.transport.codec.experiments import decode_metric, encode_experiment, encode_metric
from audotics.server.transport.codec.violations import Violations
from audotics.v1 import experiment_service_pb2 as pb
from audotics.v1 import track_pb2

MOST_RULES: Final = 32

_SHARE_SLACK: Final = 1e-6
_MOODS: Final = {track_pb2.Mood.Value(f"MOOD_{name.upper()}"): name for name in MOODS}


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """A checked `EvaluatePolicy` request; `clip` 0 is no bound."""

    name: str
    rules: tuple[Rule, ...]
    metric: str
    clip: float


def decode_policy(request: pb.EvaluatePolicyRequest) -> PolicyRequest:
    """Raises InvalidRequestError with everything that is wrong."""
    violations = Violations()
    violations.check_id("name", request.name)
    rules: tuple[Rule, ...] = ()
    if not 1 <= len(request.rules) <= MOST_RULES:
        violations.add("rules", f"has {len(request.rules)} entries; send 1 to {MOST_RULES}")
    else:
        rules = tuple(_rule(message, f"rules[{place}]", violations) for place, message in enumerate(request.rules))
        if not rules[-1].fits_all:
            violations.add(f"rules[{len(rules) - 1}]", "does not fit every list; end with a rule without conditions")
    metric = decode_metric("metric", request.metric, violations)
    if not (request.clip == 0 or 1 <= request.clip < math.inf):
        violations.add("clip", f"is {request.clip:g}; send 0 for no bound, or a ratio of 1 or more")
    violations.raise_if_any()
    return PolicyRequest(request.name, rules, metric, request.clip)


def encode_report(report: ExperimentReport) -> pb.ReportExperimentResponse:
    return pb.ReportExperimentResponse(
        experiment=encode_experiment(report.experiment),
        arms=[_encode_arm(arm) for arm in report.arms],
        comparisons=[_encode_comparison(comparison) for comparison in report.comparisons],
        sample_ratio=pb.SampleRatio(
            p_value=report.sample_ratio.p_value,
            alarm=report.sample_ratio.alarm,
            expected_listeners=dict(report.sample_ratio.expected),
        ),
        winner=report.winner,
        notes=report.notes,
    )


def encode_estimates(estimates: PolicyEstimates) -> pb.EvaluatePolicyResponse:
    return pb.EvaluatePolicyResponse(
        estimates=[
            _encode_estimate(pb.ESTIMATOR_IPS, estimates.ips),
            _encode_estimate(pb.ESTIMATOR_SNIPS, estimates.snips),
            _encode_estimate(pb.ESTIMATOR_DOUBLY_ROBUST, estimates.doubly_robust),
        ],
        logged_value=estimates.logged,
        lists=estimates.lists,
        listeners=estimates.listeners,
        effective_lists=estimates.effective_lists,
    )


def _rule(message: pb.PolicyRule, path: str, violations: Violations) -> Rule:
    least = message.min_history if message.HasField("min_history") else None
    most = message.max_history if message.HasField("max_history") else None
    for name, bound in (("min_history", least), ("max_history", most)):
        if bound is not None and bound < 0:
            violations.add(f"{path}.{name}", f"is {bound}; send a number of tracks, 0 or more")
    moods = []
    for place, number in enumerate(message.moods):
        if number in _MOODS:
            moods.append(_MOODS[number])
        else:
            violations.add(
                f"{path}.moods[{place}]", f"is {number}, which names no mood; known moods: {', '.join(MOODS)}"
            )
    arms = dict(message.arms)
    for arm, probability in arms.items():
        violations.check_between(f"{path}.arms[{arm[:40]}]", probability, 0.0, 1.0)
    if not abs(sum(arms.values()) - 1) <= _SHARE_SLACK:
        violations.add(f"{path}.arms", f"have probabilities that sum up to {sum(arms.values()):g}; make it 1")
    return Rule(arms, least, most, tuple(moods))


def _encode_arm(report: ArmReport) -> pb.ArmReport:
    return pb.ArmReport(
        arm=report.arm,
        listeners=report.listeners,
        observed_listeners=report.observed_listeners,
        lists=report.lists,
        metrics=[pb.MetricValue(metric=encode_metric(metric), value=value) for metric, value in report.metrics],
    )


def _encode_comparison(comparison: Comparison) -> pb.Comparison:
    message = pb.Comparison(arm=comparison.arm, metric=encode_metric(comparison.metric))
    if (lift := comparison.lift) is not None:
        message.lift, message.low, message.high, message.p_value = lift.estimate, lift.low, lift.high, lift.p_value
    return message


def _encode_estimate(estimator: pb.Estimator, interval: Interval) -> pb.PolicyEstimate:
    return pb.PolicyEstimate(estimator=estimator, value=interval.estimate, low=interval.low, high=interval.high)
