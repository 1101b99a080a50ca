"""Graphs of iALS, NMF and sparse neighbours do what the trained models do, on any history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from audotics.bundle.manifest import TensorSpec
from audotics.exporters.cases import history_cases
from audotics.exporters.errors import ExportError
from audotics.exporters.exported import ExportedModel
from audotics.exporters.graphs.builder import GraphBuilder
from audotics.exporters.graphs.fold_in import fold_in_graph
from audotics.exporters.graphs.ials import MOST_STEPS, SPARE_STEPS, ials_graph, steps_needed
from audotics.exporters.graphs.neighbours import neighbours_graph
from audotics.exporters.graphs.nmf import nmf_graph
from audotics.exporters.parity import Run, measure
from audotics.models.ials import IalsModel, IalsOptions, fit_ials
from audotics.models.neighbours import NeighboursOptions, fit_neighbours
from audotics.models.nmf import NmfOptions, fit_nmf

N_TRACKS = 300
RANK = 16


@pytest.fixture(scope="module")
def histories() -> list[np.ndarray]:
    """200 listeners of four tastes."""
    rng = np.random.default_rng(0)
    quarter = N_TRACKS // 4
    return [quarter * (user % 4) + rng.choice(quarter, rng.integers(3, 30), replace=False) for user in range(200)]


@pytest.fixture(scope="module")
def matrix(histories: list[np.ndarray]) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, np.concatenate(histories))), (200, N_TRACKS))


@pytest.fixture(scope="module")
def ials(matrix: sparse.csr_matrix) -> IalsModel:
    return fit_ials(matrix, IalsOptions(rank=RANK, sweeps=4), seed=0)


def exported(graph: GraphBuilder, folder: Path) -> ExportedModel:
    graph.save(folder / "model.onnx")
    return ExportedModel(folder / "model.onnx")


def as_run(output: str, function: Callable[[list[np.ndarray]], np.ndarray]) -> Run:
    def run(feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {output: function([row[row >= 0] for row in feeds["history"]])}

    return run


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_ials_agrees_with_the_exact_solution(
    matrix: sparse.csr_matrix, histories: list[np.ndarray], tmp_path: Path, exponent: float
) -> None:
    options = IalsOptions(rank=RANK, sweeps=4, frequency_exponent=exponent, l2=0.01 ** (1 if exponent == 1 else 0.5))
    model = fit_ials(matrix, options, seed=0)
    steps = steps_needed(model, histories[:20])

    parity = measure(
        "ials",
        as_run("user_vector", model.user_vectors),
        exported(ials_graph(model, steps=steps), tmp_path).run,
        history_cases(histories, n_tracks=N_TRACKS),
    )

    assert parity.max_abs_diff < 2e-5


def test_too_few_steps_of_ials_do_not_agree(ials: IalsModel, histories: list[np.ndarray], tmp_path: Path) -> None:
    """Else the steps that are measured would be more than are needed."""
    short = exported(ials_graph(ials, steps=2), tmp_path)
    feeds = history_cases(histories, n_tracks=N_TRACKS)[0].feeds

    expected = as_run("user_vector", ials.user_vectors)(feeds)["user_vector"]

    assert np.abs(short.run(feeds)["user_vector"] - expected).max() > 1e-3


def test_easier_equations_need_fewer_steps(ials: IalsModel) -> None:
    """More weight on the diagonal brings all eigenvalues near to 1; and there are no more of them than the rank."""
    easier = replace(ials, options=replace(ials.options, unobserved_weight=10.0))

    assert SPARE_STEPS < steps_needed(easier, []) < steps_needed(ials, []) <= RANK + 1 + SPARE_STEPS


def test_equations_that_are_too_hard_are_refused() -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(0, 1, (N_TRACKS, 200)) * np.geomspace(1, 1e-4, 200)
    axes = np.linalg.eigh(factors.T @ factors)[1]
    hard = (factors @ axes).astype(np.float32)
    options = IalsOptions(rank=200, l2=1e-12, unobserved_weight=1e-9)

    with pytest.raises(ExportError, match=rf"{MOST_STEPS} steps .* train with a larger l2"):
        steps_needed(IalsModel(hard, hard, options), [])


def test_nmf_agrees_with_its_updates(matrix: sparse.csr_matrix, histories: list[np.ndarray], tmp_path: Path) -> None:
    model = fit_nmf(matrix, NmfOptions(rank=5, iterations=30), seed=0)

    parity = measure(
        "nmf",
        as_run("user_vector", model.user_vectors),
        exported(nmf_graph(model), tmp_path).run,
        history_cases(histories, n_tracks=N_TRACKS),
    )

    assert parity.max_abs_diff < 2e-5


@pytest.mark.parametrize("weighting", ["inverse", "cosine"])
def test_neighbours_agree(
    matrix: sparse.csr_matrix, histories: list[np.ndarray], tmp_path: Path, weighting: str
) -> None:
    model = fit_neighbours(matrix, NeighboursOptions(weighting=weighting, neighbours=12))

    parity = measure(
        "neighbours",
        as_run("scores", model.scores),
        exported(neighbours_graph(model), tmp_path).run,
        history_cases(histories, n_tracks=N_TRACKS),
    )

    assert parity.max_abs_diff < 2e-5


def test_each_model_gets_its_own_graph(
    matrix: sparse.csr_matrix, ials: IalsModel, histories: list[np.ndarray], make_collaborative, tmp_path: Path
) -> None:
    feeds = history_cases(histories, n_tracks=N_TRACKS)[0].feeds
    for model in (ials, make_collaborative(N_TRACKS), fit_nmf(matrix, NmfOptions(rank=5, iterations=2), seed=0)):
        vectors = exported(fold_in_graph(model, histories), tmp_path).run(feeds)["user_vector"]
        expected = as_run("user_vector", model.user_vectors)(feeds)["user_vector"]
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=2e-5)


def test_neighbours_have_no_vectors(matrix: sparse.csr_matrix, histories: list[np.ndarray]) -> None:
    with pytest.raises(ExportError, match=r"no vectors.*--algorithm ease, ials or nmf"):
        fold_in_graph(fit_neighbours(matrix, NeighboursOptions(neighbours=3)), histories)


def test_inputs_and_outputs_are_those_that_the_server_reads(
    matrix: sparse.csr_matrix, ials: IalsModel, tmp_path: Path
) -> None:
    nmf = fit_nmf(matrix, NmfOptions(rank=5, iterations=2), seed=0)
    neighbours = fit_neighbours(matrix, NeighboursOptions(neighbours=3))
    for graph, name, size in (
        (ials_graph(ials, steps=1), "user_vector", RANK),
        (nmf_graph(nmf), "user_vector", 5),
        (neighbours_graph(neighbours), "scores", N_TRACKS),
    ):
        model = exported(graph, tmp_path)
        assert model.inputs == (TensorSpec("history", "int64", (-1, -1)),)
        assert model.outputs == (TensorSpec(name, "float32", (-1, size)),)
