"""Metrics of retrieval: the indexes' service goes in; how much they find, and what they did and met, comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from audotics.server.retrieval.counters import Counts
from audotics.server.services.indexes import IndexRecall, IndexService

_INDEX: Final = ("model", "version")

_TOTALS: Final = {
    "searches": ("audotics_index_searches", "Queries that were searched."),
    "device_fallbacks": (
        "audotics_index_device_fallbacks",
        "Times that the CPU took over an index because a GPU was missing, failed, or had too little memory.",
    ),
    "exact_filtered": ("audotics_index_filtered_exact", "Filtered searches that compared every matching row."),
    "indexed_filtered": ("audotics_index_filtered_indexed", "Filtered searches that went through the index."),
    "completed": ("audotics_index_completed", "Searches that an index left short, so that they were done again."),
    "recall_samples": ("audotics_index_recall_samples", "Queries that were searched again exactly."),
    "recall_skipped": ("audotics_index_recall_skipped", "Queries that were to be, while too many waited."),
    "compactions": ("audotics_index_compactions", "Indexes that have taken up what had changed beside them."),
    "swaps_blocked": (
        "audotics_index_swaps_blocked",
        "Indexes that were not put in service because they find too little.",
    ),
}


def read_indexes(indexes: IndexService) -> Iterator[Metric]:
    """The figures of `GetRecallReport`, but for held-out queries, whose search would take seconds."""
    report = indexes.report_now()
    yield from _recalls(report.indexes)
    yield from _sizes(report.indexes)
    yield from _totals(report.counts)


def _recalls(indexes: tuple[IndexRecall, ...]) -> Iterator[Metric]:
    live = GaugeMetricFamily(
        "audotics_index_recall", "Share of the best rows that the last sampled searches found.", labels=_INDEX
    )
    window = GaugeMetricFamily(
        "audotics_index_recall_window", "Sampled searches that this share is the mean of.", labels=_INDEX
    )
    built = GaugeMetricFamily(
        "audotics_index_recall_built", "The same share for its held-out queries when it was built.", labels=_INDEX
    )
    target = GaugeMetricFamily("audotics_index_recall_target", "The share that it was built to reach.", labels=_INDEX)
    for index in indexes:
        labels, goal = _labels(index), index.status.index.stored.recall
        window.add_metric(labels, index.live_count)
        if index.live is not None:
            live.add_metric(labels, index.live)
        if goal is not None:
            built.add_metric(labels, goal.measured)
            target.add_metric(labels, goal.target)
    yield from (live, window, built, target)


def _sizes(indexes: tuple[IndexRecall, ...]) -> Iterator[Metric]:
    rows = GaugeMetricFamily("audotics_index_rows", "Rows that can be found.", labels=_INDEX)
    delta = GaugeMetricFamily(
        "audotics_index_delta_rows", "Rows beside the index, which every search compares.", labels=_INDEX
    )
    deleted = GaugeMetricFamily("audotics_index_tombstones", "Deleted rows that are in it still.", labels=_INDEX)
    on_device = GaugeMetricFamily("audotics_index_on_gpu", "Whether it is searched on a GPU.", labels=_INDEX)
    for each in indexes:
        labels, index = _labels(each), each.status.index
        rows.add_metric(labels, index.live_count)
        delta.add_metric(labels, index.delta_size)
        deleted.add_metric(labels, len(index.deleted))
        on_device.add_metric(labels, index.on_device)
    yield from (rows, delta, deleted, on_device)


def _totals(counts: Counts) -> Iterator[Metric]:
    for name, value in asdict(counts).items():
        metric, text = _TOTALS[name]
        yield CounterMetricFamily(metric, text, value=value)


def _labels(index: IndexRecall) -> tuple[str, str]:
    return index.status.name, str(index.status.version)
