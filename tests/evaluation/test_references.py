"""Metrics against ranx and scikit-learn on random data: the same numbers to 1e-9."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from audotics.evaluation.calibration import reliability
from audotics.evaluation.lists import top_lists
from audotics.evaluation.metrics import (
    average_precision,
    expected_calibration_error,
    hit_rate,
    list_ranks,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from audotics.evaluation.ranking import full_ranking, set_ranking

N_USERS, N_TRACKS = 150, 60
CUTS = (1, 5, 10, 40, N_TRACKS)
NOTHING_HEARD = [np.zeros(0, np.int32)] * N_USERS

OURS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "hit_rate": hit_rate,
    "precision": precision,
    "recall": recall,
    "map": average_precision,
    "ndcg": ndcg,
    "mrr": reciprocal_rank,
}

# In a process of its own, where Numba compiles nothing: that would take most of a minute for these few lists.
ASK_RANX = """
import json, sys
import ranx
asked = json.load(sys.stdin)
found = ranx.evaluate(ranx.Qrels(asked["relevant"]), ranx.Run(asked["scores"]), asked["metrics"], return_mean=False)
json.dump({name: list(map(float, values)) for name, values in found.items()}, sys.stdout)
"""


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    """Of all tracks, without ties."""
    return np.random.default_rng(0).permuted(np.tile(np.linspace(-3, 3, N_TRACKS), (N_USERS, 1)), axis=1)


@pytest.fixture(scope="module")
def relevant() -> list[np.ndarray]:
    """One to 20 tracks a listener, and exactly one for the first fifty."""
    rng = np.random.default_rng(1)
    sizes = np.where(np.arange(N_USERS) < 50, 1, rng.integers(1, 21, N_USERS))
    return [rng.choice(N_TRACKS, size, replace=False).astype(np.int32) for size in sizes]


@pytest.fixture(scope="module")
def theirs(scores: np.ndarray, relevant: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What ranx says: {"ndcg@10": one value a listener, …}."""
    names = [f"user{user:03d}" for user in range(N_USERS)]
    asked = {
        "relevant": {name: {str(track): 1 for track in wanted} for name, wanted in zip(names, relevant, strict=True)},
        "scores": {
            name: {str(track): float(value) for track, value in enumerate(row)}
            for name, row in zip(names, scores, strict=True)
        },
        "metrics": [f"{name}@{k}" for name in OURS for k in CUTS],
    }
    folder = str(tmp_path_factory.mktemp("ranx"))
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "HOME": folder, "XDG_RUNTIME_DIR": folder}
    answer = subprocess.run(
        [sys.executable, "-c", ASK_RANX], input=json.dumps(asked), env=environment, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.timeout(300)
def test_ranks_of_sets_give_the_metrics_of_ranx(scores: np.ndarray, relevant: list[np.ndarray], theirs: dict) -> None:
    ranks = set_ranking(lambda histories: scores, NOTHING_HEARD, relevant)

    for name, ours in OURS.items():
        for k in CUTS:
            np.testing.assert_allclose(ours(ranks, k), theirs[f"{name}@{k}"], rtol=0, atol=1e-9, err_msg=f"{name}@{k}")


def test_lists_give_the_metrics_of_ranx(scores: np.ndarray, relevant: list[np.ndarray], theirs: dict) -> None:
    for k in CUTS:
        ranks = list_ranks(top_lists(scores, k), relevant)
        for name, ours in OURS.items():
            np.testing.assert_allclose(ours(ranks, k), theirs[f"{name}@{k}"], rtol=0, atol=1e-9, err_msg=f"{name}@{k}")


def test_the_ranks_of_leave_one_out_give_the_metrics_of_ranx(
    scores: np.ndarray, relevant: list[np.ndarray], theirs: dict
) -> None:
    targets = np.concatenate(relevant[:50])
    ranks = full_ranking(lambda histories: scores[:50], NOTHING_HEARD[:50], targets)

    for name, ours in OURS.items():
        for k in CUTS:
            np.testing.assert_allclose(ours(ranks, k), theirs[f"{name}@{k}"][:50], rtol=0, atol=1e-9)


def test_ndcg_and_average_precision_are_those_of_scikit_learn(scores: np.ndarray, relevant: list[np.ndarray]) -> None:
    from sklearn.metrics import average_precision_score, ndcg_score

    truth = np.zeros((N_USERS, N_TRACKS))
    for row, wanted in enumerate(relevant):
        truth[row, wanted] = 1
    ranks = set_ranking(lambda histories: scores, NOTHING_HEARD, relevant)

    for k in CUTS:
        expected = [ndcg_score(truth[row : row + 1], scores[row : row + 1], k=k) for row in range(N_USERS)]
        np.testing.assert_allclose(ndcg(ranks, k), expected, rtol=0, atol=1e-9)
    expected = [average_precision_score(*pair) for pair in zip(truth, scores, strict=True)]
    np.testing.assert_allclose(average_precision(ranks, N_TRACKS), expected, rtol=0, atol=1e-9)


def test_the_reliability_curve_is_that_of_scikit_learn() -> None:
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(2)
    probabilities = rng.random(1_500)
    outcomes = (rng.random(1_500) < probabilities**2).astype(float)
    observed, predicted = calibration_curve(outcomes, probabilities, n_bins=15, strategy="quantile")

    curve = reliability(probabilities, outcomes, bins=15)

    np.testing.assert_allclose([part.observed for part in curve], observed, rtol=0, atol=1e-9)
    np.testing.assert_allclose([part.predicted for part in curve], predicted, rtol=0, atol=1e-9)
    error = expected_calibration_error(probabilities, outcomes, bins=15)
    assert error == pytest.approx(float(np.abs(observed - predicted).mean()), abs=1e-9)
