"""Versions that appear on disk, stay beside one another, are dropped, and come back."""

from __future__ import annotations

import gc
import logging
import shutil
import weakref

import numpy as np
import pytest

from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError, NotReadyError, RefusedModelError
from audotics.server.repository.policy import VersionPolicies, VersionPolicy
from audotics.server.repository.status import VersionState
from audotics.server.types import ModelSelector, TrackRecord
from tests.server.repository.serving import all_at, served, states

ON_DISK, LOADED, IN_SERVICE, REFUSED = (
    VersionState.ON_DISK,
    VersionState.LOADED,
    VersionState.IN_SERVICE,
    VersionState.REFUSED,
)
PARTS = ("collaborative", "content", "ncf")


def policies(default: str = "latest:1", **by_model: str) -> VersionPolicies:
    return VersionPolicies.parse(default, by_model)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("latest:1", [9]), ("latest:2", [9, 4]), ("all", [9, 4, 2, 1]), ("2,4,7", [4, 2]), ("1", [1])],
)
def test_a_policy_names_versions(text, wanted):
    assert VersionPolicy.parse(text).wanted([1, 2, 4, 9]) == wanted


@pytest.mark.parametrize("text", ["", "latest", "latest:0", "latest:-1", "newest", "1,", "0", "1.5", "all "])
def test_what_is_no_policy_is_refused(text):
    with pytest.raises(ValueError, match="no version policy"):
        VersionPolicy.parse(text)


async def test_an_export_that_appears_takes_over_in_one_step(repository, make_repository, open_registry):
    async with open_registry(repository.path) as registry:
        before = registry.snapshot
        await registry.follow()
        assert registry.snapshot is before  # nothing changed, so nothing was published
        make_repository(repository.path, kinds=("catalog", *PARTS))
        await registry.follow()
        # The hybrid in service was trained with the parts of the first export, so the new ones wait for theirs.
        assert served(registry) == all_at(1)
        assert await states(registry, "ncf") == {2: LOADED, 1: IN_SERVICE}
        make_repository(repository.path)
        await registry.follow()
        assert served(registry) == {"collaborative": 3, "content": 3, "ncf": 3, "hybrid": 2}
        assert registry.snapshot.catalog.version == 3
        assert registry.snapshot.degraded == ()
        assert await states(registry, "ncf") == {3: IN_SERVICE, 2: ON_DISK, 1: LOADED}
        assert before.ncf.version == 1


async def test_a_refused_version_is_tried_again_once_its_files_change(
    repository, make_repository, open_registry, tamper, caplog
):
    async with open_registry(repository.path) as registry:
        make_repository(repository.path)
        model = repository.path / "ncf" / "2" / "model.onnx"
        good = model.read_bytes()
        tamper(model)
        with caplog.at_level(logging.WARNING):
            await registry.follow()
        assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
            "refused: ncf/2: checksum of 'model.onnx' does not hold",
            "refused: hybrid/2 was trained with ncf/2, which cannot be loaded",
        ]
        assert served(registry) == all_at(1)
        assert await states(registry, "ncf") == {2: REFUSED, 1: IN_SERVICE}
        assert await states(registry, "hybrid") == {2: REFUSED, 1: IN_SERVICE}
        caplog.clear()
        await registry.follow()
        assert caplog.text == ""  # and not before
        model.write_bytes(good)
        await registry.follow()
        assert served(registry) == all_at(2)


async def test_a_version_that_is_copied_in_file_by_file_is_served_when_it_is_whole(
    repository, make_repository, open_registry, tmp_path
):
    other = make_repository(tmp_path / "other", seed=8).path
    target = repository.path / "mood" / "1"
    async with open_registry(repository.path) as registry:
        target.mkdir(parents=True)
        await registry.follow()
        assert await states(registry, "mood") == {1: REFUSED}
        shutil.copy(other / "ncf" / "1" / "bundle.json", target)
        await registry.follow()
        assert await states(registry, "mood") == {1: REFUSED}
        assert "its manifest is that of ncf/1" in (await registry.model("mood")).versions[0].reason
        shutil.rmtree(target)
        shutil.rmtree(repository.path / "hybrid")
        ncf = repository.path / "ncf" / "2"
        ncf.mkdir()
        (ncf / "ids.arrow").write_bytes(b"")
        await registry.follow()
        assert "bundle.json is missing" in (await registry.model("ncf")).versions[0].reason
        make_repository(tmp_path / "other", kinds=("ncf",))
        shutil.copytree(other / "ncf" / "2", ncf, dirs_exist_ok=True)
        await registry.follow()
        assert await states(registry, "ncf") == {2: LOADED, 1: IN_SERVICE}  # hybrid/1 is loaded still, and pins ncf/1


