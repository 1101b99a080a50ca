"""Metrics of what serves: the registry, the runs of models and the batchers go in, their metrics come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from audotics.server.batching.counts import BatchCounts
from audotics.server.errors import NotReadyError
from audotics.server.repository.registry import Registry
from audotics.server.runtime.counted import ModelRuns
from audotics.server.services.statistics import Statistics

_MODEL: Final = ("model", "version")


class Batching(Protocol):
    """A batcher, or several that count as one."""

    @property
    def counts(self) -> BatchCounts: ...

    @property
    def waiting_rows(self) -> int: ...


def read_models(registry: Registry, runs: ModelRuns, statistics: Statistics) -> Iterator[Metric]:
    """Which versions are loaded and serve, how often each ran, and what protocols of inference asked of it."""
    loaded = GaugeMetricFamily("audotics_model_loaded", "1 for each version that is loaded.", labels=_MODEL)
    serving = GaugeMetricFamily(
        "audotics_model_in_service", "Whether a loaded version is the one that serves by default.", labels=_MODEL
    )
    for (name, version), serves in registry.standing().items():
        loaded.add_metric((name, str(version)), 1)
        serving.add_metric((name, str(version)), serves)
    yield loaded
    yield serving
    refused = GaugeMetricFamily("audotics_model_versions_refused", "Versions on disk that could not be loaded.")
    refused.add_metric((), registry.refused_count)
    yield refused
    tracks = GaugeMetricFamily("audotics_catalog_tracks", "Tracks that can be found.")
    try:
        tracks.add_metric((), registry.snapshot.catalog.live_count)
    except NotReadyError:
        tracks.add_metric((), 0)
    yield tracks
    yield from _runs(runs)
    yield from _requests(statistics)


def _runs(runs: ModelRuns) -> Iterator[Metric]:
    ran = CounterMetricFamily("audotics_model_runs", "Runs of models that gave something.", labels=_MODEL)
    failed = CounterMetricFamily(
        "audotics_model_run_failures", "Runs in which a model failed, or could not be reached.", labels=_MODEL
    )
    seconds = CounterMetricFamily("audotics_model_run_seconds", "What runs of models took.", labels=_MODEL)
    fallbacks = CounterMetricFamily(
        "audotics_model_device_fallbacks", "Times that a model was opened on the CPU instead of a GPU.", labels=_MODEL
    )
    left = GaugeMetricFamily(
        "audotics_model_runs_left", "Runs that do not come back, for which nobody waits any more.", labels=_MODEL
    )
    for name, version, counts in runs:
        labels = (name, str(version))
        ran.add_metric(labels, counts.runs)
        failed.add_metric(labels, counts.failures)
        seconds.add_metric(labels, counts.seconds)
        fallbacks.add_metric(labels, counts.fallbacks)
        left.add_metric(labels, counts.left)
    yield from (ran, failed, seconds, fallbacks, left)


def _requests(statistics: Statistics) -> Iterator[Metric]:
    inferred = CounterMetricFamily(
        "audotics_inference_requests",
        "Requests of the Open Inference Protocol and of TensorFlow Serving's API, by what became of them.",
        labels=(*_MODEL, "outcome"),
    )
    waited = CounterMetricFamily(
        "audotics_inference_queue_seconds", "What such requests waited before they ran.", labels=_MODEL
    )
    for name, version, counts in statistics:
        labels = (name, str(version))
        inferred.add_metric((*labels, "answered"), counts.success.count)
        inferred.add_metric((*labels, "failed"), counts.failure.count)
        waited.add_metric(labels, counts.queue.ns / 1e9)
    yield from (inferred, waited)


def read_batchers(batchers: Mapping[str, Batching]) -> Iterator[Metric]:
    """What the batchers ran and turned away, and what waits in them. `batchers` are by name."""
    label = ("batcher",)
    rows = HistogramMetricFamily("audotics_batch_rows", "Rows of the batches that ran.", labels=label)
    jobs = CounterMetricFamily("audotics_batch_jobs", "Jobs that ran in batches.", labels=label)
    seconds = CounterMetricFamily("audotics_batch_seconds", "What batches took.", labels=label)
    alone = CounterMetricFamily("audotics_batcher_alone", "Jobs that ran at once, past the batcher.", labels=label)
    refused = CounterMetricFamily("audotics_batcher_refused", "Jobs that found no room in the queue.", labels=label)
    expired = CounterMetricFamily(
        "audotics_batcher_expired", "Jobs whose deadline passed before they were done.", labels=label
    )
    waiting = GaugeMetricFamily("audotics_batcher_waiting_rows", "Rows that wait now.", labels=label)
    for name, batcher in batchers.items():
        counts = batcher.counts
        rows.add_metric((name,), counts.rows.buckets(), counts.rows.total)
        jobs.add_metric((name,), counts.jobs)
        seconds.add_metric((name,), counts.busy_s)
        alone.add_metric((name,), counts.alone)
        refused.add_metric((name,), counts.refused)
        expired.add_metric((name,), counts.expired)
        waiting.add_metric((name,), batcher.waiting_rows)
    yield from (rows, jobs, seconds, alone, refused, expired, waiting)
