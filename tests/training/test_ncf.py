"""NCF learns listeners of two tastes, and folds in one that it has not met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audotics.evaluation.ranking import Holdout
from audotics.features.tracks import TrackColumns
from audotics.models.ncf import Ncf, NcfOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.loop import Fit
from audotics.training.ncf import train_ncf
from audotics.training.progress import Quiet

OPTIONS = NcfOptions(
    embedding_size=8,
    epochs=12,
    batch_size=10,
    learning_rate=0.02,
    negatives=16,
    dropout=0.1,
    patience=12,
    pretrain_epochs=0,
    averaging=0.8,
)


@pytest.fixture(scope="module")
def trained(two_tastes: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> tuple[Ncf, Fit]:
    """Trained on all but the last track of each listener, which validates."""
    holdout = Holdout([history[:-1] for history in two_tastes], np.asarray([history[-1] for history in two_tastes]))
    return train_ncf(
        holdout.histories,
        40,
        OPTIONS,
        seed=0,
        holdout=holdout,
        checkpoints=Checkpoints(tmp_path_factory.mktemp("ncf")),
        resume=False,
        progress=Quiet(),
    )


def test_the_loss_falls(trained: tuple[Ncf, Fit]) -> None:
    _, result = trained

    told_apart, guessed = np.log(40 / 2), np.log(40)
    assert result.losses[0] > 0.95 * guessed
    assert result.losses[-1] < told_apart


def test_held_out_tracks_rank_above_those_of_the_other_taste(
    trained: tuple[Ncf, Fit], two_tastes: list[np.ndarray]
) -> None:
    model, _ = trained
    scores = model.scores([history[:-1] for history in two_tastes])

    for user, history in enumerate(two_tastes):
        other = scores[user, 20:] if user % 2 == 0 else scores[user, :20]
        assert scores[user, history[-1]] > other.max()


@pytest.mark.parametrize(("history", "own"), [([4, 7], slice(0, 20)), ([39], slice(20, 40))])
def test_a_listener_it_never_met_is_folded_in(trained: tuple[Ncf, Fit], history: list[int], own: slice) -> None:
    model, _ = trained
    ranking = np.argsort(-model.scores([np.asarray(history)])[0])

    assert set(ranking[:18].tolist()) <= set(range(40)[own])


def test_pre_training_alone_tells_the_tastes_apart(two_tastes: list[np.ndarray], tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=1, learning_rate=1e-9, pretrain_epochs=12, pretrain_learning_rate=0.02)

    model, result = train_ncf(
        two_tastes,
        40,
        options,
        seed=0,
        holdout=None,
        checkpoints=Checkpoints(tmp_path),
        resume=False,
        progress=Quiet(),
    )

    assert len(result.losses) == 1
    assert model.output.weight.abs().max() < 1e-6, "the tower is nothing before NeuMF is trained"
    ranking = np.argsort(-model.scores([np.asarray([4, 7], np.int32)])[0])
    assert set(ranking[:18].tolist()) <= set(range(20))


def test_what_tracks_share_is_learnt_for_all_that_share_it(two_tastes: list[np.ndarray], tmp_path: Path) -> None:
    """Track 40, which nobody heard, has the artist of the even listeners' tracks, track 41 that of the others'."""
    artists = ["even"] * 20 + ["odd"] * 20 + ["even", "odd"]

    model, _ = train_ncf(
        two_tastes,
        42,
        replace(OPTIONS, pretrain_epochs=8, epochs=1, attributes=True),
        seed=0,
        holdout=None,
        checkpoints=Checkpoints(tmp_path),
        resume=False,
        progress=Quiet(),
        tracks=TrackColumns.build([str(row) for row in range(42)], artists=artists),
    )

    even, odd = model.scores([np.arange(5, dtype=np.int32), np.arange(30, 35, dtype=np.int32)])
    assert even[40] > even[41]
    assert odd[41] > odd[40]


def test_without_a_holdout_the_last_epoch_counts(two_tastes: list[np.ndarray], tmp_path: Path) -> None:
    _, result = train_ncf(
        two_tastes,
        40,
        NcfOptions(embedding_size=4, epochs=2),
        seed=0,
        holdout=None,
        checkpoints=Checkpoints(tmp_path),
        resume=False,
        progress=Quiet(),
    )

    assert result.best_epoch == 2
    assert result.scores == ()