async def test_what_an_operator_chose_is_not_undone_by_what_was_there_already(
    repository, make_repository, open_registry
):
    async with open_registry(repository.path) as registry:
        make_repository(repository.path)
        await registry.load_version("hybrid", 2)
        await registry.load_version("hybrid", 1)
        await registry.follow()
        assert served(registry) == all_at(1)
        make_repository(repository.path, kinds=("catalog",))
        await registry.follow()
        assert served(registry) == all_at(1)


async def test_a_part_that_the_hybrid_was_not_trained_with_is_refused(repository, make_repository, open_registry):
    make_repository(repository.path, kinds=("ncf",))
    async with open_registry(repository.path) as registry:
        assert served(registry) == all_at(1)
        reason = r"ncf/2 does not go with hybrid/1, which was trained with ncf/1; load, promote or roll back a hybrid"
        with pytest.raises(RefusedModelError, match=reason):
            await registry.load_version("ncf", 2)
        with pytest.raises(RefusedModelError, match=reason):
            await registry.set_label("ncf", "stable", 2)
        assert (await registry.model("ncf")).labels == {}
        assert served(registry) == all_at(1)
        await registry.unload_version("hybrid", 1)
        await registry.load_version("ncf", 2)
        assert served(registry) == {"collaborative": 1, "content": 1, "ncf": 2}


async def test_a_hybrid_whose_part_is_broken_is_refused_as_a_whole(repository, make_repository, open_registry, tamper):
    async with open_registry(repository.path) as registry:
        make_repository(repository.path)
        tamper(repository.path / "content" / "2" / "index.faiss")
        before = registry.snapshot
        with pytest.raises(
            RefusedModelError, match=r"hybrid/2 was trained with content/2, which cannot be loaded: content/2: .*faiss"
        ):
            await registry.load_version("hybrid", 2)
        assert registry.snapshot is before


async def test_one_version_before_stays_loaded_and_older_ones_go(repository, make_repository, open_registry):
    async with open_registry(repository.path) as registry:
        for _ in range(3):
            make_repository(repository.path)
            await registry.follow()
        assert await states(registry, "ncf") == {4: IN_SERVICE, 3: LOADED, 2: ON_DISK, 1: ON_DISK}
        await registry.rollback("hybrid")
        assert served(registry) == all_at(3)
        assert await states(registry, "ncf") == {4: LOADED, 3: IN_SERVICE, 2: ON_DISK, 1: ON_DISK}
        await registry.rollback("hybrid")
        assert served(registry) == all_at(2)


async def test_policies_say_what_is_loaded(repository, make_repository, open_registry):
    for _ in range(3):
        make_repository(repository.path)
    async with open_registry(repository.path, policies=policies("latest:2", ncf="all", hybrid="3")) as registry:
        assert served(registry) == all_at(3)
        assert await states(registry, "ncf") == {4: LOADED, 3: IN_SERVICE, 2: LOADED, 1: LOADED}
        assert await states(registry, "content") == {4: LOADED, 3: IN_SERVICE, 2: ON_DISK, 1: ON_DISK}
        assert await states(registry, "hybrid") == {4: ON_DISK, 3: IN_SERVICE, 2: ON_DISK, 1: ON_DISK}
        make_repository(repository.path)
        await registry.follow()
        assert served(registry) == all_at(3)  # hybrid/5 is not among those that may serve


async def test_a_snapshot_serves_on_when_all_it_has_was_dropped(repository, make_repository, open_registry):
    async with open_registry(repository.path) as registry:
        before = registry.snapshot
        history = before.catalog.history_rows("u02")
        vector = before.collaborative.user_vector(history)
        for _ in range(2):
            make_repository(repository.path)
            await registry.follow()
        assert (await states(registry, "collaborative"))[1] is ON_DISK
        np.testing.assert_array_equal(before.collaborative.user_vector(history), vector)


