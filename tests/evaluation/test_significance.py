"""The bootstrap on data whose answer is known, and against that of SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audotics.evaluation.significance import mean_intervals, paired_ratios

Values = dict[str, np.ndarray]


def listeners(rng: np.random.Generator, m: int, *, ratio: float) -> Values:
    """Easy and hard listeners for both models, of which the second has `ratio` times as much on average."""
    easiness = rng.gamma(2.0, size=m)
    return {
        "EASE": easiness * rng.uniform(0.5, 1.5, m),
        "ours": easiness * rng.uniform(0.5, 1.5, m) * ratio,
    }


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        interval = paired_ratios(listeners(rng, 150, ratio=1.1), baseline="EASE", resamples=400, seed=seed)["ours"]
        covered += interval.low <= 1.1 <= interval.high

    # 285 are expected; a count of 300 has a standard deviation of 3.8.
    assert 270 <= covered <= 297


def test_the_interval_of_a_mean_covers_it_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(300):
        values = {"ours": rng.uniform(0, 1, 100)}
        interval = mean_intervals(values, resamples=400, level=0.8, seed=seed)["ours"]
        covered += interval.low <= 0.5 <= interval.high

    assert 240 - 28 <= covered <= 240 + 21


def test_it_is_the_percentile_interval_of_scipy() -> None:
    values = listeners(np.random.default_rng(2), 400, ratio=1.05)
    expected = stats.bootstrap(
        (values["ours"], values["EASE"]),
        lambda ours, ease, axis: ours.mean(axis=axis) / ease.mean(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=5_000,
        rng=np.random.default_rng(3),
    ).confidence_interval

    interval = paired_ratios(values, baseline="EASE", resamples=5_000)["ours"]

    assert interval.estimate == pytest.approx(values["ours"].mean() / values["EASE"].mean(), abs=1e-12)
    assert interval.low == pytest.approx(expected.low, abs=0.003)
    assert interval.high == pytest.approx(expected.high, abs=0.003)


def test_pairing_takes_out_what_is_hard_for_everybody() -> None:
    rng = np.random.default_rng(4)
    values = listeners(rng, 300, ratio=1.0)
    shuffled = values | {"ours": rng.permutation(values["ours"])}

    paired, unpaired = (paired_ratios(v, baseline="EASE")["ours"] for v in (values, shuffled))

    assert paired.high - paired.low < 0.7 * (unpaired.high - unpaired.low)


def test_a_model_that_does_the_same_has_a_ratio_of_one_without_doubt() -> None:
    same = np.random.default_rng(5).random(80)

    (interval,) = paired_ratios({"EASE": same, "copy": same.copy()}, baseline="EASE").values()

    assert interval.to_json() == {"estimate": 1.0, "low": pytest.approx(1.0), "high": pytest.approx(1.0)}


def test_a_seed_gives_the_same_interval_again() -> None:
    values = listeners(np.random.default_rng(6), 50, ratio=1.2)

    assert paired_ratios(values, baseline="EASE", seed=7) == paired_ratios(values, baseline="EASE", seed=7)
    assert paired_ratios(values, baseline="EASE", seed=7) != paired_ratios(values, baseline="EASE", seed=8)
    assert list(mean_intervals(values)) == ["EASE", "ours"]


def test_a_baseline_that_finds_nothing_has_no_ratios() -> None:
    values = {"EASE": np.zeros(20), "ours": np.ones(20)}

    assert paired_ratios(values, baseline="EASE") == {}


def test_resamples_in_which_the_baseline_finds_nothing_do_not_count() -> None:
    once = np.zeros(20)
    once[3] = 1.0

    interval = paired_ratios({"EASE": once, "ours": np.ones(20)}, baseline="EASE")["ours"]

    assert interval.estimate == 20
    assert 0 < interval.low < interval.high <= 20


def test_without_listeners_there_is_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="no listeners"):
        mean_intervals({"ours": np.zeros(0)})
