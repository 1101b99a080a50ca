"""Fit of the sequence model: kept where the order of histories says something, emptied where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.evaluation.ranking import Holdout
from audotics.features.tracks import TrackColumns
from audotics.models.sequence import SequenceOptions
from audotics.training.run import Split
from audotics.training.sequence import train_sequence

N_TRACKS = 30


def split_of(histories: list[np.ndarray]) -> Split:
    """The last track of each is for the test, the one before for validation."""
    listeners = len(histories)
    fitting = [history[:-2].astype(np.int32) for history in histories]
    training = [history[:-1].astype(np.int32) for history in histories]
    tracks = TrackColumns.build([str(row) for row in range(N_TRACKS)])
    validation, test = (np.asarray([history[at] for history in histories], np.int32) for at in (-2, -1))
    assert listeners == len(validation)
    return Split(np.arange(N_TRACKS), tracks, training, fitting, Holdout(fitting, validation), Holdout(training, test))


@pytest.fixture
def in_order() -> Split:
    """Everybody hears the tracks in a circle, from another one on."""
    return split_of([(start + np.arange(8)) % N_TRACKS for start in range(N_TRACKS)] * 3)


@pytest.fixture
def out_of_order() -> Split:
    """A few tracks are popular, and the order is that of their numbers."""
    rng = np.random.default_rng(0)
    chances = 1.0 / (1 + np.arange(N_TRACKS)) ** 1.5
    chances /= chances.sum()
    heard = [rng.choice(N_TRACKS, 8, replace=False, p=chances) for _ in range(200)]
    return split_of([np.concatenate([np.sort(rows[:-2])[::-1], rows[-2:]]) for rows in heard])


def test_what_comes_next_is_learnt(in_order: Split, watcher) -> None:
    fit = train_sequence(in_order, SequenceOptions(), seed=0, progress=watcher)

    assert fit.score > 0.9
    assert fit.final.scores(in_order.test.histories[:5]).argmax(axis=1).tolist() == in_order.test.targets[:5].tolist()
    assert fit.final.probabilities.sum() > fit.selection.probabilities.sum()
    assert not watcher.lines
    assert watcher.stages == [("sequence", 3, 3)]


def test_an_order_that_says_less_than_popularity_leaves_it_empty(out_of_order: Split, watcher) -> None:
    fit = train_sequence(out_of_order, SequenceOptions(), seed=0, progress=watcher)

    assert not fit.selection.probabilities.any()
    assert not fit.final.probabilities.any()
    assert fit.score > 0
    assert watcher.lines == ["sequence: left empty, since the order of the histories says less than popularity"]
