"""A model that takes for ever to warm up: it is refused with the reason, and holds up nothing but itself."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from audotics.bundle.runtime import RuntimeChoice
from audotics.bundle.store import Bundle
from audotics.server.errors import RefusedModelError
from audotics.server.repository.history import ModelChange
from audotics.server.repository.policy import VersionPolicies
from audotics.server.repository.registry import Registry
from audotics.server.repository.status import VersionState
from audotics.server.runtime.counted import CountedModel, RunCounts
from audotics.server.runtime.opening import RuntimeOpener
from audotics.server.runtime.supervisor import RunSupervisor
from audotics.server.types import TrackRecord
from tests.counting_model import FOR_EVER, write_counting_model, write_slow_constants

Open = Callable[..., AbstractAsyncContextManager[Registry]]
REASON = (
    "counting/1: it did not finish its warm-up within {limit} s; look for a loop in it that never ends, record fewer "
)


class Told(asyncio.Queue[tuple[str, str]]):
    """What happened to versions: an event, and a version of a model."""

    def __call__(self, changes: Sequence[ModelChange]) -> None:
        for change in changes:
            self.put_nowait((change.event.value, f"{change.model}/{change.version}"))

    def left(self) -> list[tuple[str, str]]:
        return [self.get_nowait() for _ in range(self.qsize())]

    async def until(self, event: str, version: str) -> None:
        while await self.get() != (event, version):
            pass


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def patient() -> Iterator[RunSupervisor]:
    """Ends nothing before it is hurried."""
    with RunSupervisor(limit_s=3600) as supervisor:
        yield supervisor


@pytest.fixture
def opened(repository: Any, told: Told) -> Open:
    @asynccontextmanager
    async def opening(supervisor: RunSupervisor, **options: Any) -> AsyncIterator[Registry]:
        with ThreadPoolExecutor(1) as executor, ThreadPoolExecutor(4) as preparing:
            async with Registry(
                repository.store,
                executor=executor,
                preparing=preparing,
                on_changed=told,
                **{"runtimes": RuntimeOpener(supervisor=supervisor)} | options,
            ) as registry:
                await registry.start()
                try:
                    yield registry
                finally:
                    supervisor.hurry()

    return opening


async def states(registry: Registry, name: str) -> Mapping[int, VersionState]:
    return {status.version: status.state for status in (await registry.model(name)).versions}


async def test_it_is_refused_and_the_others_serve(repository: Any, opened: Open) -> None:
    write_counting_model(repository.store, recorded=FOR_EVER)
    write_counting_model(repository.store, "another")
    with RunSupervisor(limit_s=0.2) as supervisor:
        async with opened(supervisor) as registry:
            (status,) = (await registry.model("counting")).versions
            assert status.state is VersionState.REFUSED
            assert status.reason.startswith(REASON.format(limit=0.2))
            assert status.reason.endswith("or raise run_limit_s")
            assert registry.loaded_versions("another") == [1]
            assert registry.snapshot.hybrid is not None
            with pytest.raises(RefusedModelError, match="did not finish its warm-up within"):
                await registry.load_version("counting", 1)


async def test_one_whose_runs_cannot_be_ended_is_refused_and_left_behind(repository: Any, opened: Open) -> None:
    never = threading.Event()

    class Silent(CountedModel):
        ends = False

        def run(self, *_: Any, **__: Any) -> list[np.ndarray[Any, Any]]:
            never.wait()
            return []

    class Silencing(RuntimeOpener):
        def open(self, bundle: Bundle, choice: RuntimeChoice) -> CountedModel:
            opened = super().open(bundle, choice)
            if bundle.manifest.name != "counting":
                return opened
            silent = Silent(opened, RunCounts())
            silent.ends = False
            return silent

    write_counting_model(repository.store)
    with RunSupervisor(limit_s=0.1) as supervisor:
        async with opened(supervisor, runtimes=Silencing(supervisor=supervisor)) as registry:
            (status,) = (await registry.model("counting")).versions
            assert status.reason.startswith(
                "counting/1: it did not finish its warm-up within 0.1 s; its runtime cannot end a run, so a thread goes"
            )
            assert registry.snapshot.hybrid is not None
    never.set()


async def test_a_graph_that_takes_too_long_to_open_is_refused(repository: Any, opened: Open, sign_again: Any) -> None:
    """ONNX Runtime computes what depends on no input when it opens a file."""
    write_counting_model(repository.store)
    bundle = repository.path / "counting" / "1"
    write_slow_constants(bundle / "model.onnx")
    sign_again(bundle)
    with RunSupervisor(limit_s=0.1) as supervisor:
        async with opened(supervisor) as registry:
            (status,) = (await registry.model("counting")).versions
            assert status.reason.startswith(
                "counting/1: ONNX Runtime did not open 'model.onnx' within 0.1 s, and a thread"
            )
    for thread in threading.enumerate():
        if thread.name == "audotics-bounded":
            thread.join()  # it could not be told to stop


async def test_changes_do_not_wait_for_a_version_that_is_loaded(
    repository: Any, make_repository: Any, opened: Open, patient: RunSupervisor
) -> None:
    async with opened(patient) as registry:
        write_counting_model(repository.store, recorded=FOR_EVER)
        make_repository(repository.path)
        slow = asyncio.create_task(registry.load_version("counting", 1))
        await asyncio.sleep(0)  # it asks first
        await registry.load_version("hybrid", 2)
        await registry.set_label("hybrid", "stable", 1)
        await registry.apply_tracks(upserts=[TrackRecord("fresh", artist="Artist 00")])
        await registry.rollback("hybrid")
        assert not slow.done()
        patient.hurry()
        with pytest.raises(RefusedModelError, match="did not finish its warm-up"):
            await slow
        assert registry.snapshot.catalog.row_of("fresh") >= 0
        assert await states(registry, "counting") == {1: VersionState.REFUSED}


async def test_versions_that_appear_do_not_wait_for_each_other(
    repository: Any, make_repository: Any, opened: Open, told: Told, patient: RunSupervisor
) -> None:
    async with opened(patient) as registry:
        write_counting_model(repository.store, recorded=FOR_EVER)
        await registry.follow()
        make_repository(repository.path)
        await registry.follow()
        await told.until("in_service", "hybrid/2")
        await registry.follow()
        assert await states(registry, "counting") == {1: VersionState.ON_DISK}
        patient.hurry()
        await told.until("refused", "counting/1")
        await registry.settled()
        assert await states(registry, "counting") == {1: VersionState.REFUSED}
        await registry.follow()
        await registry.settled()
        assert all(event != "refused" for event, _ in told.left())  # it is not tried again before its files change


async def test_where_the_newest_turns_out_to_be_slow_the_one_before_serves(
    repository: Any, opened: Open, told: Told, patient: RunSupervisor
) -> None:
    async with opened(patient) as registry:
        write_counting_model(repository.store)
        write_counting_model(repository.store, recorded=FOR_EVER)
        await registry.follow()
        assert registry.loaded_versions("counting") == []
        patient.hurry()
        await told.until("in_service", "counting/1")
        assert await states(registry, "counting") == {2: VersionState.REFUSED, 1: VersionState.IN_SERVICE}


async def test_a_label_stands_for_the_version_before_until_its_own_is_there(repository: Any, opened: Open) -> None:
    for _ in range(2):
        write_counting_model(repository.store)
    for label in ("stable", "canary"):
        repository.store.set_label("counting", label, 2)
    with RunSupervisor(limit_s=3600) as supervisor:
        async with opened(supervisor) as registry:
            assert registry.loaded_versions("counting") == [2]
            for label in ("stable", "canary"):
                repository.store.set_label("counting", label, 1)
            await registry.follow()
            assert registry.loaded_versions("counting") == [2]  # the other is being loaded
            assert [registry.loaded("counting", label=label).version for label in ("stable", "canary")] == [2, 2]
            await registry.settled()
            assert [registry.loaded("counting", label=label).version for label in ("stable", "canary")] == [1, 1]
            assert registry.loaded("counting").version == 1


async def test_two_who_ask_for_the_same_version_load_it_once(repository: Any, opened: Open, told: Told) -> None:
    opens: list[str] = []

    class Counting(RuntimeOpener):
        def open(self, bundle: Bundle, choice: RuntimeChoice) -> CountedModel:
            opens.append(str(bundle))
            return super().open(bundle, choice)

    with RunSupervisor(limit_s=3600) as supervisor:
        async with opened(supervisor, runtimes=Counting(supervisor=supervisor)) as registry:
            write_counting_model(repository.store)
            await asyncio.gather(*(registry.load_version("counting", 1) for _ in range(3)), registry.follow())
            await registry.settled()
            assert registry.loaded_versions("counting") == [1]
            assert opens.count("counting/1") == 1


async def test_a_server_that_stops_takes_in_no_more(repository: Any, opened: Open, patient: RunSupervisor) -> None:
    async with opened(patient) as registry:
        write_counting_model(repository.store, recorded=FOR_EVER)
        await registry.follow()
        patient.hurry()
    assert registry.loaded_versions("counting") == []


async def test_versions_of_one_model_are_taken_in_together(repository: Any, opened: Open, told: Told) -> None:
    """They are loaded one after the other, and each waits for the last."""
    with RunSupervisor(limit_s=3600) as supervisor:
        async with opened(supervisor, policies=VersionPolicies.parse("all", {})) as registry:
            for _ in range(3):
                write_counting_model(repository.store)
            await registry.follow()
            async with asyncio.timeout(60):
                await registry.settled()
            assert registry.loaded_versions("counting") == [1, 2, 3]
            assert registry.loaded("counting").version == 3
            assert ("in_service", "counting/1") not in told.left()


async def test_what_was_loaded_before_its_turn_is_not_kept(
    repository: Any, opened: Open, patient: RunSupervisor
) -> None:
    """Neither for who asked, nor after the version is unloaded."""
    async with opened(patient) as registry:
        write_counting_model(repository.store)
        write_counting_model(repository.store)
        await registry.follow()
        await registry.settled()
        await registry.load_beside("counting", 1)
        models = {version: weakref.ref(registry.loaded("counting", version=version).model) for version in (1, 2)}
        for version in (1, 2):
            await registry.unload_version("counting", version)
        gc.collect()
        assert {version: model() for version, model in models.items()} == {1: None, 2: None}
