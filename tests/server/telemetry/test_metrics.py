"""Counting and what Prometheus reads of it, without a server."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from audotics.server.telemetry.distribution import Distribution
from audotics.server.telemetry.metrics import Metrics
from audotics.server.telemetry.requests import RequestCounts

RECOMMEND = "/audotics.v1.RecommenderService/Recommend"
STREAM = "/audotics.v1.FeedbackService/StreamFeedback"


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.render()[0].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_value_counts_for_every_bound_that_it_does_not_exceed() -> None:
    distribution = Distribution((1, 2, 4))
    for value in (0.5, 1, 3, 4, 100):
        distribution.add(value)
    assert distribution.buckets() == [("1.0", 2.0), ("2.0", 2.0), ("4.0", 4.0), ("+Inf", 5.0)]
    assert (distribution.count, distribution.total) == (5, 108.5)


def test_calls_are_counted_by_method_and_code_and_timed_by_method() -> None:
    counts, metrics = RequestCounts(), Metrics()
    metrics.add(counts.read)
    for code, elapsed_s in (("OK", 0.0004), ("OK", 0.003), ("NOT_FOUND", 0.003)):
        counts.ended(RECOMMEND, code, elapsed_s)
    seen = samples(metrics)
    of = (("method", "Recommend"), ("service", "audotics.v1.RecommenderService"))
    assert seen["audotics_requests_total", (("code", "OK"), *of)] == 2
    assert seen["audotics_requests_total", (("code", "NOT_FOUND"), *of)] == 1
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in seen.items()
        if name == "audotics_request_duration_seconds_bucket"
    }
    assert (buckets["0.0005"], buckets["0.0025"], buckets["0.005"], buckets["+Inf"]) == (1, 1, 3, 3)
    assert round(seen["audotics_request_duration_seconds_sum", of], 6) == 0.0064


def test_streams_are_open_until_they_end_and_then_their_messages_count() -> None:
    counts, metrics = RequestCounts(), Metrics()
    metrics.add(counts.read)
    counts.stream_opened(STREAM)
    counts.stream_opened(STREAM)
    counts.stream_ended(STREAM, "CANCELLED", received=3, sent=2)
    seen = samples(metrics)
    of = (("method", "StreamFeedback"), ("service", "audotics.v1.FeedbackService"))
    assert seen["audotics_streams_open", of] == 1
    assert seen["audotics_requests_total", (("code", "CANCELLED"), *of)] == 1
    assert seen["audotics_stream_messages_total", (("direction", "received"), *of)] == 3
    assert seen["audotics_stream_messages_total", (("direction", "sent"), *of)] == 2
    assert not any(name == "audotics_request_duration_seconds_count" for name, _ in seen)


def test_a_part_is_read_at_every_look_and_belongs_to_one_server() -> None:
    looks = 0

    def read() -> Iterator[Metric]:
        nonlocal looks
        looks += 1
        yield GaugeMetricFamily("audotics_looks", "Looks so far.", value=looks)

    one, other = Metrics(), Metrics()
    one.add(read)
    assert looks == 0
    assert samples(one)["audotics_looks", ()] == 1
    assert samples(one)["audotics_looks", ()] == 2
    assert ("audotics_looks", ()) not in samples(other)
    assert samples(other)["process_resident_memory_bytes", ()] > 2**20


def test_openmetrics_is_given_where_it_is_accepted() -> None:
    metrics = Metrics()
    assert metrics.render()[1].startswith("text/plain; version=")
    content, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert content.endswith(b"# EOF\n")
