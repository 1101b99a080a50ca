"""Labels: what they put in service, what a restart and another writer make of them, and going back."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from audotics.bundle.errors import BundleError
from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError, NotReadyError, RefusedModelError
from audotics.server.repository.registry import Registry
from audotics.server.repository.stable_labels import StableLabels
from audotics.server.repository.status import VersionState
from audotics.server.repository.wishes import ModelWish, RefusedWishError
from audotics.server.types import DegradationReason, ModelSelector
from tests.server.repository.serving import all_at, served, states


async def test_stable_is_what_serves_whatever_appears(repository, make_repository, open_registry):
    async with open_registry(repository.path) as registry:
        await registry.set_label("hybrid", "stable", 1)
        make_repository(repository.path)
        await registry.follow()
        assert served(registry) == all_at(1)
        assert await states(registry, "hybrid") == {2: VersionState.LOADED, 1: VersionState.IN_SERVICE}
        await registry.load_version("hybrid", 2)
        assert served(registry) == all_at(1)
    async with open_registry(repository.path) as registry:
        assert served(registry) == all_at(1)
        await registry.set_label("hybrid", "stable", 2)
        assert served(registry) == all_at(2)


async def test_a_rollback_holds_after_a_restart(repository, make_repository, open_registry):
    make_repository(repository.path)
    async with open_registry(repository.path) as registry:
        status = await registry.rollback("hybrid")  # nothing served before in this process, so version 1 is loaded
        assert status.labels == {"stable": 1}
        assert served(registry) == all_at(1)
        await registry.follow()
        assert served(registry) == all_at(1)
    assert BundleStore(repository.path).labels("hybrid") == {"stable": 1}
    async with open_registry(repository.path) as registry:
        assert served(registry) == all_at(1)


async def test_a_rollback_waits_for_no_load(repository, make_repository):
    """The only thread that loads is held: what is loaded serves again all the same, and the load comes after."""
    with ThreadPoolExecutor(1) as executor:
        async with Registry(BundleStore(repository.path), executor=executor) as registry:
            await registry.start()
            make_repository(repository.path)
            await registry.follow()
            make_repository(repository.path)
            gate = threading.Event()
            executor.submit(gate.wait, 20)
            loading = asyncio.create_task(registry.load_version("hybrid", 3))
            await asyncio.sleep(0)
            await registry.rollback("hybrid")
            assert served(registry) == all_at(1)
            assert not loading.done()
            gate.set()
            await loading
            # It began before the rollback, which says that version 1 is to serve: the new one waits beside it.
            assert served(registry) == all_at(1)
            assert (await states(registry, "hybrid"))[3] is VersionState.LOADED
            assert (await registry.model("hybrid")).labels == {"stable": 1}


async def test_what_appeared_during_a_rollback_is_not_forgotten(repository, make_repository):
    with ThreadPoolExecutor(1) as executor:
        async with Registry(BundleStore(repository.path), executor=executor) as registry:
            await registry.start()
            make_repository(repository.path)
            await registry.follow()
            make_repository(repository.path, kinds=("catalog",), n_tracks=220)
            gate = threading.Event()
            executor.submit(gate.wait, 20)
            following = asyncio.create_task(registry.follow())
            await asyncio.sleep(0)
            await registry.rollback("hybrid")
            gate.set()
            await following
            assert served(registry) == all_at(1)
            assert len(registry.snapshot.catalog) == 220


async def test_a_rollback_of_a_part_is_one_of_the_hybrid(repository, make_repository, open_registry):
    make_repository(repository.path)
    async with open_registry(repository.path) as registry:
        with pytest.raises(RefusedModelError, match=r"ncf: there is no version to go back to: ncf/1 does not go with"):
            await registry.rollback("ncf")
        assert served(registry) == all_at(2)


async def test_a_rollback_passes_over_a_broken_version(repository, make_repository, open_registry, tamper):
    for _ in range(2):
        make_repository(repository.path)
    tamper(repository.path / "content" / "2" / "ids.arrow")
    async with open_registry(repository.path) as registry:
        await registry.rollback("hybrid")
        assert served(registry) == all_at(1)


async def test_the_catalogue_can_be_labelled_and_rolled_back(repository, make_repository, open_registry):
    make_repository(repository.path, kinds=("catalog",), n_tracks=220)
    async with open_registry(repository.path) as registry:
        assert (registry.snapshot.catalog.version, len(registry.snapshot.catalog)) == (2, 220)
        await registry.rollback("catalog")
        assert (registry.snapshot.catalog.version, len(registry.snapshot.catalog)) == (1, 200)
        await registry.set_label("catalog", "stable", 2)
        assert (registry.snapshot.catalog.version, len(registry.snapshot.catalog)) == (2, 220)
        assert served(registry) == all_at(1)


@pytest.mark.parametrize("name", ["catalog", "hybrid"])
async def test_a_second_rollback_goes_further_and_not_back_to_what_was_left(
    repository, make_repository, open_registry, name
):
    async with open_registry(repository.path) as registry:
        for _ in range(2):
            make_repository(repository.path)
            await registry.follow()
        for version in (2, 1):
            status = await registry.rollback(name)
            assert status.labels == {"stable": version}
            assert registry.standing()[name, version]
        with pytest.raises(RefusedModelError, match="there is no version to go back to: the repository has no older"):
            await registry.rollback(name)


async def test_labels_that_another_process_writes_are_followed(repository, make_repository, open_registry):
    other = BundleStore(repository.path)
    async with open_registry(repository.path) as registry:
        make_repository(repository.path)
        other.set_label("hybrid", "stable", 1)
        await registry.follow()
        assert served(registry) == all_at(1)
        other.set_label("hybrid", "stable", 2)
        await registry.follow()
        assert served(registry) == all_at(2)
        assert (await registry.model("hybrid")).labels == {"stable": 2}
        before = registry.snapshot
        other.set_label("hybrid", "canary", 1)
        await registry.follow()
        assert registry.select(ModelSelector("canary")).hybrid.version == 1
        assert registry.snapshot.hybrid is before.hybrid


async def test_broken_labels_do_not_change_what_serves(repository, make_repository, open_registry, caplog):
    make_repository(repository.path)
    BundleStore(repository.path).set_label("hybrid", "stable", 1)
    path = repository.path / "hybrid" / "labels.json"
    async with open_registry(repository.path) as registry:
        path.write_text("{")
        with caplog.at_level(logging.ERROR):
            await registry.follow()
            await registry.follow()
        assert caplog.text.count("labels.json is not JSON") == 1
        assert served(registry) == all_at(1)
        path.write_text('{"stable": 2}')
        await registry.follow()
        assert served(registry) == all_at(2)


async def test_with_broken_labels_at_the_start_no_version_is_guessed(repository, make_repository, open_registry):
    path = repository.path / "hybrid" / "labels.json"
    path.write_text("[]")
    async with open_registry(repository.path) as registry:
        assert registry.snapshot.hybrid is None
        (degradation,) = registry.snapshot.degraded
        assert "hybrid: labels.json is not an object" in degradation.detail
        path.write_text("{}")
        await registry.follow()
        assert served(registry) == all_at(1)
    (repository.path / "catalog" / "labels.json").write_text("[]")
    async with open_registry(repository.path) as registry:
        with pytest.raises(NotReadyError, match=r"catalog: labels.json is not an object"):
            _ = registry.snapshot


async def test_a_labelled_version_that_is_refused_gives_way_to_older_ones_only(
    repository, make_repository, open_registry, tamper
):
    for _ in range(2):
        make_repository(repository.path)
    BundleStore(repository.path).set_label("hybrid", "stable", 2)
    tamper(repository.path / "hybrid" / "2" / "model.onnx")
    async with open_registry(repository.path) as registry:
        assert served(registry) == all_at(1)
        with pytest.raises(NotFoundError, match=r"hybrid/2"):
            registry.select(ModelSelector("stable"))


async def test_a_label_must_be_taken_off_before_its_version_is_unloaded(repository, open_registry):
    async with open_registry(repository.path) as registry:
        await registry.set_label("ncf", "canary", 1)
        with pytest.raises(RefusedModelError, match=r"ncf/1 carries the label 'canary'"):
            await registry.unload_version("ncf", 1)
        await registry.set_label("ncf", "canary", None)
        await registry.unload_version("ncf", 1)
        assert registry.snapshot.ncf is None


async def test_a_selection_without_its_hybrid_says_so(repository, make_repository, open_registry):
    make_repository(repository.path, kinds=("ncf",))
    async with open_registry(repository.path) as registry:
        await registry.load_beside("ncf", 2)
        snapshot = registry.select(ModelSelector(versions=(("ncf", 2),)))
        assert (snapshot.ncf.version, snapshot.hybrid) == (2, None)
        (degradation,) = snapshot.degraded
        assert (degradation.part, degradation.reason) == ("hybrid", DegradationReason.UNAVAILABLE)
        assert degradation.detail == "ncf/2 does not go with hybrid/1, which was trained with ncf/1"
        assert registry.select(ModelSelector(versions=(("ncf", 2),))) is snapshot
        assert registry.select(None) is registry.snapshot
        for versions in ((("nonsense", 1),), (("catalog", 9),), (("ncf", 9),)):
            with pytest.raises(NotFoundError, match=r"models"):
                registry.select(ModelSelector(versions=versions))


async def test_a_rollback_that_cannot_be_written_down_serves_all_the_same(
    repository, make_repository, open_registry, caplog
):
    make_repository(repository.path)
    async with open_registry(repository.path) as registry:
        (repository.path / "hybrid" / "labels.json").mkdir()
        with caplog.at_level(logging.ERROR):
            await registry.rollback("hybrid")
        assert served(registry) == all_at(1)
        assert "a restart will not know" in caplog.text


async def test_a_rollback_that_cannot_be_written_down_is_not_undone_by_the_label_on_disk(
    repository, make_repository, open_registry
):
    make_repository(repository.path)
    async with open_registry(repository.path) as registry:
        await registry.set_label("hybrid", "stable", 2)
        full = repository.path / "hybrid" / ".labels.json.partial"  # where the file is written first
        full.mkdir()
        await registry.rollback("hybrid")
        for _ in range(2):
            await registry.follow()
            assert served(registry) == all_at(1)
            assert (await registry.model("hybrid")).labels == {"stable": 1}
        full.rmdir()
        await registry.follow()  # there is room again
        assert BundleStore(repository.path).labels("hybrid") == {"stable": 1}
        assert served(registry) == all_at(1)


async def test_a_label_that_is_not_stable_puts_nothing_in_service(repository, make_repository, open_registry):
    async with open_registry(repository.path) as registry:
        await registry.unload_version("hybrid", 1)
        BundleStore(repository.path).set_label("hybrid", "canary", 1)
        await registry.follow()
        assert "hybrid" not in served(registry)
        assert registry.loaded("hybrid", label="canary").version == 1
        BundleStore(repository.path).set_label("hybrid", "stable", 1)
        await registry.follow()
        assert served(registry) == all_at(1)


async def test_a_labelled_hybrid_whose_part_is_broken_is_refused_as_a_whole(
    repository, make_repository, open_registry, tamper
):
    make_repository(repository.path)
    make_repository(repository.path)
    tamper(repository.path / "ncf" / "2" / "model.onnx")
    async with open_registry(repository.path) as registry:
        BundleStore(repository.path).set_label("hybrid", "canary", 2)
        await registry.follow()
        assert (await states(registry, "hybrid"))[2] is VersionState.REFUSED
        assert served(registry) == all_at(3)


async def test_what_others_label_meanwhile_is_obeyed(repository, make_repository, open_registry):
    make_repository(repository.path)
    async with open_registry(repository.path) as registry:
        await registry.set_label("hybrid", "stable", 2)
        full = repository.path / "hybrid" / ".labels.json.partial"
        full.mkdir()
        await registry.rollback("hybrid")
        (repository.path / "hybrid" / "labels.json").write_text('{"stable": 2, "canary": 1}')
        await registry.follow()
        assert served(registry) == all_at(2)
        assert (await registry.model("hybrid")).labels == {"stable": 2, "canary": 1}


async def test_what_another_server_labels_just_before_is_loaded_and_served_all_the_same(
    repository, make_repository, open_registry
):
    """A label is written into the file that holds theirs; that must not pass for having seen theirs."""
    for _ in range(2):
        make_repository(repository.path)
    theirs = BundleStore(repository.path)
    async with open_registry(repository.path) as registry:
        theirs.set_label("hybrid", "canary", 1)
        await registry.set_label("hybrid", "stable", 2)
        await registry.follow()
        assert served(registry) == all_at(2)
        assert registry.loaded("hybrid", label="canary").version == 1
        theirs.set_label("hybrid", "stable", 1)
        await registry.set_label("hybrid", "canary", 3)
        await registry.follow()
        assert served(registry) == all_at(1)
        assert (await registry.model("hybrid")).labels == theirs.labels("hybrid") == {"stable": 1, "canary": 3}


class FullAfter(BundleStore):
    """A repository that takes so many more labels and then none, as a disk that fills up does."""

    room = 0

    def set_label(self, name: str, label: str, version: int | None) -> dict[str, int]:
        self.room -= 1
        if self.room < 0:
            raise BundleError(f"{name}: labels.json cannot be written")
        return super().set_label(name, label, version)


@pytest.mark.parametrize(("room", "said", "left"), [(1, "'canary'", {"canary": 1}), (0, "No label was changed", {})])
async def test_what_cannot_be_taken_back_is_said(repository, room, said, left):
    store = FullAfter(repository.path)
    store.room = room
    wishes = [ModelWish("content", labels={"canary": 1}), ModelWish("ncf", labels={"canary": 1})]
    with pytest.raises(RefusedWishError, match=f"labels.json cannot be written.*{said}") as refused:
        StableLabels(store).write_all(wishes)
    assert (refused.value.name, refused.value.version) == ("ncf" if room else "content", 1)
    assert (store.labels("content"), store.labels("ncf")) == (left, {})
