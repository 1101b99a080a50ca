"""Counts of requests: how each call ended and how long it took goes in, metrics by service and method come out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from audotics.server.telemetry.distribution import Distribution

_BOUNDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHOD: Final = ("service", "method")


class RequestCounts:
    """Counts for the event loop alone. A method is known as gRPC has it, "/audotics.v1.ModelService/GetModel"."""

    def __init__(self) -> None:
        self._ended: Counter[tuple[str, str]] = Counter()
        self._times: dict[str, Distribution] = {}
        self._open: Counter[str] = Counter()
        self._messages: Counter[tuple[str, str]] = Counter()

    def ended(self, method: str, code: str, elapsed_s: float) -> None:
        """Count a call with one answer."""
        self._ended[method, code] += 1
        times = self._times.get(method)
        if times is None:
            times = self._times[method] = Distribution(_BOUNDS_S)
        times.add(elapsed_s)

    def stream_opened(self, method: str) -> None:
        self._open[method] += 1

    def stream_ended(self, method: str, code: str, *, received: int, sent: int) -> None:
        """Count a stream that was opened, and its messages. How long it was open says nothing about the server."""
        self._ended[method, code] += 1
        self._open[method] -= 1
        self._messages[method, "received"] += received
        self._messages[method, "sent"] += sent

    def read(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "audotics_requests", "Calls that have ended, by their gRPC status.", labels=(*_METHOD, "code")
        )
        for (method, code), count in self._ended.items():
            ended.add_metric((*_parts(method), code), count)
        times = HistogramMetricFamily(
            "audotics_request_duration_seconds", "How long calls with one answer took in the server.", labels=_METHOD
        )
        for method, distribution in self._times.items():
            times.add_metric(_parts(method), distribution.buckets(), distribution.total)
        streams = GaugeMetricFamily("audotics_streams_open", "Streams that are open now.", labels=_METHOD)
        for method, count in self._open.items():
            streams.add_metric(_parts(method), count)
        messages = CounterMetricFamily(
            "audotics_stream_messages", "Messages of streams that have ended.", labels=(*_METHOD, "direction")
        )
        for (method, direction), count in self._messages.items():
            messages.add_metric((*_parts(method), direction), count)
        yield from (ended, times, streams, messages)


def _parts(method: str) -> tuple[str, str]:
    service, _, name = method.removeprefix("/").rpartition("/")
    return service, name
