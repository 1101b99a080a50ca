"""What a server says of itself over HTTP: an address goes in; pages, and metrics as numbers, come out."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

PATIENCE_S = 30.0


@dataclass(frozen=True)
class Page:
    status: int
    headers: Mapping[str, str]
    content: str


@dataclass(frozen=True)
class Scrape:
    """All samples of one look."""

    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float | None:
        """The sample with exactly these labels, None where there is none."""
        return self.samples.get((name, frozenset(labels.items())))


async def page(address: str, path: str, *, method: str = "GET", **headers: str) -> Page:
    def get() -> Page:
        connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Page(answer.status, names, answer.read().decode())
        finally:
            connection.close()

    return await asyncio.to_thread(get)


async def scrape(app: Any) -> Scrape:
    found = await page(app.http_address, "/metrics")
    assert found.status == 200
    return Scrape(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(found.content)
            for sample in family.samples
        }
    )


async def scrape_until(app: Any, condition: Callable[[Scrape], bool]) -> Scrape:
    """Look again and again until `condition` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition(seen := await scrape(app)):
            pass
        return seen
