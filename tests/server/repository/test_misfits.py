"""Models that load and do not fit the catalogue: they are left out with the reason, and the rest serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from audotics.features.content import artist_bucket
from audotics.server.errors import RefusedModelError
from audotics.server.repository.registry import Registry
from audotics.server.types import TrackRecord

KNOWN = TrackRecord("known", artist="Artist 00")
BEYOND = TrackRecord("beyond", artist=next(name for name in map(str, range(999)) if artist_bucket([name], 64)[0] == 63))
"""Of an artist in the last row of the table of artists."""
FAILED = "content/1: the model failed on its inputs (InvalidArgument)"


def shorten(bundle: Path, sign_again: Callable[..., None]) -> None:
    """Let a content model know no artists but those of its recorded inputs, so that it fails on tracks of others."""
    with np.load(bundle / "warmup.npz") as recorded:
        n_known = int(recorded["artist"].max()) + 1
    model = onnx.load(bundle / "model.onnx")
    (table,) = [constant for constant in model.graph.initializer if constant.name == "artists"]
    table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table)[:n_known], "artists"))
    onnx.save(model, bundle / "model.onnx")
    sign_again(bundle)


def why_absent(registry: Registry) -> dict[str, str]:
    return {part.part: part.detail for part in registry.snapshot.degraded}


async def test_a_model_that_fails_on_new_tracks_leaves_and_takes_nothing_with_it(repository, open_registry, sign_again):
    shorten(repository.path / "content" / "1", sign_again)
    async with open_registry(repository.path) as registry:
        assert why_absent(registry) == {}
        await registry.apply_tracks(upserts=[KNOWN])
        assert why_absent(registry) == {}
        await registry.apply_tracks(upserts=[BEYOND])
        assert why_absent(registry) == {"content": FAILED}
        assert registry.snapshot.catalog.row_of("beyond") >= 0
        assert registry.snapshot.collaborative is not None
        assert registry.snapshot.hybrid is not None


async def test_a_model_that_fails_on_another_catalogue_comes_back_with_the_one_before(
    repository, make_repository, open_registry, sign_again
):
    shorten(repository.path / "content" / "1", sign_again)
    async with open_registry(repository.path) as registry:
        make_repository(repository.path, n_tracks=640, kinds=("catalog",))
        await registry.load_version("catalog", 2)
        assert len(registry.snapshot.catalog) == 640
        assert why_absent(registry) == {"content": FAILED}
        assert registry.snapshot.ncf is not None
        await registry.load_version("catalog", 1)
        assert why_absent(registry) == {}


async def test_a_version_that_fails_on_tracks_of_the_catalogue_is_refused(
    repository, make_repository, open_registry, sign_again
):
    async with open_registry(repository.path) as registry:
        await registry.apply_tracks(upserts=[BEYOND])
        make_repository(repository.path, kinds=("content",))
        shorten(repository.path / "content" / "2", sign_again)
        with pytest.raises(RefusedModelError, match="content/2: it fails on tracks of the catalogue; export it again"):
            await registry.load_beside("content", 2)
        assert registry.loaded_versions("content") == [1]
        assert why_absent(registry) == {}
