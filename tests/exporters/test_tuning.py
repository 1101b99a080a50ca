"""The tuner keeps the cheapest index that reaches its goal, on vectors of equal and of very different lengths."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from audotics.bundle.indexes.settings import IndexKind, Metric
from audotics.exporters.errors import ExportError
from audotics.exporters.indexing.goal import Goal, structures
from audotics.exporters.indexing.tuning import tune

ALL = tuple(IndexKind)


def clustered(n: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, 16))
    vectors = centres[random.integers(0, 20, n)] + 0.5 * random.normal(size=(n, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    vectors = clustered(3060)
    return vectors[:3000], vectors[3000:]


def test_the_cheapest_that_reaches_the_recall_is_chosen(data, progress):
    tuned = tune(*data, Goal(k=10, recall=0.9, kinds=ALL), progress=progress, title="tracks")

    assert {trial.settings.kind for trial in tuned.trials} == set(ALL)
    reached = [trial for trial in tuned.trials if trial.seconds is not None]
    assert all(trial.recall >= 0.9 for trial in reached)
    (chosen,) = [trial for trial in tuned.trials if trial.outcome == "chosen"]
    assert chosen.seconds == min(trial.seconds for trial in reached)
    assert tuned.index.settings.kind is chosen.settings.kind
    assert tuned.index.settings.probes >= chosen.settings.probes
    assert tuned.index.recall.measured >= 0.9
    assert progress.stages == {"tracks": 3000 * len({trial.settings.kind for trial in tuned.trials})}


def test_a_higher_recall_looks_at_more(data, progress):
    probes = [
        tune(
            *data, Goal(k=10, recall=recall, kinds=(IndexKind.IVF_FLAT,)), progress=progress, title=f"{recall}"
        ).index.settings.probes
        for recall in (0.6, 0.99)
    ]

    assert probes[0] < probes[1]


def test_the_recall_is_that_of_queries_that_did_not_choose(data, progress):
    vectors, queries = data
    tuned = tune(vectors, queries, Goal(k=10, kinds=(IndexKind.IVF_PQ,)), progress=progress, title="tracks")

    np.testing.assert_array_equal(tuned.index.queries, queries[1::2])
    rows = tuned.index.search(queries[1::2], 10)[1]
    exact = np.argsort(-queries[1::2] @ vectors.T, axis=1)[:, :10]
    found = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), exact.tolist(), strict=True)])
    assert found == pytest.approx(tuned.index.recall.measured, abs=0.01)


@pytest.mark.parametrize("kind", [IndexKind.IVF_FLAT, IndexKind.IVF_PQ])
def test_a_few_very_long_vectors_stand_apart(kind, progress):
    vectors = clustered(3000)
    random = np.random.default_rng(5)
    vectors *= np.exp(random.normal(0, 1.2, (3000, 1))).astype(np.float32)
    vectors[17] *= 400
    queries = clustered(60, seed=9)

    tuned = tune(vectors, queries, Goal(k=20, kinds=(kind,)), progress=progress, title="tracks")

    assert tuned.index.recall.measured >= 0.95
    assert tuned.index.settings.head_rows in (30, 120)
    assert tuned.index.settings.probes < tuned.index.settings.lists
    best = np.argmax(queries @ vectors.T, axis=1)
    assert np.count_nonzero(best == 17) > 10
    assert (tuned.index.search(queries[best == 17], 1)[1] == 17).all()


def test_cosine_brings_vectors_and_queries_to_unit_length(data, progress):
    vectors, queries = data
    stretched = vectors * np.linspace(0.1, 9, len(vectors), dtype=np.float32)[:, None]

    tuned = tune(stretched, 5 * queries, Goal(k=5, metric=Metric.COSINE), progress=progress, title="tracks")

    scores, rows = tuned.index.search(7 * queries, 5)
    exact = np.sort(queries @ vectors.T, axis=1)[:, ::-1][:, :5]
    np.testing.assert_allclose(scores, exact, rtol=1e-4)
    assert (np.abs(scores) <= 1.0001).all()
    np.testing.assert_allclose(np.linalg.norm(tuned.index.vectors, axis=1), 1, rtol=1e-4)
    assert rows.shape == (60, 5)


def test_time_decides_and_nothing_else(data, progress):
    """A clock that stands still for the first kind and runs for the others."""
    ticks = count()
    tuned = tune(
        *data,
        Goal(k=10, recall=0.8, kinds=(IndexKind.HNSW, IndexKind.FLAT)),
        progress=progress,
        title="tracks",
        clock=lambda: max(0.0, next(ticks) - 6.0),
    )

    assert tuned.index.settings.kind is IndexKind.HNSW


def test_memory_rules_kinds_out_when_vectors_are_many(data):
    goal = Goal(memory_ratio=1.5, kinds=(IndexKind.IVF_FLAT, IndexKind.IVF_PQ))
    listed, coded = structures(data[0], goal)

    assert goal.fits_memory(listed, 1000, 64)
    assert not goal.fits_memory(listed, 1_000_000, 64)
    assert goal.fits_memory(coded, 1_000_000, 64)


def test_a_recall_that_no_kind_reaches_is_said(data, progress):
    """A graph of inner products leads to long vectors only."""
    vectors, queries = data
    stretched = vectors * np.exp(np.random.default_rng(5).normal(0, 1.2, (3000, 1))).astype(np.float32)
    with pytest.raises(ExportError, match=r"no index of hnsw reaches recall@10 1 within 1\.5 ×.*allow flat"):
        tune(stretched, queries, Goal(k=10, recall=1.0, kinds=(IndexKind.HNSW,)), progress=progress, title="tracks")


@pytest.mark.parametrize(
    ("vectors", "queries"),
    [((0, 4), (3, 4)), ((5, 4), (0, 4)), ((5, 4), (3, 2))],
)
def test_nothing_to_search_is_refused(vectors, queries, progress):
    with pytest.raises(ExportError, match=r"tracks: vectors .* cannot be searched with queries"):
        tune(np.zeros(vectors, np.float32), np.zeros(queries, np.float32), Goal(), progress=progress, title="tracks")


@pytest.mark.parametrize("metric", list(Metric))
def test_too_few_vectors_for_codes_are_said(progress, metric):
    few = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    with pytest.raises(ExportError, match=r"few: no index of ivf_pq .*; 9 vectors are too few for codes of 4 bits"):
        tune(few, few, Goal(5, kinds=(IndexKind.IVF_PQ,), metric=metric), progress=progress, title="few")
    tuned = tune(few, few, Goal(5, kinds=(IndexKind.IVF_PQ, IndexKind.FLAT)), progress=progress, title="few")
    assert tuned.index.settings.kind is IndexKind.FLAT


@pytest.mark.parametrize("kind", list(IndexKind))
def test_vectors_whose_squares_have_no_room_are_refused_before_they_end_the_process(progress, kind):
    long = 1e30 * np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    with pytest.raises(ExportError, match="long: a vector or a query has a number that is none, or too large"):
        tune(long, long, Goal(5, kinds=(kind,), memory_ratio=9.0), progress=progress, title="long")
    cosine = Goal(5, kinds=(kind,), memory_ratio=9.0, metric=Metric.COSINE)
    assert tune(long, long, cosine, progress=progress, title="long").index.recall.measured > 0.9
