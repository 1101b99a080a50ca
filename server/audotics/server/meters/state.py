"""Metrics of state: the database, the caches, and what writes events and receipts go in, their metrics come out."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from audotics.server.pipeline.list_memory import ListMemory
from audotics.server.services.changes import Changes
from audotics.server.services.event_log import EventLog
from audotics.server.services.feedback import FeedbackService
from audotics.server.services.model_records import ModelRecords
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.storage.cache.redis import RedisCache
from audotics.server.storage.database import Database


def read_database(database: Database) -> Iterator[Metric]:
    """Whether it answers, as far as its last transaction says."""
    yield GaugeMetricFamily(
        "audotics_database_up", "Whether the last transaction did what it should.", value=database.up
    )
    yield CounterMetricFamily("audotics_database_failures", "Transactions that failed.", value=database.failures)


def read_caches(memory: ListMemory, shared: RedisCache | None) -> Iterator[Metric]:
    """Of lists: those of this process, and those in Redis where there is one."""
    label = ("cache",)
    looked_up = CounterMetricFamily(
        "audotics_cache_lookups", "Look-ups of lists, by what they found.", labels=(*label, "outcome")
    )
    evicted = CounterMetricFamily("audotics_cache_evictions", "Lists that made room for others.", labels=label)
    caches = {"process": memory.here.statistics} | ({} if shared is None else {"redis": shared.statistics})
    for name, counts in caches.items():
        looked_up.add_metric((name, "hit"), counts.hits)
        looked_up.add_metric((name, "miss"), counts.misses)
        looked_up.add_metric((name, "early"), counts.early)
        evicted.add_metric((name,), counts.evicted)
    yield from (looked_up, evicted)
    size = GaugeMetricFamily("audotics_cache_bytes", "What the lists in a cache take.", labels=label)
    size.add_metric(("process",), memory.here.size_bytes)
    yield size
    if shared is not None:
        up = GaugeMetricFamily("audotics_cache_up", "Whether the last exchange with a cache went well.", labels=label)
        up.add_metric(("redis",), shared.available)
        outages = CounterMetricFamily("audotics_cache_outages", "Times that a cache went away.", labels=label)
        outages.add_metric(("redis",), shared.statistics.outages)
        errors = CounterMetricFamily(
            "audotics_cache_errors", "Exchanges that did not happen, since a cache was away or too slow.", labels=label
        )
        errors.add_metric(("redis",), shared.statistics.lost)
        yield from (up, outages, errors)


def read_feedback(feedback: FeedbackService, log: EventLog, changes: Changes) -> Iterator[Metric]:
    """Events that came, those on their way to the disk, and who waits for what they change."""
    events = CounterMetricFamily(
        "audotics_feedback_events", "Events that were sent, by what became of them.", labels=("status",)
    )
    for status, count in feedback.counts.items():
        events.add_metric((status,), count)
    yield events
    yield GaugeMetricFamily(
        "audotics_feedback_waiting_events", "Events that wait for their transaction now.", value=log.waiting_events
    )
    yield GaugeMetricFamily("audotics_watchers", "Lists that are watched now.", value=len(changes))


def read_receipts(receipts: ReceiptWriter) -> Iterator[Metric]:
    """What was kept of the lists that were made."""
    yield CounterMetricFamily("audotics_receipts_written", "Receipts of lists in the database.", value=receipts.written)
    yield CounterMetricFamily("audotics_receipts_lost", "Receipts of lists that were lost.", value=receipts.dropped)
    yield GaugeMetricFamily("audotics_receipts_waiting", "Receipts that are not written yet.", value=receipts.waiting)


def read_model_records(records: ModelRecords) -> Iterator[Metric]:
    """What was kept of what happened to models."""
    yield CounterMetricFamily(
        "audotics_model_records_written", "Records of models in the database.", value=records.written
    )
    yield CounterMetricFamily("audotics_model_records_lost", "Records of models that were lost.", value=records.dropped)
    yield GaugeMetricFamily(
        "audotics_model_records_waiting", "Records of models that are not written yet.", value=records.waiting
    )
