"""Parts of the catalogue in service: what a model makes of tracks is looked at before an index takes it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.repository.loader import Loader
from audotics.server.repository.loading import link
from audotics.server.repository.parts import ContentPart
from audotics.server.runtime.model import InferenceError
from audotics.server.types import TrackRecord


class Embedder:
    """A content model that gives what it is told to."""

    platform = "none"
    device = "cpu"
    waits = False
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    axes: Mapping[str, tuple[int | str, ...]] = {}

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        return [self.vectors, np.ones(len(self.vectors), np.float32)]


@pytest.fixture(scope="module")
def loaded(repository_template):
    loader = Loader(repository_template.store)
    catalog = loader.catalog(1)
    part = link(loader.model("content", 1), catalog)
    assert isinstance(part, ContentPart)
    return catalog, part


def upserted(catalog):
    records = [TrackRecord(f"fresh{i}", f"Fresh {i}", "Somebody") for i in range(3)]
    catalog = catalog.with_changes(upserts=records, deletes=[])
    return catalog, catalog.all_rows_of([record.track_id for record in records])


def test_a_track_without_an_embedding_is_near_to_nothing_and_the_others_are_found(loaded, caplog):
    catalog, part = loaded
    vectors = np.zeros((3, part.index.dimension), np.float32)
    vectors[:, 0] = 1
    vectors[1, 2] = np.nan
    catalog, rows = upserted(catalog)
    part = replace(part, model=Embedder(vectors)).with_catalog(catalog, rows)

    assert caplog.messages == ["content/1 has no embedding for 1 tracks"]
    scores, found = part.nearest(vectors[:1], len(catalog))
    assert np.isfinite(scores[found >= 0]).all()
    at = dict(zip(found[0].tolist(), scores[0].tolist(), strict=True))
    assert [at[row] for row in rows.tolist()] == [1, 0, 1]


def test_embeddings_of_another_width_are_an_inference_error(loaded):
    catalog, part = loaded
    catalog, rows = upserted(catalog)
    with pytest.raises(InferenceError, match=r"^content/1: embeddings of 3 tracks have the shape \(3, 5\), its index"):
        replace(part, model=Embedder(np.ones((3, 5), np.float32))).with_catalog(catalog, rows)
