"""Groups of listeners by a property."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.evaluation.bias import by_property


def test_quarters_by_hand() -> None:
    groups = by_property(np.asarray([1.0, 0, 0, 0.5, 1, 1, 0.5, 0]), np.asarray([5, 1, 2, 6, 8, 9, 3, 4]))

    assert [(group.low, group.high, group.count, group.value) for group in groups] == [
        (1, 2, 2, 0.0),
        (3, 4, 2, 0.25),
        (5, 6, 2, 0.75),
        (8, 9, 2, 1.0),
    ]


@given(st.lists(st.tuples(st.integers(0, 6), st.floats(0, 1)), min_size=1, max_size=40), st.integers(1, 5))
def test_groups_divide_all_listeners_and_keep_equal_ones_together(rows: list[tuple[int, float]], groups: int) -> None:
    properties, values = (np.asarray(column) for column in zip(*rows, strict=True))

    found = by_property(values, properties, groups=groups)

    assert 1 <= len(found) <= groups
    assert sum(group.count for group in found) == len(rows)
    assert sum(group.count * group.value for group in found) == pytest.approx(values.sum(), abs=1e-9)
    assert all(before.high < after.low for before, after in pairwise(found))
    assert (found[0].low, found[-1].high) == (properties.min(), properties.max())
