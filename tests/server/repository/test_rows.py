"""Catalogue rows and model rows: identical numbers, other numbers, and growth."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.bundle.catalog import Histories
from audotics.features.tracks import TrackColumns
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.rows import UNKNOWN, RowMap
from audotics.server.types import TrackRecord


@pytest.fixture
def catalog() -> Catalog:
    nobody = Histories(np.empty(0, object), np.zeros(1, np.int64), np.empty(0, np.int32))
    return Catalog.build(TrackColumns.build(["a", "b", "c", "d"]), nobody, version=1, generation=0)


def rows(*numbers: int) -> np.ndarray:
    return np.asarray(numbers, np.int64)


def test_a_model_of_this_catalogue_has_its_numbers():
    identity = RowMap(4)
    assert identity.to_model(rows(3, 0)).tolist() == [3, 0]
    assert identity.to_model(rows(3, 4, 9)).tolist() == [3, UNKNOWN, UNKNOWN]
    assert identity.to_model(rows()).tolist() == []
    assert identity.to_catalog(rows(2, UNKNOWN)).tolist() == [2, UNKNOWN]
    assert identity.with_rows(rows(1, 4, 5)).to_model(rows(1, 4, 5, 6)).tolist() == [1, 4, 5, UNKNOWN]
    assert identity.hidden(np.asarray([False, True, False, False, True])).tolist() == [1]


def test_another_model_is_linked_by_id(catalog):
    linked = RowMap.link(["c", "gone", "a"], catalog)
    assert linked.to_model(rows(0, 1, 2, 3, UNKNOWN)).tolist() == [2, UNKNOWN, 0, UNKNOWN, UNKNOWN]
    assert linked.to_catalog(rows(0, 1, 2, UNKNOWN)).tolist() == [2, UNKNOWN, 0, UNKNOWN]
    assert sorted(linked.hidden(np.asarray([True, True, False, False]))) == [1, 2]


def test_rows_that_a_linked_model_lacks_come_at_its_end(catalog):
    grown = catalog.with_changes(upserts=[TrackRecord("e")])
    linked = RowMap.link(["c", "gone", "a"], catalog).grown(len(grown)).with_rows(rows(1, 2, 4))
    assert linked.size == 5
    assert linked.to_model(rows(0, 1, 2, 3, 4, UNKNOWN)).tolist() == [2, 3, 0, UNKNOWN, 4, UNKNOWN]
    assert linked.to_catalog(rows(0, 1, 2, 3, 4, UNKNOWN)).tolist() == [2, UNKNOWN, 0, 1, 4, UNKNOWN]
    assert linked.grown(6).to_model(rows(4, 5)).tolist() == [4, UNKNOWN]


def test_a_map_is_left_as_it_is_when_another_is_made_of_it(catalog):
    linked = RowMap.link(["c", "gone", "a"], catalog)
    linked.with_rows(rows(1, 3))
    assert linked.to_model(rows(0, 1, 2, 3)).tolist() == [2, UNKNOWN, 0, UNKNOWN]
    assert linked.size == 3


def test_what_may_be_found_is_named_in_the_models_rows(catalog):
    allowed = np.asarray([True, True, False, True])
    assert RowMap(3).mask(allowed, 3).tolist() == [True, True, False]
    linked = RowMap.link(["c", "gone", "a"], catalog)
    assert linked.mask(allowed, 3).tolist() == [False, False, True]  # what the catalogue lacks is never found
    assert linked.mask(np.ones(4, np.bool_), 3).tolist() == [True, False, True]
