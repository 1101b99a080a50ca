"""Metrics of what is tried out: experiments, tilts, the shadow and fresh versions go in, their metrics come out."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from audotics.server.services.assigner import Assigner
from audotics.server.services.experiment_watch import ExperimentWatch
from audotics.server.services.learning import Learning
from audotics.server.services.probation import Probation
from audotics.server.services.shadow import Shadow


def read_experiments(assigner: Assigner, watch: ExperimentWatch) -> Iterator[Metric]:
    """Requests that arms made the lists of, and arms that guardrails stopped."""
    label = ("experiment", "arm")
    exposures = CounterMetricFamily(
        "audotics_experiment_exposures", "Requests that an arm answered, or failed to.", labels=label
    )
    for names, count in assigner.exposures.items():
        exposures.add_metric(names, count)
    stops = CounterMetricFamily("audotics_experiment_guardrail_stops", "Arms that were stopped here.", labels=label)
    for names, count in watch.stops.items():
        stops.add_metric(names, count)
    running = GaugeMetricFamily("audotics_experiments_running", "Experiments that run.")
    running.add_metric((), len(assigner.experiments))
    yield from (exposures, stops, running)


def read_learning(learning: Learning) -> Iterator[Metric]:
    """What became of policies over tilts of the hybrid's weights."""
    updates = CounterMetricFamily(
        "audotics_learning_updates", "Policies on this server, by what became of them.", labels=("outcome",)
    )
    for outcome, count in learning.outcomes.items():
        updates.add_metric((outcome,), count)
    yield updates


def read_shadow(shadow: Shadow) -> Iterator[Metric]:
    """The comparison that goes on; it begins anew whenever other versions get the label."""
    report = shadow.report()
    if report is None:
        return
    yield GaugeMetricFamily("audotics_shadow_requests", "Requests that were compared.", value=report.request_count)
    yield GaugeMetricFamily(
        "audotics_shadow_failures", "Requests that the shadow failed to answer.", value=report.failure_count
    )
    yield GaugeMetricFamily(
        "audotics_shadow_skipped", "Requests that came while it was busy with another.", value=report.skipped_count
    )
    yield GaugeMetricFamily(
        "audotics_shadow_overlap", "Share of the first tracks that both lists have.", value=report.overlap_at_k
    )
    yield GaugeMetricFamily(
        "audotics_shadow_score_drift",
        "How much higher it scores its own tracks, in standard deviations of the list in service.",
        value=report.score_drift,
    )


def read_probation(probation: Probation) -> Iterator[Metric]:
    """Fresh versions that did worse than those before."""
    rollbacks = CounterMetricFamily(
        "audotics_automatic_rollbacks", "Models that were rolled back because they did worse.", labels=("model",)
    )
    for name, count in probation.rollbacks.items():
        rollbacks.add_metric((name,), count)
    yield rollbacks
