"""Probation: fresh versions that do worse than those before are rolled back."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from audotics.bundle.store import BundleStore
from audotics.server.errors import RefusedModelError
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.history import Cause, ModelEvent, Origin
from audotics.server.repository.registry import Registry
from audotics.server.services.probation import Probation, ProbationLimits
from audotics.server.services.recommend import RecommendService
from audotics.server.types import RecommendQuery, Subject
from tests.server.services.house import shorten_table

OLD, NEW = (("hybrid", 1), ("ncf", 1)), (("hybrid", 2), ("ncf", 2))


class Rollbacks:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.causes: list[Cause] = []

    async def __call__(self, name: str, *, cause: Cause) -> None:
        self.names.append(name)
        self.causes.append(cause)
        await asyncio.sleep(0)


@pytest.fixture
def watch():
    """A probation with small limits, on a clock that stands still, and what it rolled back."""
    rollbacks, clock = Rollbacks(), [0.0]
    limits = ProbationLimits(min_requests=20, settling=5, duration_s=60)
    return Probation(rollbacks, limits=limits, now=lambda: clock[0]), rollbacks, clock


async def feed(probation, versions, n, *, elapsed_s=0.01, failures=0):
    every = n // failures if failures else n + 1
    for number in range(n):
        probation.observe(versions, elapsed_s=elapsed_s, failed=number % every == every - 1)
    await probation.settled()


async def test_a_version_that_fails_is_rolled_back_once(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    await feed(probation, NEW, 40, failures=10)
    assert rollbacks.names == ["hybrid"]  # and its parts with it
    assert rollbacks.causes == [Cause(Origin.PROBATION, reason="25% of requests fail, where 0% did before")]
    assert probation.rollbacks == {"hybrid": 1}
    await feed(probation, OLD, 100)
    await feed(probation, NEW, 40, failures=10)  # somebody insists
    assert rollbacks.names == ["hybrid"]


async def test_what_was_under_way_at_a_rollback_does_not_become_the_measure(watch):
    """The next version, which fails as well, is compared with the one that did not."""
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    await feed(probation, NEW, 40, failures=10)
    await feed(probation, OLD, 10)
    await feed(probation, NEW, 3, failures=1)  # the last of those that were under way
    await feed(probation, OLD, 50)
    await feed(probation, (("hybrid", 3), ("ncf", 3)), 40, failures=10)
    assert rollbacks.names == ["hybrid", "hybrid"]


async def test_without_a_new_hybrid_each_changed_model_goes_back(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    await feed(probation, (("hybrid", 1), ("ncf", 2)), 40, failures=10)
    assert rollbacks.names == ["ncf"]


async def test_a_version_that_is_slow_is_rolled_back(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    await feed(probation, NEW, 60, elapsed_s=0.049)
    assert rollbacks.names == []
    await feed(probation, (("hybrid", 3), ("ncf", 3)), 60, elapsed_s=0.06)
    assert rollbacks.names == ["hybrid"]


async def test_a_version_that_is_slow_for_one_in_ten_is_rolled_back(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    for number in range(45):
        probation.observe(NEW, elapsed_s=0.2 if number % 10 == 0 else 0.01, failed=False)
    await probation.settled()
    assert rollbacks.names == ["hybrid"]
    assert rollbacks.causes[0].reason.startswith("the 95th percentile of times is ")


async def test_what_was_not_there_before_does_not_go_back(watch):
    probation, rollbacks, _ = watch
    await feed(probation, (("ncf", 1),), 100)
    await feed(probation, (("ncf", 2), ("sequence", 1)), 40, failures=10)
    assert rollbacks.names == ["ncf"]


async def test_a_version_that_does_no_worse_becomes_the_measure(watch):
    probation, rollbacks, clock = watch
    await feed(probation, OLD, 100, failures=10)
    await feed(probation, NEW, 100, failures=10, elapsed_s=0.03)
    clock[0] = 61.0
    await feed(probation, NEW, 1)
    await feed(probation, NEW, 1000, failures=500)
    assert rollbacks.names == []


async def test_a_few_requests_prove_nothing(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    await feed(probation, NEW, 10, failures=10)
    assert rollbacks.names == []


async def test_a_version_before_that_hardly_served_proves_nothing_either(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 20)  # the first five do not count
    await feed(probation, NEW, 40, failures=10)
    assert rollbacks.names == []


async def test_leaving_waits_for_a_rollback_under_way():
    rollbacks = Rollbacks()
    async with Probation(rollbacks, limits=ProbationLimits(min_requests=20, settling=0)) as probation:
        for versions, failed in ((OLD, False), (NEW, True)):
            for _ in range(20):
                probation.observe(versions, elapsed_s=0.01, failed=failed)
        assert rollbacks.names == []
    assert rollbacks.names == ["hybrid"]
    assert probation.rollbacks == {"hybrid": 1}


async def test_a_rollback_that_is_refused_is_said_and_the_others_go_back(watch, caplog):
    class Refusing(Rollbacks):
        async def __call__(self, name, *, cause):
            if name == "content":
                raise RefusedModelError("content: there is no version to go back to")
            await super().__call__(name, cause=cause)

    rollbacks = Refusing()
    probation = Probation(rollbacks, limits=ProbationLimits(min_requests=20, settling=0))
    await feed(probation, (("content", 1), ("ncf", 1)), 40)
    await feed(probation, (("content", 2), ("ncf", 2)), 40, failures=10)
    assert rollbacks.names == ["ncf"]
    assert probation.rollbacks == {"ncf": 1}
    assert "content cannot be rolled back: content: there is no version" in caplog.text


async def test_what_failed_long_ago_counts_no_more(watch):
    rollbacks = Rollbacks()
    probation = Probation(rollbacks, limits=ProbationLimits(min_requests=20, settling=0, window=50))
    await feed(probation, OLD, 50, failures=50)
    await feed(probation, OLD, 50)
    await feed(probation, NEW, 40, failures=10)
    assert rollbacks.causes == [Cause(Origin.PROBATION, reason="25% of requests fail, where 0% did before")]


async def test_versions_that_fail_on_live_requests_are_rolled_back(repository, make_repository, listeners, sign_again):
    make_repository(repository.path)
    shorten_table(repository.path / "ncf" / "2", sign_again)
    limits, told = ProbationLimits(min_requests=10, settling=0), []
    with ThreadPoolExecutor(2) as executor:
        async with (
            Registry(BundleStore(repository.path), executor=executor, on_changed=told.extend) as registry,
            Recommender(executor=executor) as recommender,
            Probation(registry.rollback, limits=limits) as probation,
        ):
            await registry.start()
            await registry.load_version("hybrid", 1)
            service = RecommendService(
                registry=registry, listeners=listeners, recommender=recommender, probation=probation
            )
            for number in range(20):
                await service.recommend(RecommendQuery(Subject("user", user_id=f"u{number:02d}"), limit=10))
            await registry.load_version("hybrid", 2)
            for number in range(20):
                answer = await service.recommend(RecommendQuery(Subject("user", user_id=f"u{number:02d}"), limit=10))
                assert len(answer.tracks) == 10  # degraded perhaps, but answered
                await probation.settled()
            assert dict(registry.snapshot.model_versions)["hybrid"] == 1
            assert answer.degraded == ()
            assert (await registry.model("hybrid")).labels == {"stable": 1}
            back = next(change for change in told if change.event is ModelEvent.BACK_IN_SERVICE)
            assert (back.cause.origin, back.version, back.replaced) == (Origin.PROBATION, 1, 2)
            assert "of requests fail, where 0% did before" in back.reason
