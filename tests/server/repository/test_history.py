"""What a registry tells of versions: every change once, with who caused it and why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from audotics.server.errors import RefusedModelError
from audotics.server.repository.history import Cause, ModelChange, ModelEvent, Origin, refusals
from audotics.server.repository.policy import VersionPolicies
from audotics.server.repository.registry import Registry

BY_ANN = Cause(Origin.OPERATOR, caller="10.0.0.1")

Open = Callable[..., AbstractAsyncContextManager[Registry]]


class Told:
    """Takes what a registry tells, and gives it out once."""

    def __init__(self) -> None:
        self._changes: list[ModelChange] = []

    def __call__(self, changes: Sequence[ModelChange]) -> None:
        self._changes += changes

    def changes(self) -> list[ModelChange]:
        taken, self._changes = self._changes, []
        return taken


def brief(changes: Sequence[ModelChange]) -> list[tuple[str, str, int]]:
    return [(change.event.value, f"{change.model}/{change.version}", change.replaced) for change in changes]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def opened(repository: Any, threads: ThreadPoolExecutor, told: Told) -> Open:
    @asynccontextmanager
    async def opening(**options: Any) -> AsyncIterator[Registry]:
        async with Registry(repository.store, executor=threads, on_changed=told, **options) as registry:
            await registry.start()
            yield registry

    return opening


async def test_a_start_tells_what_serves(opened: Open, told: Told) -> None:
    async with opened() as registry:
        changes = told.changes()
        assert {change.cause for change in changes} == {Cause(Origin.START)}
        models = ("catalog", "collaborative", "content", "hybrid", "ncf")
        assert brief(changes) == [("in_service", f"{model}/1", 0) for model in models]
        digests = {change.model: change.digest for change in changes}
        assert digests["catalog"] == registry.snapshot.catalog.bundle_digest
        assert digests["ncf"] == registry.loaded("ncf").bundle.manifest.digest


async def test_labels_that_a_start_finds_are_not_told_as_given(repository: Any, opened: Open, told: Told) -> None:
    repository.store.set_label("ncf", "stable", 1)
    async with opened():
        assert {change.event for change in told.changes()} == {ModelEvent.IN_SERVICE}


async def test_a_hybrid_and_its_parts_come_go_and_come_back(
    repository: Any, make_repository: Any, opened: Open, told: Told
) -> None:
    parts = ("collaborative", "content", "hybrid", "ncf")
    async with opened() as registry:
        told.changes()
        make_repository(repository.path)
        await registry.follow()
        changes = told.changes()
        assert {change.cause for change in changes} == {Cause(Origin.REPOSITORY)}
        assert brief(changes) == [("in_service", f"{part}/2", 1) for part in ("catalog", *parts)]
        await registry.rollback("hybrid", cause=BY_ANN)
        changes = told.changes()
        assert {change.cause for change in changes} == {BY_ANN}
        assert brief(changes) == [*(("back_in_service", f"{part}/1", 2) for part in parts), ("labelled", "hybrid/1", 0)]
        await registry.set_label("hybrid", "stable", 2, cause=BY_ANN)
        assert brief(told.changes()) == [
            *(("in_service", f"{part}/2", 1) for part in parts),
            ("labelled", "hybrid/2", 1),
        ]


async def test_what_an_operator_does_to_one_version(
    repository: Any, make_repository: Any, opened: Open, told: Told
) -> None:
    async with opened() as registry:
        make_repository(repository.path, kinds=("ncf",))
        told.changes()
        await registry.load_beside("ncf", 2, cause=BY_ANN)
        await registry.load_beside("ncf", 2, cause=BY_ANN)  # nothing happens, and nothing is told
        await registry.set_label("ncf", "canary", 2, cause=BY_ANN)
        await registry.set_label("ncf", "canary", 1, cause=BY_ANN)
        await registry.set_label("ncf", "canary", None, cause=BY_ANN)
        await registry.unload_version("ncf", 2, cause=BY_ANN)
        await registry.unload_version("ncf", 1, cause=BY_ANN)
        changes = told.changes()
        assert {change.cause for change in changes} == {BY_ANN}
        assert all(change.digest for change in changes)
        assert [
            (change.event.value, change.version, change.replaced, change.label, change.reason) for change in changes
        ] == [
            ("loaded", 2, 0, "", ""),
            ("labelled", 2, 0, "canary", ""),
            ("labelled", 1, 2, "canary", ""),
            ("unlabelled", 1, 0, "canary", ""),
            ("unloaded", 2, 0, "", ""),
            ("out_of_service", 1, 0, "", "taken out of service by an operator"),
            ("unloaded", 1, 0, "", ""),
        ]


async def test_a_refusal_is_told_each_time_that_somebody_asks(
    repository: Any, make_repository: Any, opened: Open, told: Told
) -> None:
    async with opened() as registry:
        make_repository(repository.path, kinds=("ncf",))
        (repository.path / "ncf" / "2" / "model.onnx").write_bytes(b"altered")
        told.changes()
        for _ in range(2):
            with pytest.raises(RefusedModelError) as refused:
                await registry.load_version("ncf", 2, cause=BY_ANN)
            assert told.changes() == [ModelChange(ModelEvent.REFUSED, "ncf", 2, BY_ANN, reason=str(refused.value))]
        await registry.follow()  # the same files, refused for the same reason
        assert told.changes() == []


async def test_a_version_that_appears_and_does_not_hold_is_told_once(
    repository: Any, make_repository: Any, opened: Open, told: Told
) -> None:
    async with opened() as registry:
        make_repository(repository.path, kinds=("ncf",))
        (repository.path / "ncf" / "2" / "model.onnx").write_bytes(b"altered")
        told.changes()
        await registry.follow()
        await registry.follow()
        (change,) = told.changes()
        assert (change.event, change.model, change.version) == (ModelEvent.REFUSED, "ncf", 2)
        assert change.cause == Cause(Origin.REPOSITORY)
        assert "model.onnx" in change.reason


async def test_what_memory_has_no_room_for_is_evicted_and_not_just_unloaded(
    repository: Any, make_repository: Any, opened: Open, told: Told
) -> None:
    for _ in range(2):
        make_repository(repository.path, kinds=("ncf",))
    names = ("collaborative", "content", "hybrid", "ncf")
    policies = VersionPolicies.parse("1", {})
    async with opened(policies=policies) as registry:
        sizes = {name: registry.loaded(name).size_bytes / 2**20 for name in names}
    told.changes()
    async with opened(policies=policies, memory_mib=sum(sizes.values()) + 1.5 * sizes["ncf"]) as registry:
        await registry.load_beside("ncf", 2)
        told.changes()
        await registry.load_beside("ncf", 3, cause=BY_ANN)
        loaded, evicted = told.changes()
        assert (loaded.event, loaded.version) == (ModelEvent.LOADED, 3)
        assert (evicted.event, evicted.version, evicted.cause) == (ModelEvent.EVICTED, 2, BY_ANN)
        assert "models take more than model_memory_mib = " in evicted.reason
        await registry.unload_version("ncf", 3)
        await registry.load_beside("ncf", 2)  # what was evicted once
        told.changes()
        await registry.unload_version("ncf", 2)
        assert brief(told.changes()) == [("unloaded", "ncf/2", 0)]


def test_a_version_whose_server_stays_away_is_told_once() -> None:
    away, corrupt = ("far", 1), ("ncf", 2)
    first = {away: "its server does not answer (UNAVAILABLE)", corrupt: "its files are altered"}
    later = {away: "its server gave no answer within 1 s", corrupt: "its files are gone"}
    told = list(refusals({}, first, BY_ANN, unreachable={away}))
    assert [(change.model, change.reason) for change in told] == [("far", first[away]), ("ncf", first[corrupt])]
    (told_again,) = refusals(first, later, BY_ANN, unreachable={away})
    assert (told_again.model, told_again.reason) == ("ncf", later[corrupt])
