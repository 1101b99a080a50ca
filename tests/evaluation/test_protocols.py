"""Protocols with a training of their own: what is kept from it, and what is asked."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport
from audotics.data.synthetic import synthetic
from audotics.evaluation.baselines import ease, interaction_matrix, popularity
from audotics.evaluation.metrics import ndcg
from audotics.evaluation.protocols import Trial, cold_track_trial, unseen_listener_trial
from audotics.evaluation.ranking import Histories, Scorer
from audotics.features.tracks import TrackColumns


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return synthetic(n_tracks=120, n_users=80, seed=1)


def oracle(trial: Trial) -> Scorer:
    """Knows what was held out of each listener, whom it tells by their history."""
    wanted = {history.tobytes(): relevant for history, relevant in zip(trial.histories, trial.relevant, strict=True)}

    def score(histories: Histories) -> np.ndarray:
        scores = np.zeros((len(histories), trial.training.n_tracks), np.float32)
        for row, history in enumerate(histories):
            scores[row, wanted[history.tobytes()]] = 1
        return scores

    return score


def test_cold_tracks_are_kept_from_training_and_ranked_alone(dataset: Dataset) -> None:
    trial = cold_track_trial(dataset, fraction=0.25, seed=2)

    assert trial.among is not None
    cold = np.flatnonzero(trial.among)
    assert len(cold) == round(0.25 * len(np.unique(dataset.interactions.tracks)))
    assert not np.isin(trial.training.interactions.tracks, cold).any()
    assert trial.training.n_tracks == dataset.n_tracks
    assert (trial.training.tracks.plays[cold] == 0).all()
    assert all(len(history) and not np.isin(history, cold).any() for history in trial.histories)
    assert all(len(relevant) and np.isin(relevant, cold).all() for relevant in trial.relevant)
    held_out = len(dataset.interactions) - len(trial.training.interactions)
    assert sum(map(len, trial.relevant)) == held_out
    assert f"{len(cold)} tracks unseen in training" in trial.name


def test_unseen_listeners_are_kept_from_training_and_asked_for_the_other_half(dataset: Dataset) -> None:
    trial = unseen_listener_trial(dataset, fraction=0.25, seed=2)

    heard = np.diff(dataset.interactions.offsets(dataset.n_users))
    trained = np.diff(trial.training.interactions.offsets(dataset.n_users))
    unseen = np.flatnonzero(trained == 0)
    assert len(unseen) == len(trial.histories) == round(0.25 * dataset.n_users)
    seen = np.flatnonzero(trained)
    np.testing.assert_array_equal(trained[seen], heard[seen])
    whole = dataset.interactions.histories(dataset.n_users)
    for user, history, relevant in zip(unseen, trial.histories, trial.relevant, strict=True):
        assert sorted([*history, *relevant]) == sorted(whole[user])
        assert len(history) - len(relevant) in (0, 1)
    assert trial.among is None


@pytest.mark.parametrize("make", [cold_track_trial, unseen_listener_trial])
def test_a_scorer_is_ranked_on_what_was_held_out(dataset: Dataset, make) -> None:
    trial = make(dataset, fraction=0.25, seed=3)
    candidates = dataset.n_tracks if trial.among is None else int(trial.among.sum())

    perfect = trial.ranks(oracle(trial))
    constant = trial.ranks(lambda histories: np.zeros((len(histories), dataset.n_tracks), np.float32))

    assert ndcg(perfect, 10).tolist() == pytest.approx([1.0] * len(trial.relevant))
    for row, relevant in enumerate(trial.relevant):
        rivals = candidates - (len(trial.histories[row]) if trial.among is None else 0)
        assert np.mean(constant[row, : len(relevant)]) == pytest.approx((rivals - 1) / 2)


def test_the_models_are_trained_on_what_is_left(dataset: Dataset) -> None:
    trial = unseen_listener_trial(dataset, fraction=0.3, seed=4)

    def train(training: Dataset) -> dict[str, Scorer]:
        assert training is trial.training
        matrix = interaction_matrix(training.interactions, n_users=training.n_users, n_tracks=training.n_tracks)
        return {"popularity": popularity(matrix), "EASE": ease(matrix)}

    ranks = trial.run(train)

    assert list(ranks) == ["popularity", "EASE"]
    assert ndcg(ranks["EASE"], 10).mean() > ndcg(ranks["popularity"], 10).mean()


def test_nobody_left_to_ask_is_an_error() -> None:
    """Every listener has heard one track only, so whoever heard a cold one has heard nothing else."""
    users = np.arange(6)
    interactions = Interactions.build(users, users)
    ids = np.asarray([f"u{user}" for user in users], object)
    dataset = Dataset("lonely", TrackColumns.build([f"t{t}" for t in users]), ids, interactions, LoadReport("test"))

    with pytest.raises(DataError, match="lonely: no listener is left to ask"):
        cold_track_trial(dataset, fraction=0.5)
    with pytest.raises(DataError, match="lonely: no listener has the two tracks"):
        unseen_listener_trial(dataset)
