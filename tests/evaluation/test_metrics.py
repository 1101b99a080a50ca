"""Metrics against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

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

NOBODY = np.inf


def test_hit_rate_counts_the_first_k() -> None:
    assert hit_rate(np.asarray([0.0, 9.0, 9.5, 10.0, 500.0]), 10).tolist() == [1, 1, 1, 0, 0]


def test_ndcg_by_hand() -> None:
    ranks = np.asarray([0.0, 1.0, 2.0, 6.0, 9.0, 10.0])

    expected = [1.0, 0.6309298, 0.5, 1 / 3, 0.2890648, 0.0]
    np.testing.assert_allclose(ndcg(ranks, 10), expected, atol=1e-6)


def test_ndcg_never_exceeds_the_hit_rate() -> None:
    ranks = np.arange(0, 30, 0.5)

    assert (ndcg(ranks, 10) <= hit_rate(ranks, 10)).all()


def test_several_relevant_tracks_by_hand() -> None:
    """The second listener has one relevant track, the third none."""
    ranks = np.asarray([[4.0, 0.0, 30.0], [1.0, NOBODY, NOBODY], [NOBODY] * 3])

    assert hit_rate(ranks, 5).tolist() == [1, 1, 0]
    assert precision(ranks, 5).tolist() == [0.4, 0.2, 0]
    assert recall(ranks, 5).tolist() == pytest.approx([2 / 3, 1, 0])
    assert average_precision(ranks, 5).tolist() == pytest.approx([(1 + 2 / 5) / 3, 1 / 2, 0])
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert ndcg(ranks, 5).tolist() == pytest.approx([(1 + 1 / np.log2(6)) / ideal, 1 / np.log2(3), 0])
    assert reciprocal_rank(ranks, 5).tolist() == [1, 1 / 2, 0]


def test_one_relevant_track_is_a_set_of_one() -> None:
    ranks = np.asarray([0.0, 3.5, 9.0, 10.0, 80.0])

    for metric in (hit_rate, precision, recall, average_precision, ndcg, reciprocal_rank):
        assert metric(ranks, 10).tolist() == metric(ranks[:, None], 10).tolist()
    assert recall(ranks, 10).tolist() == hit_rate(ranks, 10).tolist()
    assert average_precision(ranks, 10).tolist() == reciprocal_rank(ranks, 10).tolist()


def test_ranks_in_lists() -> None:
    lists = np.asarray([[5, 2, 9], [1, 0, -1], [4, 3, 2]])
    ranks = list_ranks(lists, [np.asarray([9, 5, 7]), np.asarray([0]), np.zeros(0, int)])

    assert np.where(ranks > 3, 99, ranks).tolist() == [[0, 2, 99], [1, 99, 99], [99, 99, 99]]
    assert recall(ranks, 3).tolist() == pytest.approx([2 / 3, 1, 0])
    assert list_ranks(lists, [np.zeros(0, int)] * 3).shape == (3, 1)


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
