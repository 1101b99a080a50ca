"""Between the values of experiments and protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC

from google.protobuf.duration_pb2 import Duration

from audotics.client.arguments import Mood, Objectives
from audotics.client.codec.recommendations import encode_models, encode_objectives
from audotics.client.codec.scalars import member, received
from audotics.client.results import experiments as values
from audotics.v1 import experiment_service_pb2 as pb


def encode_plan(plan: values.ExperimentPlan) -> pb.Experiment:
    """Raises ValueError for an unknown metric."""
    window = Duration()
    window.FromNanoseconds(round(plan.window_s * 1e9))
    return pb.Experiment(
        name=plan.name,
        description=plan.description,
        layer=plan.layer,
        traffic_share=plan.traffic_share,
        arms=[_encode_arm(arm) for arm in plan.arms],
        control=plan.control or "",
        metric=encode_metric(plan.metric),
        window=window,
        smallest_lift=plan.smallest_lift,
        guardrails=pb.Guardrails(**asdict(plan.guardrails)),
        overrides=dict(plan.overrides),
    )


def encode_metric(metric: values.Metric | str) -> str:
    """The name of the enum's value. Raises ValueError for an unknown one."""
    return f"METRIC_{member('metric', metric, values.Metric).name}"


def encode_rule(rule: values.PolicyRule) -> pb.PolicyRule:
    """Raises ValueError for an unknown mood."""
    moods = [f"MOOD_{member('moods', mood, Mood).name}" for mood in rule.moods]
    return pb.PolicyRule(min_history=rule.min_history, max_history=rule.max_history, moods=moods, arms=dict(rule.arms))


def decode_experiment(message: pb.Experiment) -> values.Experiment:
    names = [item.name for item in fields(values.Guardrails)]
    return values.Experiment(
        plan=values.ExperimentPlan(
            name=message.name,
            arms=tuple(_decode_arm(arm) for arm in message.arms),
            description=message.description,
            layer=message.layer,
            traffic_share=message.traffic_share,
            control=message.control,
            metric=_metric(message.metric),
            window_s=message.window.seconds + message.window.nanos / 1e9,
            smallest_lift=message.smallest_lift,
            guardrails=values.Guardrails(**{name: getattr(message.guardrails, name) for name in names}),
            overrides=dict(message.overrides),
        ),
        state=received(message.state, pb.ExperimentState.Name, "EXPERIMENT_STATE_", values.ExperimentState),
        created_at=message.created_at.ToDatetime(tzinfo=UTC),
        stopped_at=message.stopped_at.ToDatetime(tzinfo=UTC) if message.HasField("stopped_at") else None,
        records=tuple(
            values.ExperimentRecord(
                at=record.at.ToDatetime(tzinfo=UTC),
                event=received(record.event, pb.ExperimentEvent.Name, "EXPERIMENT_EVENT_", values.ExperimentEvent),
                arm=record.arm,
                detail=record.detail,
            )
            for record in message.records
        ),
    )


def decode_report(message: pb.ReportExperimentResponse) -> values.ExperimentReport:
    return values.ExperimentReport(
        experiment=decode_experiment(message.experiment),
        arms=tuple(
            values.ArmReport(
                arm=arm.arm,
                listeners=arm.listeners,
                observed_listeners=arm.observed_listeners,
                lists=arm.lists,
                metrics={_metric(item.metric): item.value if item.HasField("value") else None for item in arm.metrics},
            )
            for arm in message.arms
        ),
        comparisons=tuple(_decode_comparison(comparison) for comparison in message.comparisons),
        sample_ratio=values.SampleRatio(
            p_value=message.sample_ratio.p_value,
            alarm=message.sample_ratio.alarm,
            expected_listeners=dict(message.sample_ratio.expected_listeners),
        ),
        winner=message.winner,
        notes=tuple(message.notes),
    )


def decode_promotion(message: pb.PromoteArmResponse) -> values.Promotion:
    versions = {item.model: item.version for item in message.promoted}
    return values.Promotion(decode_experiment(message.experiment), versions)


def decode_estimates(message: pb.EvaluatePolicyResponse) -> values.PolicyEstimates:
    return values.PolicyEstimates(
        estimates=tuple(
            values.PolicyEstimate(
                estimator=received(item.estimator, pb.Estimator.Name, "ESTIMATOR_", values.Estimator),
                value=item.value,
                low=item.low,
                high=item.high,
            )
            for item in message.estimates
        ),
        logged_value=message.logged_value,
        lists=message.lists,
        listeners=message.listeners,
        effective_lists=message.effective_lists,
    )


def _encode_arm(arm: values.Arm) -> pb.Arm:
    return pb.Arm(
        name=arm.name,
        share=arm.share,
        models=encode_models(arm.model_label, arm.model_versions),
        diversity=arm.diversity,
        objectives=None if arm.objectives is None else encode_objectives(arm.objectives),
        component_weights=dict(arm.component_weights),
        pipeline=None if arm.pipeline is None else pb.PipelineSettings(**asdict(arm.pipeline)),
    )


def _decode_arm(message: pb.Arm) -> values.Arm:
    return values.Arm(
        name=message.name,
        share=message.share,
        model_label=message.models.label or None,
        model_versions={item.model: item.version for item in message.models.versions},
        diversity=message.diversity if message.HasField("diversity") else None,
        objectives=Objectives(**_numbers(message.objectives, Objectives)) if message.HasField("objectives") else None,
        component_weights=dict(message.component_weights),
        pipeline=values.PipelineSettings(**_set_fields(message.pipeline)) if message.HasField("pipeline") else None,
        stopped_reason=message.stopped_reason,
    )


def _decode_comparison(message: pb.Comparison) -> values.Comparison:
    numbers = {name: getattr(message, name) if message.HasField(name) else None for name in _COMPARED}
    return values.Comparison(arm=message.arm, metric=_metric(message.metric), **numbers)


_COMPARED = ("lift", "low", "high", "p_value")


def _metric(number: int) -> values.Metric:
    return received(number, pb.Metric.Name, "METRIC_", values.Metric)


def _numbers(message: object, kind: type[Objectives]) -> Mapping[str, float]:
    return {item.name: getattr(message, item.name) for item in fields(kind)}


def _set_fields(message: pb.PipelineSettings) -> dict[str, int]:
    return {field.name: value for field, value in message.ListFields()}
