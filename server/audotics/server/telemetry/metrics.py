"""Metrics: what parts of the server count goes in when somebody looks, and the text that Prometheus reads comes out.

Parts count for themselves, in plain numbers. They are read only when metrics are asked for, so that a request pays for
no more than an addition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

Reader = Callable[[], Iterable[Metric]]
"""Gives what a part has counted so far. Called on the event loop, so it must not wait."""

ANY_FORMAT: Final = "*/*"


class Metrics:
    """Of one server. What its process takes is in them from the start."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def add(self, reader: Reader) -> None:
        """Have a part read from now on."""
        self._registry.register(_Part(reader))

    def render(self, accept: str = ANY_FORMAT) -> tuple[bytes, str]:
        """All metrics now, and their content type: Prometheus's text format, or OpenMetrics where that is accepted."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Part(Collector):
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def describe(self) -> Iterator[Metric]:
        """Nothing: names are those of what is read, which may not be there yet."""
        return iter(())

    def collect(self) -> Iterable[Metric]:
        return self._reader()
