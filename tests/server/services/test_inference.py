"""Inference across requests: what runs together, and what each caller gets of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from audotics.bundle.store import BundleStore
from audotics.server.errors import DeadlineError, NotFoundError
from audotics.server.repository.registry import Registry
from audotics.server.services.inference import InferenceService, InferQuery
from audotics.server.services.tensors import TensorError

Feeds = dict[str, NDArray[Any]]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
async def service(repository: Any, executor: ThreadPoolExecutor) -> AsyncIterator[InferenceService]:
    async with Registry(BundleStore(repository.path), executor=executor) as registry:
        await registry.start()
        async with InferenceService(registry=registry, executor=executor) as service:
            yield service


def pairs(seed: int, *, rows: int = 5, length: int = 3) -> Feeds:
    random = np.random.default_rng(seed)
    return {
        "history": random.integers(0, 200, (2, length)),
        "user_index": random.integers(0, 2, rows),
        "track": random.integers(0, 200, rows),
    }


async def together(
    service: InferenceService, executor: ThreadPoolExecutor, model: str, queries: list[Feeds]
) -> list[Any]:
    """Send `queries` while the only thread is held, so that all of them wait."""
    free = threading.Event()
    executor.submit(free.wait)
    callee = service.find(model)
    tasks = [asyncio.ensure_future(service.infer(callee, InferQuery(feeds))) for feeds in queries]
    for _ in range(5):
        await asyncio.sleep(0)  # turns of the loop, after which every task has submitted
    free.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_waiting_requests_run_in_one_call(service: InferenceService, executor: ThreadPoolExecutor) -> None:
    queries = [pairs(seed, rows=1 + seed, length=3) for seed in range(8)]
    answers = await together(service, executor, "ncf", queries)
    statistics = service.statistics.of("ncf", 1)
    # The first found the batcher idle and went alone.
    assert (statistics.success.count, statistics.executions) == (8, 2)
    for feeds, answer in zip(queries, answers, strict=True):
        alone = service.find("ncf").model.run(feeds, ["logit"])[0]
        np.testing.assert_allclose(answer.arrays[0], alone, rtol=1e-5, atol=1e-6)


async def test_histories_of_other_lengths_are_filled_up(
    service: InferenceService, executor: ThreadPoolExecutor
) -> None:
    queries = [pairs(seed, length=5 + seed % 4) for seed in range(9)]
    answers = await together(service, executor, "ncf", queries)
    assert service.statistics.of("ncf", 1).executions == 2
    for feeds, answer in zip(queries, answers, strict=True):
        np.testing.assert_allclose(answer.arrays[0], service.find("ncf").model.run(feeds, ["logit"])[0], rtol=1e-5)


async def test_one_that_fails_takes_nobody_with_it(service: InferenceService, executor: ThreadPoolExecutor) -> None:
    queries = [pairs(seed) for seed in range(6)]
    queries[3]["track"][2] = 10**6
    answers = await together(service, executor, "ncf", queries)
    assert [isinstance(answer, TensorError) for answer in answers] == [place == 3 for place in range(6)]
    statistics = service.statistics.of("ncf", 1)
    assert (statistics.success.count, statistics.failure.count) == (5, 1)


async def test_time_that_is_up_while_waiting_ends_the_wait(
    service: InferenceService, executor: ThreadPoolExecutor
) -> None:
    free = threading.Event()
    executor.submit(free.wait)
    callee = service.find("ncf")
    with pytest.raises(DeadlineError):
        await service.infer(callee, InferQuery(pairs(1), deadline=time.monotonic() + 0.02))
    free.set()
    assert service.statistics.of("ncf", 1).failure.count == 1


async def test_versions_are_found_by_number(service: InferenceService, repository: Any) -> None:
    callee = service.find("ncf", version=1)
    with pytest.raises(NotFoundError, match="ncf/2"):
        service.find("ncf", version=2)
    assert service.find("ncf").signature is callee.signature
    answer = await service.infer(callee, InferQuery(pairs(0)))
    assert answer.outputs == ("logit",)


@pytest.mark.parametrize("model", ["collaborative", "content", "ncf", "hybrid"])
async def test_models_of_independent_rows_have_a_plan(model: str, service: InferenceService) -> None:
    assert service.find(model).signature.plan is not None