async def test_changes_to_tracks_reach_every_loaded_version(repository, make_repository, open_registry):
    async with open_registry(repository.path) as registry:
        make_repository(repository.path)
        await registry.follow()
        await registry.apply_tracks(upserts=[TrackRecord("twin", artist="Artist 00", tags=("rock",))], deletes=["t004"])
        await registry.rollback("hybrid")
        snapshot = registry.snapshot
        row = snapshot.catalog.rows_of(["twin"])
        np.testing.assert_allclose(
            snapshot.content.vectors(row), snapshot.content.embed(snapshot.catalog.columns.take(row)).vectors, atol=1e-6
        )
        assert 4 not in snapshot.content.nearest(snapshot.content.vectors(row), 300)[1]


async def test_loaded_models_are_found_by_version_and_label(repository, make_repository, open_registry):
    make_repository(repository.path)
    async with open_registry(repository.path, policies=policies("latest:2")) as registry:
        assert registry.loaded("ncf").version == 2
        assert registry.loaded("ncf", version=1).version == 1
        await registry.set_label("ncf", "old", 1)
        assert registry.loaded("ncf", label="old").version == 1
        for selection in ({"version": 7}, {"label": "nope"}):
            with pytest.raises(NotFoundError, match=r"ncf.*loaded: 1, 2"):
                registry.loaded("ncf", **selection)
        with pytest.raises(NotFoundError, match="loaded are: collaborative, content, hybrid, ncf"):
            registry.loaded("nonsense")
        await registry.unload_version("ncf", 2)
        with pytest.raises(NotReadyError, match="no version of 'ncf' serves: taken out of service"):
            registry.loaded("ncf")


async def test_memory_evicts_what_does_not_serve_the_oldest_first(repository, make_repository, open_registry, caplog):
    for _ in range(2):
        make_repository(repository.path)
    async with open_registry(repository.path) as registry:
        of_one_export = sum(registry.loaded(name).size_bytes for name in all_at(1)) / 2**20
    with caplog.at_level(logging.WARNING):
        async with open_registry(repository.path, policies=policies("all"), memory_mib=2.5 * of_one_export) as registry:
            assert served(registry) == all_at(3)
            assert registry.loaded("content", version=2)
            assert "is evicted" in caplog.text
            await registry.set_label("hybrid", "canary", 2)
            with pytest.raises(RefusedModelError, match=r"hybrid/1 is not loaded: .*model_memory_mib"):
                await registry.set_label("hybrid", "old", 1)
            assert served(registry) == all_at(3)
            assert registry.select(ModelSelector("canary")).hybrid.version == 2
    async with open_registry(repository.path, memory_mib=0.5 * of_one_export) as registry:
        assert served(registry) == all_at(3)  # what serves is never evicted; the log says that it takes too much


async def test_a_kind_that_makes_no_lists_is_loaded_all_the_same(
    repository, make_repository, open_registry, sign_again
):
    source = repository.path / "ncf" / "1"
    target = repository.path / "next-best" / "1"
    shutil.copytree(source, target)
    sign_again(target, name="next-best", kind="next-best")
    async with open_registry(repository.path) as registry:
        assert served(registry) == all_at(1)
        model = registry.loaded("next-best")
        assert [spec.name for spec in model.model.inputs] == ["history", "user_index", "track"]
        assert await states(registry, "next-best") == {1: IN_SERVICE}


async def test_what_is_loaded_beside_can_be_seen_and_unloaded_without_its_folder(repository, open_registry, sign_again):
    target = repository.path / "next-best" / "1"
    shutil.copytree(repository.path / "ncf" / "1", target)
    sign_again(target, name="next-best", kind="next-best")
    by_model = {"next-best": VersionPolicy(specific=(9,))}
    async with open_registry(repository.path, policies=VersionPolicies(by_model=by_model)) as registry:
        await registry.load_beside("next-best", 1)
        shutil.rmtree(target.parent)
        assert "next-best" in {model.name for model in await registry.models()}
        assert await states(registry, "next-best") == {1: LOADED}
        await registry.unload_version("next-best", 1)
        with pytest.raises(NotFoundError, match="model not found"):
            await registry.model("next-best")


