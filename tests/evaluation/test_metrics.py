"""Metrics against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.evaluation.metrics import expected_calibration_error, hit_rate, ndcg


def test_hit_rate_counts_the_first_k() -> None:
    assert hit_rate(np.asarray([0.0, 9.0, 9.5, 10.0, 500.0]), 10).tolist() == [1, 1, 1, 0, 0]


def test_ndcg_by_hand() -> None:
    ranks = np.asarray([0.0, 1.0, 2.0, 6.0, 9.0, 10.0])

    expected = [1.0, 0.6309298, 0.5, 1 / 3, 0.2890648, 0.0]
    np.testing.assert_allclose(ndcg(ranks, 10), expected, atol=1e-6)


def test_ndcg_never_exceeds_the_hit_rate() -> None:
    ranks = np.arange(0, 30, 0.5)

    assert (ndcg(ranks, 10) <= hit_rate(ranks, 10)).all()


def test_calibrated_predictions_have_no_error() -> None:
    probabilities = np.repeat([0.2, 0.4, 0.6, 0.8], 100)
    outcomes = np.concatenate([np.arange(100) < 100 * p for p in (0.2, 0.4, 0.6, 0.8)]).astype(float)

    assert expected_calibration_error(probabilities, outcomes, bins=4) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("shift", [-0.15, 0.1])
def test_predictions_that_are_off_are_off_by_that_much(shift: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.2, 0.8, 100_000)
    outcomes = (rng.random(len(truth)) < truth).astype(float)

    assert expected_calibration_error(truth, outcomes) < 0.01
    assert expected_calibration_error(truth + shift, outcomes) == pytest.approx(abs(shift), abs=0.01)


def test_order_does_not_matter_and_nothing_is_no_error() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.permutation(np.linspace(0, 1, 101))
    outcomes = (rng.random(101) < 0.5).astype(float)
    order = rng.permutation(101)

    assert expected_calibration_error(probabilities[order], outcomes[order]) == pytest.approx(
        expected_calibration_error(probabilities, outcomes)
    )
    assert expected_calibration_error(np.zeros(0), np.zeros(0)) == 0
