"""Rounded-up rows: few sizes, little added, and the results of what is added never seen."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.bundle.manifest import TensorSpec
from audotics.server.runtime.buckets import RowBuckets, bucket
from audotics.server.runtime.onnx import OnnxModel


def test_sizes_are_few_and_little_is_added() -> None:
    sizes = [bucket(rows) for rows in range(1, 4097)]
    assert all(rows <= size for rows, size in enumerate(sizes, 1))
    assert all(size <= max(8, 4 + 1.25 * rows) for rows, size in enumerate(sizes, 1))
    assert sizes == sorted(sizes)
    assert len(set(sizes)) < 45
    assert bucket(4096) == 4096


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 50, 129])
def test_answers_are_those_without_rounding(repository, rows):
    random = np.random.default_rng(rows)
    feeds = {
        "history": random.integers(0, 200, (2, 3)),
        "user_index": random.integers(0, 2, rows),
        "track": random.integers(0, 200, rows),
    }
    path = repository.store.open("ncf", 1).file("model.onnx")
    plain, bound = OnnxModel(path), OnnxModel(path, bound=True)
    (expected,), (found,) = plain.run(feeds, ["logit"]), bound.run(feeds, ["logit"])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.shape == (rows,)


def test_only_the_axis_of_all_outputs_is_rounded(repository):
    ncf = OnnxModel(repository.store.open("ncf", 1).file("model.onnx"))
    buckets = RowBuckets.of(ncf.inputs, ncf.outputs, ncf.axes)
    assert buckets is not None
    feeds = {"history": np.zeros((1, 3), int), "user_index": np.zeros(9, int), "track": np.arange(9)}
    assert {name: array.shape for name, array in buckets.pad(feeds).items()} == {
        "history": (1, 3),
        "user_index": (12,),
        "track": (12,),
    }
    assert RowBuckets.of(ncf.inputs, ncf.outputs, dict.fromkeys(ncf.axes, ("",))) is None
    assert RowBuckets.of(ncf.inputs, ncf.outputs, ncf.axes | {"history": ("users", "rows")}) is None
    assert RowBuckets.of(ncf.inputs, ncf.outputs, ncf.axes | {"logit": ("lists",)}) is None  # no input has those rows
    assert RowBuckets.of(ncf.inputs, ncf.outputs, dict.fromkeys(ncf.axes, (9,))) is None  # neither more nor fewer


def test_outputs_with_rows_of_their_own_are_not_rounded(repository):
    ncf = OnnxModel(repository.store.open("ncf", 1).file("model.onnx"))
    outputs = (*ncf.outputs, TensorSpec("taste", "float32", (-1, 4)))
    for axis in ("users", "rows"):
        buckets = RowBuckets.of(ncf.inputs, outputs, ncf.axes | {"taste": (axis, 4)})
        assert (buckets is None) == (axis != ncf.axes["logit"][0])
