"""Inference across requests: what runs together, and what each caller gets of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.bundle.store import Bundle, BundleStore
from audotics.server.errors import DeadlineError, NotFoundError
from audotics.server.repository.loading import LoadedModel
from audotics.server.repository.policy import VersionPolicies
from audotics.server.repository.registry import Registry
from audotics.server.runtime.model import UnavailableModelError
from audotics.server.services.inference import Callee, InferenceService, InferQuery
from audotics.server.services.pace import Pace
from audotics.server.services.signature import Signature
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
    callee = service.find(model)
    return await all_waiting(service, executor, [(callee, InferQuery(feeds)) for feeds in queries])


async def all_waiting(
    service: InferenceService, executor: ThreadPoolExecutor, queries: list[tuple[Callee, InferQuery]]
) -> list[Any]:
    free = threading.Event()
    executor.submit(free.wait)
    tasks = [asyncio.ensure_future(service.infer(callee, query)) for callee, query in queries]
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


async def test_each_version_answers_its_own_callers(
    repository: Any, make_repository: Any, executor: ThreadPoolExecutor
) -> None:
    make_repository(repository.path, seed=8)
    async with Registry(
        BundleStore(repository.path), executor=executor, policies=VersionPolicies.parse("all", {})
    ) as registry:
        await registry.start()
        async with InferenceService(registry=registry, executor=executor) as service:
            callees = [service.find("ncf", version=version) for version in (1, 2)]
            queries = [(callees[seed % 2], InferQuery(pairs(seed))) for seed in range(8)]
            answers = await all_waiting(service, executor, queries)
            for (callee, query), answer in zip(queries, answers, strict=True):
                truth = callee.model.run(query.feeds, ["logit"])[0]
                np.testing.assert_allclose(answer.arrays[0], truth, rtol=1e-5, atol=1e-6)


async def test_each_caller_gets_the_outputs_that_were_asked_for(
    service: InferenceService, executor: ThreadPoolExecutor
) -> None:
    callee = service.find("hybrid")
    random = np.random.default_rng(5)
    feeds: Feeds = {
        name: random.uniform(0, 1, (3, shape[1])).astype(np.float32)
        for name, shape in ((spec.name, spec.shape) for spec in callee.model.inputs)
    }
    choices = [("score",), ("confidence",), ("confidence", "score"), ("score", "confidence")] * 2
    answers = await all_waiting(service, executor, [(callee, InferQuery(feeds, outputs=names)) for names in choices])
    for names, answer in zip(choices, answers, strict=True):
        assert answer.outputs == names
        for found, truth in zip(answer.arrays, callee.model.run(feeds, names), strict=True):
            np.testing.assert_allclose(found, truth, rtol=1e-5)


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


class Far:
    """A model on another server that answers once `gate` is open, and says what it was asked."""

    platform = "test"
    device = "cpu"
    waits: bool = True
    ends: bool = True
    inputs = (TensorSpec("x", "float32", (-1, 2)),)
    outputs = (TensorSpec("y", "float32", (-1,)),)

    def __init__(self, *, gate: threading.Event | None = None, error: Exception | None = None) -> None:
        self.axes: dict[str, tuple[int | str, ...]] = {"x": ("rows", 2), "y": ("rows",)}
        self.asked: list[tuple[int, float | None]] = []
        self._began = threading.Semaphore(0)
        self._gate, self._error = gate, error

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        self.asked.append((len(feeds["x"]), deadline))
        self._began.release()
        if self._gate is not None:
            assert self._gate.wait(20)
        if self._error is not None:
            raise self._error
        return [feeds["x"].sum(axis=1)]

    async def called(self) -> None:
        """Return when it was asked once more."""
        assert await asyncio.to_thread(self._began.acquire, timeout=20)

    def callee(self, bundle: Bundle) -> Callee:
        return Callee(Signature.of("far", LoadedModel(bundle, self, None, 0)), self, Pace())


def ones(rows: int) -> Feeds:
    return {"x": np.full((rows, 2), rows, np.float32)}


async def waiting(
    service: InferenceService, far: Far, callee: Callee, queries: list[InferQuery], *, first: Feeds
) -> list[asyncio.Task[Any]]:
    """Have as many calls of `first` under way as may be, and then send `queries`, which wait for one to end."""
    tasks = []
    for _ in range(4):
        tasks.append(asyncio.ensure_future(service.infer(callee, InferQuery(first))))
        await far.called()
    tasks += [asyncio.ensure_future(service.infer(callee, query)) for query in queries]
    for _ in range(5):
        await asyncio.sleep(0)  # turns of the loop, after which every task has submitted
    return tasks


async def test_requests_for_another_server_go_in_one_call_until_the_last_one_s_deadline(
    service: InferenceService, repository: Any
) -> None:
    gate = threading.Event()
    far = Far(gate=gate)
    callee = far.callee(repository.store.open("ncf", 1))
    deadlines = [time.monotonic() + seconds for seconds in (60, 50, 70)]
    queries = [InferQuery(ones(rows), deadline=deadlines[rows - 1]) for rows in (1, 2, 3)]
    tasks = await waiting(service, far, callee, queries, first=ones(1))
    gate.set()
    answers = (await asyncio.gather(*tasks))[4:]
    assert [answer.arrays[0].tolist() for answer in answers] == [[2.0], [4.0, 4.0], [6.0, 6.0, 6.0]]
    assert far.asked == [(1, None)] * 4 + [(6, deadlines[2])]


async def test_the_earliest_deadline_is_kept_while_the_call_goes_on_for_the_others(
    service: InferenceService, repository: Any
) -> None:
    gate = threading.Event()
    far = Far(gate=gate)
    callee = far.callee(repository.store.open("ncf", 1))
    patient = asyncio.ensure_future(service.infer(callee, InferQuery(ones(2))))
    with pytest.raises(DeadlineError):
        await service.infer(callee, InferQuery(ones(1), deadline=time.monotonic() + 0.05))
    assert not patient.done()
    gate.set()
    assert (await patient).arrays[0].tolist() == [4.0, 4.0]


async def test_a_server_that_is_away_is_called_once_for_all_who_wait(
    service: InferenceService, repository: Any
) -> None:
    gate = threading.Event()
    far = Far(gate=gate, error=UnavailableModelError("far/1: its server does not answer"))
    callee = far.callee(repository.store.open("ncf", 1))
    tasks = await waiting(service, far, callee, [InferQuery(ones(2))] * 5, first=ones(1))
    gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UnavailableModelError] * 9
    assert [rows for rows, _ in far.asked] == [1] * 4 + [10]
    assert service.statistics.of("far", 1).failure.count == 9


async def test_a_server_that_hangs_holds_up_no_other_model(service: InferenceService, repository: Any) -> None:
    gate = threading.Event()
    bundle = repository.store.open("ncf", 1)
    hanging, other = Far(gate=gate), Far()
    callee = hanging.callee(bundle)
    stuck = await waiting(service, hanging, callee, [InferQuery(ones(1))] * 36, first=ones(1))
    home = await asyncio.gather(*(service.infer(service.find("ncf"), InferQuery(pairs(seed))) for seed in range(8)))
    assert all(len(answer.arrays[0]) == 5 for answer in home)
    assert (await service.infer(other.callee(bundle), InferQuery(ones(3)))).arrays[0].tolist() == [6.0] * 3
    assert not any(task.done() for task in stuck)
    assert service.far.waiting_rows == 36
    gate.set()
    await asyncio.gather(*stuck)
    assert service.far.waiting_rows == 0
    assert service.far.counts.jobs == 41


async def test_what_goes_to_another_server_stays_small_enough_for_it(
    service: InferenceService, repository: Any
) -> None:
    gate = threading.Event()
    far = Far(gate=gate)
    far.inputs = (TensorSpec("x", "float32", (-1, 2**18)),)  # a row of a mebibyte
    far.axes = {"x": ("rows", 2**18), "y": ("rows",)}
    callee = far.callee(repository.store.open("ncf", 1))
    large: Feeds = {"x": np.zeros((1, 2**18), np.float32)}
    tasks = await waiting(service, far, callee, [InferQuery(large)] * 6, first=large)
    gate.set()
    await asyncio.gather(*tasks)
    assert sorted(rows for rows, _ in far.asked[4:]) == [2, 4]


async def test_an_operator_may_have_requests_run_one_by_one(repository: Any, executor: ThreadPoolExecutor) -> None:
    (repository.path / "ncf" / "runtime.json").write_text('{"runtime": "onnx", "join": false}')
    async with Registry(BundleStore(repository.path), executor=executor) as registry:
        await registry.start()
        async with InferenceService(registry=registry, executor=executor) as service:
            await together(service, executor, "ncf", [pairs(seed) for seed in range(6)])
            assert service.find("ncf").signature.plan is None
            assert service.statistics.of("ncf", 1).executions == 6


async def test_a_model_whose_runs_cannot_be_ended_holds_up_only_itself(
    repository: Any, service: InferenceService
) -> None:
    """The others share one thread."""
    gate = threading.Event()
    stuck = Far(gate=gate)
    stuck.waits = stuck.ends = False
    callee = stuck.callee(repository.store.open("ncf", 1))
    row: Feeds = {"x": np.ones((1, 2), np.float32)}
    try:
        tasks = [asyncio.ensure_future(service.infer(callee, InferQuery(row))) for _ in range(3)]
        await stuck.called()
        for seed in range(5):
            assert len((await service.infer(service.find("ncf"), InferQuery(pairs(seed)))).arrays[0]) == 5
        assert not any(task.done() for task in tasks)
    finally:
        gate.set()
    assert [inferred.arrays[0].tolist() for inferred in await asyncio.gather(*tasks)] == [[2.0]] * 3
