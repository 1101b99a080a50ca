"""Evaluation of a group model: a data set with its test part goes in, a table of the model and its baselines comes out.

Two protocols stand in each row. `hr@5` and `ndcg@5` are on all test rows, as the source has them. `new_hr@5` and
`new_ndcg@5` are on the rows whose track is new to the group, against tracks that are new to it too; in what
`data/loaders/camra.py` reads, two fifths of the rows are not. Satisfaction, harmony and min-satisfaction are those of
the five best of each group's new tracks. Their judge is EASE on each member alone: the higher it ranks a track, the
more the track is worth to that member. It is a judge in favour of baselines made of the same scores.

What a baseline leaves open is chosen on the same validation part as the model's options: λ and the item exponent for
EASE, and the penalty of familiar tracks for the row that has one.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.data.groups import NO_TRACK, GroupCandidates, GroupDataset, hold_out
from audotics.evaluation.baselines import history_matrix, item_knn
from audotics.evaluation.groups import (
    GroupScorer,
    Judge,
    candidate_ranks,
    ranking_metrics,
    satisfaction_metrics,
)
from audotics.models.collaborative import CollaborativeModel, assemble
from audotics.models.group import GroupModel, GroupOptions
from audotics.training.group import (
    METRIC,
    STRENGTHS,
    VALIDATION_NEGATIVES,
    VALIDATION_PER_GROUP,
    best_penalty,
    factor_options,
    familiarity,
    group_inputs,
    group_spectrum,
    linear_scorer,
    model_scorer,
    penalised,
    plays,
    without_penalty,
)
from audotics.training.progress import Progress

KNN_TRACKS: Final = 10_000
"""Item k-NN holds a dense matrix of all pairs of tracks; beyond this many it is left out."""

MIXTURES: Final = {
    "EASE, group's history": (0.0, 1.0),
    "EASE, mean of members": (1.0, 0.0),
    "EASE, members and group": (1.0, 1.0),
}
"""Weights of the members' mean score and of the score of the group's own history."""

PENALISED: Final = "EASE, members and group"


def compare_group(
    model: GroupModel, data: GroupDataset, options: GroupOptions, *, seed: int, progress: Progress
) -> dict[str, dict[str, float]]:
    """Metrics of each row on the test part of `data`, baselines first; `seed` is the one of training."""
    new = data.unheard(data.test)
    pools = _pools(data)
    judge, scorers = _baselines(data, options, seed=seed, progress=progress)
    inputs = group_inputs(data, data.test, half_life=options.half_life)
    scorers["group, familiar tracks not penalised"] = model_scorer(without_penalty(model), inputs)
    scorers["group"] = model_scorer(model, inputs)
    rows = {}
    with progress.stage("evaluate groups", len(scorers)) as stage:
        for name, scorer in scorers.items():
            rows[name] = ranking_metrics(candidate_ranks(scorer, data.test))
            if len(new):
                fresh = ranking_metrics(candidate_ranks(scorer, new))
                rows[name] |= {f"new_{metric}": value for metric, value in fresh.items()}
            if pools:
                rows[name] |= satisfaction_metrics(scorer, judge, pools)
            stage.advance(1, name)
    return rows


def _baselines(
    data: GroupDataset, options: GroupOptions, *, seed: int, progress: Progress
) -> tuple[Judge, dict[str, GroupScorer]]:
    fitting, validation = hold_out(data, per_group=VALIDATION_PER_GROUP, negatives=VALIDATION_NEGATIVES, seed=seed)
    trial, final = group_spectrum(fitting, options.rank), group_spectrum(data, options.rank)
    counts = plays(data).astype(np.float64)
    scorers: dict[str, GroupScorer] = {"popularity": lambda group, tracks: counts[tracks]}
    if data.n_tracks <= KNN_TRACKS:
        scorers["item k-NN, group's history"] = _item_knn(data)
    trials = [assemble(trial, factor_options(options, l2=l2, item_exponent=power)) for l2, power in STRENGTHS]
    finals: dict[str, CollaborativeModel] = {}

    def final_of(best: int) -> CollaborativeModel:
        l2, power = STRENGTHS[best]
        return assemble(final, factor_options(options, l2=l2, item_exponent=power))

    with progress.stage("baselines", len(MIXTURES) + 1) as stage:
        for name, (members, group) in MIXTURES.items():
            of_mixture = partial(linear_scorer, members=members, group=group)
            values = [_score(of_mixture(factors, fitting), validation) for factors in trials]
            finals[name] = final_of(int(np.argmax(values)))
            scorers[name] = of_mixture(finals[name], data)
            stage.advance(1, name)
        chosen = [best_penalty(linear_scorer(factors, fitting), fitting, validation) for factors in trials]
        best = int(np.argmax([value for _, value in chosen]))
        scorers[f"{PENALISED}, familiar penalised"] = penalised(
            linear_scorer(final_of(best), data), familiarity(data), chosen[best][0]
        )
        stage.advance(1)
    return _judge(finals["EASE, mean of members"], data), scorers


def _score(scorer: GroupScorer, validation: GroupCandidates) -> float:
    return ranking_metrics(candidate_ranks(scorer, validation))[METRIC]


def _item_knn(data: GroupDataset) -> GroupScorer:
    histories = data.group_histories()
    scorer = item_knn(history_matrix([*data.user_histories(), *histories], data.n_tracks))
    scores = scorer(histories)
    return lambda group, tracks: scores[group, tracks]


def _pools(data: GroupDataset) -> list[tuple[int, NDArray[np.int64]]]:
    """For each tested group those of its candidates that are new to it, where there are more than five."""
    heard = data.heard()
    pools = []
    for group in np.unique(data.test.groups).tolist():
        rows = data.test.groups == group
        tracks = np.unique(np.concatenate([data.test.positives[rows], data.test.negatives[rows].ravel()]))
        tracks = tracks[(tracks != NO_TRACK) & ~heard[group, tracks]].astype(np.int64)
        if len(tracks) > 5:
            pools.append((group, tracks))
    return pools


def _judge(factors: CollaborativeModel, data: GroupDataset) -> Judge:
    """What a track is worth to a member: the discounted gain 1 / log2(2 + rank) of its rank by the member's own score.

    Linear worth, the share of tracks that it beats, was tried: every model's five best then satisfied above 98 %.
    """
    histories = data.user_histories()

    def worth(group: int, tracks: NDArray[np.int64]) -> NDArray[np.floating]:
        vectors = factors.user_vectors([histories[member] for member in data.members[group]])
        scores = vectors @ factors.track_vectors[tracks].T
        ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
        return 1.0 / np.log2(2.0 + ranks)

    return worth
