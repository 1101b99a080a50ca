"""The registry on real bundles: start, refusal, loading, unloading and changes to tracks."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from audotics.server.errors import NotFoundError, NotReadyError, RefusedModelError
from audotics.server.repository.registry import Registry
from audotics.server.repository.status import VersionState
from audotics.server.types import DegradationReason, TrackRecord


async def states(registry: Registry, name: str) -> dict[int, VersionState]:
    return {status.version: status.state for status in (await registry.model(name)).versions}


async def test_everything_is_in_service_after_the_start(repository, open_registry):
    async with open_registry(repository.path) as registry:
        snapshot = registry.snapshot
        assert snapshot.model_versions == (("collaborative", 1), ("content", 1), ("hybrid", 1), ("ncf", 1))
        assert snapshot.degraded == ()
        assert len(snapshot.catalog) == len(repository.tracks)
        assert snapshot.catalog.history_rows("u03").tolist() == repository.history("u03").tolist()
        assert [model.name for model in (await registry.models())] == [
            "catalog",
            "collaborative",
            "content",
            "hybrid",
            "ncf",
        ]
        (version,) = (await registry.model("ncf")).versions
        assert version.state is VersionState.IN_SERVICE
        assert version.manifest.metrics == {"ndcg@10": 0.25}


@pytest.mark.parametrize("exists", [True, False])
async def test_an_empty_repository_says_which_command_helps(tmp_path, open_registry, exists):
    path = tmp_path / "repository"
    if exists:
        path.mkdir()
    async with open_registry(path) as registry:
        assert (await registry.models()) == []
        with pytest.raises(NotReadyError, match=r"audotics export .* --repository .*audotics demo"):
            _ = registry.snapshot
        with pytest.raises(NotReadyError):
            await registry.apply_tracks(upserts=[TrackRecord("x")])


async def test_models_wait_for_a_catalogue(tmp_path, make_repository, open_registry):
    path = tmp_path / "repository"
    make_repository(path, kinds=("ncf",))
    async with open_registry(path) as registry:
        with pytest.raises(NotReadyError):
            _ = registry.snapshot
        make_repository(path, kinds=("catalog",))
        await registry.load_version("catalog", 1)
        assert registry.snapshot.model_versions == (("ncf", 1),)


async def test_a_tampered_bundle_is_refused_and_the_rest_served(repository, open_registry, caplog, tamper):
    tamper(repository.path / "ncf" / "1" / "model.onnx")
    with caplog.at_level(logging.WARNING):
        async with open_registry(repository.path) as registry:
            snapshot = registry.snapshot
            assert snapshot.ncf is None
            assert snapshot.hybrid is not None
            (degradation,) = snapshot.degraded
            assert (degradation.part, degradation.reason) == ("ncf", DegradationReason.UNAVAILABLE)
            assert "checksum of 'model.onnx' does not hold" in degradation.detail
            (version,) = (await registry.model("ncf")).versions
            assert (version.state, version.reason) == (VersionState.REFUSED, degradation.detail)
    assert "checksum of 'model.onnx' does not hold" in caplog.text


async def test_an_older_version_serves_when_the_newest_is_refused(tmp_path, make_repository, open_registry, tamper):
    path = tmp_path / "repository"
    make_repository(path)
    make_repository(path)
    tamper(path / "content" / "2" / "index.faiss")
    async with open_registry(path) as registry:
        # The hybrid was trained with its parts, so all of them are those of the version before.
        assert dict(registry.snapshot.model_versions) == {"collaborative": 1, "content": 1, "hybrid": 1, "ncf": 1}
        assert registry.snapshot.degraded == ()
        assert await states(registry, "content") == {2: VersionState.REFUSED, 1: VersionState.IN_SERVICE}
        assert await states(registry, "hybrid") == {2: VersionState.REFUSED, 1: VersionState.IN_SERVICE}
        assert "hybrid/2 was trained with content/2" in (await registry.model("hybrid")).versions[0].reason


async def test_a_refused_catalogue_is_named_where_none_is_left(repository, open_registry):
    (repository.path / "catalog" / "1" / "tracks.arrow").unlink()
    async with open_registry(repository.path) as registry:
        with pytest.raises(NotReadyError, match=r"'tracks.arrow' is missing"):
            _ = registry.snapshot


def other_model(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes((bundle.parent.parent / "hybrid" / "1" / "model.onnx").read_bytes())


def no_warmup(bundle: Path) -> None:
    (bundle / "warmup.npz").unlink()


def bad_warmup(bundle: Path) -> None:
    np.savez(bundle / "warmup.npz", history=np.asarray([[10**6]]))


def other_ids(bundle: Path) -> None:
    (bundle / "ids.arrow").write_bytes((bundle.parent.parent / "catalog" / "1" / "histories.arrow").read_bytes())


def other_index(bundle: Path) -> None:
    vectors = np.load(bundle / "vectors.npy")
    np.save(bundle / "vectors.npy", vectors[:-1])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (other_model, "its inputs are"),
        (no_warmup, "has no file 'warmup.npz'"),
        (bad_warmup, "fails on the inputs in 'warmup.npz'"),
        (other_ids, "'ids.arrow' cannot be read"),
        (other_index, "index.faiss holds 200 vectors"),
    ],
)
async def test_a_bundle_that_is_whole_but_wrong_is_refused_with_the_reason(
    repository, open_registry, sign_again, damage, reason
):
    bundle = repository.path / "collaborative" / "1"
    damage(bundle)
    sign_again(bundle)
    async with open_registry(repository.path) as registry:
        assert registry.snapshot.collaborative is None
        (degradation,) = registry.snapshot.degraded
        assert reason in degradation.detail
        assert str(repository.path) not in degradation.detail


async def test_a_bundle_in_the_folder_of_another_kind_is_refused(repository, open_registry, sign_again):
    sign_again(repository.path / "collaborative" / "1", kind="hybrid")
    async with open_registry(repository.path) as registry:
        (degradation,) = registry.snapshot.degraded
        assert "a bundle of kind 'hybrid'" in degradation.detail


async def test_another_version_takes_the_place_of_the_one_before(tmp_path, make_repository, open_registry):
    path = tmp_path / "repository"
    make_repository(path)
    async with open_registry(path) as registry:
        before = registry.snapshot
        make_repository(path)
        assert await states(registry, "hybrid") == {2: VersionState.ON_DISK, 1: VersionState.IN_SERVICE}
        status = await registry.load_version("hybrid", 2)
        assert {version.version: version.state for version in status.versions} == {
            2: VersionState.IN_SERVICE,
            1: VersionState.LOADED,
        }
        assert dict(registry.snapshot.model_versions)["ncf"] == 2
        assert before.ncf.version == 1
        assert before.ncf.pairs([np.asarray([0])], [np.asarray([4])]).logits().shape == (1,)


async def test_a_refused_version_leaves_the_one_in_service(tmp_path, make_repository, open_registry, tamper):
    path = tmp_path / "repository"
    make_repository(path)
    async with open_registry(path) as registry:
        make_repository(path)
        tamper(path / "ncf" / "2" / "ids.arrow")
        before = registry.snapshot
        with pytest.raises(RefusedModelError, match=r"ncf/2: checksum of 'ids\.arrow'"):
            await registry.load_version("ncf", 2)
        assert registry.snapshot is before
        assert await states(registry, "ncf") == {2: VersionState.REFUSED, 1: VersionState.IN_SERVICE}


async def test_unknown_models_and_versions_are_not_found(repository, open_registry):
    async with open_registry(repository.path) as registry:
        with pytest.raises(NotFoundError) as missing:
            await registry.load_version("ncf", 7)
        assert (missing.value.resource_type, missing.value.names) == ("model version", ("ncf/7",))
        for call in (registry.load_version, registry.unload_version):
            with pytest.raises(NotFoundError) as missing:
                await call("nonsense", 1)
            assert (missing.value.resource_type, missing.value.names) == ("model", ("nonsense",))
        for unknown in (registry.model("../catalog"), registry.rollback("nonsense")):
            with pytest.raises(NotFoundError, match="model not found"):
                await unknown


async def test_a_model_can_be_taken_out_of_service_and_put_back(repository, open_registry):
    async with open_registry(repository.path) as registry:
        before = registry.snapshot
        await registry.unload_version("ncf", 1)
        assert registry.snapshot.ncf is None
        assert before.ncf is not None
        (degradation,) = registry.snapshot.degraded
        assert (degradation.part, degradation.reason) == ("ncf", DegradationReason.UNAVAILABLE)
        assert await states(registry, "ncf") == {1: VersionState.ON_DISK}
        with pytest.raises(RefusedModelError, match="not in service"):
            await registry.unload_version("ncf", 1)
        await registry.load_version("ncf", 1)
        assert registry.snapshot.degraded == ()


async def test_the_catalogue_cannot_be_taken_out_of_service(repository, open_registry):
    async with open_registry(repository.path) as registry:
        with pytest.raises(RefusedModelError, match="without a catalogue"):
            await registry.unload_version("catalog", 1)
        with pytest.raises(NotFoundError):
            await registry.unload_version("catalog", 9)


@pytest.mark.parametrize("other_rows", [False, True])
async def test_changed_tracks_are_served_and_survive_a_reload(tmp_path, make_repository, open_registry, other_rows):
    path = tmp_path / "repository"
    make_repository(path)
    make_repository(path, other_rows=other_rows)
    twin = TrackRecord("twin", title="Twin", artist="Artist 00", tags=("rock", "taste 0"))
    update = TrackRecord("t007", title="Seven", tags=("jazz",))

    async with open_registry(path) as registry:
        before = registry.snapshot
        await registry.apply_tracks(upserts=[twin, update], deletes=["t004", "nope"])

        def check(n_content_rows: int) -> None:
            catalog, content = registry.snapshot.catalog, registry.snapshot.content
            assert catalog.record(catalog.row_of("twin")) == twin
            assert catalog.record(catalog.row_of("t007")) == update
            assert catalog.row_of("t004") == -1
            assert content.index.size == n_content_rows
            changed = catalog.rows_of(["twin", "t007"])
            np.testing.assert_allclose(
                content.vectors(changed), content.embed(catalog.columns.take(changed)).vectors, atol=1e-6
            )
            found = content.nearest(content.vectors(changed), 300)[1]
            assert set(changed) <= set(found.ravel())
            assert 4 not in found
            vector = registry.snapshot.collaborative.user_vector(np.asarray([0, 8]))
            assert 4 not in registry.snapshot.collaborative.nearest(vector, 300)
            assert np.isnan(registry.snapshot.collaborative.scores(vector, changed[:1])).all()

        check(201)
        assert before.catalog.row_of("twin") == -1
        await registry.load_version("hybrid", 1)  # and with it content/1
        assert dict(registry.snapshot.model_versions)["content"] == 1
        check(201)
        generation = registry.snapshot.catalog.generation
        assert generation > before.catalog.generation
        await registry.load_version("catalog", 1)
        check(201)
        assert registry.snapshot.catalog.generation > generation  # no cache may take one for the other
        await registry.apply_tracks(upserts=[TrackRecord("t004", title="back")])
        assert registry.snapshot.catalog.record(4).title == "back"
        vector = registry.snapshot.collaborative.user_vector(np.asarray([0, 8]))
        assert 4 in registry.snapshot.collaborative.nearest(vector, 300)


async def test_models_that_number_tracks_otherwise_score_the_same_tracks(tmp_path, make_repository, open_registry):
    path = tmp_path / "repository"
    files = make_repository(path, other_rows=True)
    async with open_registry(path) as registry:
        snapshot = registry.snapshot
        catalog = snapshot.catalog
        history = catalog.history_rows("u02")
        vector = snapshot.collaborative.user_vector(history)
        best = snapshot.collaborative.nearest(vector, 20)
        assert (files.taste[best] == 2).all()
        scores = snapshot.collaborative.scores(vector, np.arange(len(catalog)))
        assert np.isnan(scores[-10:]).all()
        assert not np.isnan(scores[:-10]).any()
        assert set(best) == set(np.argsort(-np.nan_to_num(scores, nan=-9))[:20])
        everything = np.arange(len(catalog))
        np.testing.assert_allclose(
            snapshot.content.vectors(everything), snapshot.content.embed(catalog.columns).vectors, atol=1e-5
        )


async def test_a_history_that_the_model_does_not_know_has_no_vector(tmp_path, make_repository, open_registry):
    path = tmp_path / "repository"
    make_repository(path, other_rows=True)
    async with open_registry(path) as registry:
        unknown = np.asarray([len(registry.snapshot.catalog) - 1])
        assert registry.snapshot.collaborative.user_vector(unknown) is None
        assert registry.snapshot.collaborative.user_vector(np.empty(0, np.int64)) is None
