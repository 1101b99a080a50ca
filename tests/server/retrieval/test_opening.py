"""Indexes are opened where they are to be searched, are watched, and stay out when they find too little."""

from __future__ import annotations

import json

import numpy as np
import pytest

from audotics.server.errors import RefusedModelError
from audotics.server.retrieval.backends.gpu import CPU, Placement, Spread
from audotics.server.retrieval.opening import IndexOpener


@pytest.fixture
def folder(tmp_path, stored_of):
    path = tmp_path / "collaborative" / "4"
    path.mkdir(parents=True)
    stored_of("ivf_flat").save(path)
    return path


@pytest.mark.parametrize("device", ["cpu", "auto", "cuda"])
def test_an_index_is_opened_and_watched(folder, stored_of, queries, device):
    with IndexOpener(device=device, sampled_share=1.0) as opener:
        index = opener.open(folder)
        rows = index.search(queries, 20)[1]
        opener.guard.drain()
        assert opener.counters.counts.recall_samples == len(queries)  # and not those that it was tried with
        assert opener.guard.recall > 0.8
    assert (rows >= 0).all()
    index.close()


@pytest.mark.parametrize("spread", list(Spread))
def test_an_index_goes_where_its_placement_says(folder, spread):
    """The CPU stands for two GPUs."""
    with IndexOpener(device="cuda", placement=Placement((CPU, CPU), spread)) as opener, IndexOpener() as plain:
        index = opener.open(folder)
        assert index.on_device
        assert not plain.open(folder).on_device
        np.testing.assert_array_equal(index.search(index.stored.queries, 5)[1], index.exact(index.stored.queries, 5)[1])
        assert opener.counters.counts.device_fallbacks == 0


def test_an_index_that_finds_less_than_it_promises_is_refused(folder):
    value = json.loads((folder / "index.json").read_text())
    value["settings"]["probes"] = 1
    value["recall"]["target"] = 1.0
    (folder / "index.json").write_text(json.dumps(value))
    with (
        IndexOpener() as opener,
        pytest.raises(RefusedModelError, match=r"^collaborative/4: its index finds 0\.\d+ of the 20 best rows"),
    ):
        opener.open(folder)
    assert opener.counters.counts.swaps_blocked == 1


def test_files_that_do_not_agree_are_refused(folder):
    """Without its settings, nothing tells which rows stand in the head."""
    (folder / "index.json").unlink()
    with IndexOpener() as opener, pytest.raises(RefusedModelError, match=r"^collaborative/4: index\.faiss holds 2960"):
        opener.open(folder)