async def test_a_version_that_was_asked_for_too_early_is_taken_in_when_it_appears(
    repository, make_repository, open_registry
):
    async with open_registry(repository.path) as registry:
        for name in ("ncf", "hybrid", "catalog"):
            with pytest.raises(NotFoundError):
                await registry.load_version(name, 2)
            with pytest.raises(NotFoundError):
                await registry.set_label(name, "canary", 2)
        make_repository(repository.path)
        await registry.follow()
        assert served(registry) == all_at(2)
        assert registry.snapshot.catalog.version == 2


async def test_of_several_that_appear_the_newest_whole_one_serves(repository, make_repository, open_registry, tamper):
    async with open_registry(repository.path) as registry:
        for _ in range(3):
            make_repository(repository.path)
        tamper(repository.path / "catalog" / "4" / "tracks.arrow")
        tamper(repository.path / "ncf" / "4" / "model.onnx")
        await registry.follow()
        assert served(registry) == all_at(3)
        assert registry.snapshot.catalog.version == 3
        assert (await states(registry, "ncf"))[4] is VersionState.REFUSED
    async with open_registry(repository.path) as registry:
        assert served(registry) == all_at(3)


async def test_what_the_memory_has_no_room_for_is_not_labelled(repository, make_repository, open_registry):
    async with open_registry(repository.path) as registry:
        of_one_export = sum(registry.loaded(name).size_bytes for name in ("collaborative", "content", "ncf", "hybrid"))
    make_repository(repository.path)
    async with open_registry(repository.path, memory_mib=1.2 * of_one_export / 2**20) as registry:
        before = registry.standing()
        with pytest.raises(RefusedModelError, match=r"hybrid/1 is not loaded: .*model_memory_mib"):
            await registry.set_label("hybrid", "canary", 1)
        assert (await registry.model("hybrid")).labels == {}
        assert BundleStore(repository.path).labels("hybrid") == {}
        await registry.follow()
        assert registry.standing() == before


async def test_memory_may_be_used_to_the_last_byte(repository, make_repository, open_registry):
    make_repository(repository.path)
    async with open_registry(repository.path, policies=policies("all")) as registry:
        everything = registry.standing()
        taken = sum(registry.loaded(name, version=version).size_bytes for name in all_at(1) for version in (1, 2))
    for mib, kept in ((taken / 2**20, True), ((taken - 1) / 2**20, False)):
        async with open_registry(repository.path, policies=policies("all"), memory_mib=mib) as registry:
            assert (registry.standing() == everything) is kept


async def test_what_an_operator_loads_beside_is_refused_and_not_dropped_where_there_is_no_room(
    repository, make_repository, open_registry
):
    make_repository(repository.path)
    async with open_registry(repository.path) as registry:
        taken = sum(registry.loaded(name).size_bytes for name in all_at(2))
    async with open_registry(repository.path, memory_mib=taken / 2**20) as registry:
        before = registry.standing()
        with pytest.raises(RefusedModelError, match=r"ncf/1 is not loaded: .*model_memory_mib"):
            await registry.load_beside("ncf", 1)
        assert registry.standing() == before


async def test_a_tenant_that_takes_too_much_is_no_reason_to_refuse_a_model_of_others(
    repository, make_repository, open_registry, sign_again
):
    target = repository.path / "acme--ncf" / "1"
    shutil.copytree(repository.path / "ncf" / "1", target)
    sign_again(target, name="acme--ncf")
    async with open_registry(repository.path, tenant_memory_mib={"acme": 0.001}) as registry:
        assert registry.loaded_versions("acme--ncf") == [1]  # what serves stays
        make_repository(repository.path, kinds=("ncf",))
        await registry.load_beside("ncf", 2)
        assert registry.loaded_versions("ncf") == [1, 2]


async def test_nothing_is_kept_of_a_version_that_is_unloaded(repository, make_repository, open_registry):
    make_repository(repository.path)
    async with open_registry(repository.path) as registry:
        await registry.load_beside("content", 1)
        model = weakref.ref(registry.select(ModelSelector(versions=(("content", 1),))).content.model)
        assert model() is not None
        await registry.unload_version("content", 1)
        indexes = [(status.name, status.version) for status in registry.indexes()]
        assert indexes == [("collaborative", 2), ("content", 2)]
        gc.collect()
        assert model() is None
