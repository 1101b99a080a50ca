"""Protocols that need a training of their own: a data set goes in, what to train on and what to ask comes out.

A protocol's rows are those of the data set it was made from, and so are those of its `training` part: the catalogue
stays whole, and tracks or listeners that are kept from training have no interactions in it. A scorer for it takes
histories and returns scores over all these rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError, Dataset, Interactions
from audotics.data.splits import cold_tracks, unseen_listeners
from audotics.evaluation.ranking import Histories, OnBatch, Scorer, set_ranking

TrainModels = Callable[[Dataset], Mapping[str, Scorer]]
"""Trains on a part of a data set; the scorers take histories of its rows and score all of its tracks."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What m listeners are asked after training on `training`.

    `histories` holds what is known of each, never empty, and `relevant` what was held out, at least one track each.
    `among` bool (n,) says which tracks are ranked, if not all that the listener has not heard.
    """

    name: str
    training: Dataset
    histories: Histories
    relevant: Histories
    among: NDArray[np.bool_] | None = None

    def ranks(self, scorer: Scorer, *, on_batch: OnBatch = lambda done: None) -> NDArray[np.float64]:
        """Where the relevant tracks stand, float64 (m, r), as the functions of `metrics` take them."""
        return set_ranking(scorer, self.histories, self.relevant, among=self.among, on_batch=on_batch)

    def run(self, train: TrainModels) -> dict[str, NDArray[np.float64]]:
        """Train, and rank with each model: its name → `ranks`."""
        return {name: self.ranks(scorer) for name, scorer in train(self.training).items()}


def cold_track_trial(
    dataset: Dataset, *, fraction: float = 0.1, seed: int = 0, by: Literal["tracks", "artists"] = "tracks"
) -> Trial:
    """Keep a `fraction` of the played tracks from training, and rank these alone for listeners who heard one of them.

    With "artists", all tracks of a `fraction` of the artists are kept from it, so that nobody knows the artists either.
    `dataset` is usually a k-core. Listeners who have heard nothing else are left out.
    """
    split = cold_tracks(dataset, fraction=fraction, seed=seed, by=by)
    cold = np.zeros(dataset.n_tracks, np.bool_)
    cold[split.test_tracks] = True
    held_out = Interactions.build(split.test_users, split.test_tracks)
    whose = "" if by == "tracks" else " of artists"
    name = f"{int(cold.sum())} tracks{whose} unseen in training, ranked among themselves"
    training = dataset.with_interactions(split.train)
    return _trial(name, training, split.train, held_out, among=cold)


def unseen_listener_trial(
    dataset: Dataset, *, fraction: float = 0.2, seed: int = 0, how: Literal["random", "last"] = "random"
) -> Trial:
    """Keep a `fraction` of the listeners from training, fold in half of their histories, look for the rest."""
    split = unseen_listeners(dataset, fraction=fraction, seed=seed, how=how)
    training = dataset.with_interactions(split.train)
    return _trial("listeners unseen in training, folded in", training, split.fold_in, split.held_out, among=None)


def _trial(
    name: str, training: Dataset, known: Interactions, held_out: Interactions, *, among: NDArray[np.bool_] | None
) -> Trial:
    histories, relevant = known.histories(training.n_users), held_out.histories(training.n_users)
    asked = [user for user in range(training.n_users) if len(histories[user]) and len(relevant[user])]
    if not asked:
        raise DataError(f"{training.name}: no listener is left to ask; choose another fraction, or bring more data")
    return Trial(name, training, [histories[user] for user in asked], [relevant[user] for user in asked], among)
