"""Training of the group model: a group data set goes in, a fitted model and the record of its choices come out.

The order is: a validation part is cut out of the training part, as the test part was; the collaborative factors and the
penalty of what is familiar are chosen on it; the network learns on top of factors that have not seen its targets
(`training/group_batches.py`), with early stopping; how far to go with what it learnt and the penalty are chosen; and
the factors are fitted anew with the validation part put back.

The network starts as the linear model, and on few groups it ends worse than it began: its loss asks for likely tracks,
while the metric asks for the first five. So its parameters are taken a share of the way from start to end (as in
Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"), and a share of 0 leaves the linear model. Tried without
gain: learnt embeddings of tracks, the generalised cross-entropy, and ApproxNDCG as the loss.

With more data, the network may go on from an earlier one. λ and the item exponent stay what they were, the factors are
fitted anew and turned to the old axes, and fewer epochs follow. The earlier network has learnt from pairs that may be
in the validation part now, so the validation metrics of an update flatter it; the test part is the source's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from audotics.data.groups import GroupCandidates, GroupDataset, hold_out
from audotics.evaluation.baselines import history_matrix
from audotics.evaluation.groups import GroupScorer, candidate_ranks, ranking_metrics
from audotics.features.groups import GroupEvents, GroupInputs
from audotics.models.collaborative import (
    CollaborativeModel,
    CollaborativeOptions,
    Spectrum,
    assemble,
    decompose,
)
from audotics.models.group import SHORTEST, GroupModel, GroupOptions, aligned
from audotics.training.checkpoints import Checkpoints
from audotics.training.group_batches import CrossFit, plays_of
from audotics.training.loop import Fit, Schedule, fit
from audotics.training.progress import Progress

STRENGTHS: Final = tuple(product((4.0, 8.0, 16.0, 32.0, 64.0, 128.0), (0.5, 1.0)))
"""Pairs of λ, in units of the Gram matrix's mean diagonal, and item exponent that are tried."""

PENALTIES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Penalties of familiar tracks that are tried, in standard deviations of a score."""

VALIDATION_PER_GROUP: Final = 5
VALIDATION_NEGATIVES: Final = 100
METRIC: Final = "ndcg@5"
SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far from its start towards its end of training the network may be taken."""

UPDATE_EPOCHS: Final = 1 / 3
"""Epochs after which an update ends at the latest, as a share of training's."""

SIMULATED: Final = "simulated from single listeners"
_PAIRS: Final = 20_000


@dataclass(frozen=True, slots=True)
class GroupFit:
    """What was chosen on validation data, how training went, and the validation metrics of the result."""

    l2: float
    item_exponent: float
    familiarity_penalty: float
    network_share: float
    network: Fit
    validation: dict[str, float]
    simulated: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "l2": self.l2,
            "item_exponent": self.item_exponent,
            "familiarity_penalty": self.familiarity_penalty,
            "network_share": self.network_share,
            "fit": self.network.to_json(),
            "validation": self.validation,
            "groups": SIMULATED if self.simulated else "as the source has them",
        }


@dataclass(frozen=True, slots=True)
class GroupStart:
    """An earlier model to go on from, the row that each of its tracks has now, and what was chosen for its factors."""

    model: GroupModel
    rows: NDArray[np.int64]
    l2: float
    item_exponent: float


def train_group(
    data: GroupDataset,
    options: GroupOptions,
    *,
    seed: int,
    checkpoints: Checkpoints,
    resume: bool,
    progress: Progress,
    start: GroupStart | None = None,
) -> tuple[GroupModel, GroupFit]:
    """Fit on the training part of `data`, from an earlier model's parameters if there is a `start`.

    The test part is not looked at.

    Raises DataError when no group has two tracks, and CheckpointError when a checkpoint cannot be used.
    """
    fitting, validation = hold_out(data, per_group=VALIDATION_PER_GROUP, negatives=VALIDATION_NEGATIVES, seed=seed)
    spectrum = group_spectrum(fitting, options.rank)
    strengths = STRENGTHS if start is None else ((start.l2, start.item_exponent),)
    with progress.stage("group factors", len(strengths)) as stage:
        trials = []
        for l2, exponent in strengths:
            factors = assemble(spectrum, factor_options(options, l2=l2, item_exponent=exponent))
            trials.append(best_penalty(linear_scorer(factors, fitting), fitting, validation))
            stage.advance(1, f"validation {trials[-1][1]:.4f}")
    best = int(np.argmax([score for _, score in trials]))
    (l2, exponent), penalty = strengths[best], trials[best][0]
    chosen = factor_options(options, l2=l2, item_exponent=exponent)
    factors = assemble(spectrum, chosen)
    if start is not None:
        factors = aligned(factors, start.model.track_factors[:-1].numpy(), start.rows)

    def fit_factors(users: list[NDArray[np.int32]], groups: list[NDArray[np.int32]]) -> CollaborativeModel:
        return aligned(assemble(_spectrum([*users, *groups], fitting, options.rank), chosen), factors.track_vectors)

    torch.manual_seed(seed)
    model = GroupModel(
        data.n_tracks,
        rank=factors.track_vectors.shape[1],
        embedding_size=options.embedding_size,
        taste_size=data.taste.shape[1],
        dropout=options.dropout,
    )
    if start is not None:
        model.load_state_dict(model.state_dict() | dict(start.model.named_parameters()))
    model.set_factors(factors, plays(fitting))
    model.familiarity_penalty.fill_(penalty)
    inputs = group_inputs(fitting, validation, half_life=options.half_life)
    cross_fit = CrossFit.of(fitting, options, fit_factors, seed=seed, progress=progress)
    by_text = (
        group_inputs(fitting, validation, half_life=options.half_life, histories=False) if model.taste_size else None
    )

    def validate() -> float:
        value = _measure(model_scorer(model, inputs), validation)[METRIC]
        if by_text is None:
            return value
        # Texts matter most to members without a history, whom the validation part would not show.
        return (value + _measure(model_scorer(model, by_text), validation)[METRIC]) / 2

    first = [parameter.detach().clone() for parameter in model.parameters()]
    epochs = options.epochs if start is None else max(1, round(options.epochs * UPDATE_EPOCHS))
    schedule = Schedule(epochs, options.patience, options.learning_rate, seed)
    result = fit(
        model,
        schedule,
        batches=lambda rng: cross_fit.batches(model, rng),
        validate=validate,
        checkpoints=checkpoints,
        resume=resume,
        progress=progress,
        title="group",
    )
    share = _best_share(model, first, validate)
    model.familiarity_penalty.zero_()
    penalty, _ = best_penalty(model_scorer(model, inputs), fitting, validation)
    model.familiarity_penalty.fill_(penalty)
    measured = _measure(model_scorer(model, inputs), validation)
    final = aligned(assemble(group_spectrum(data, options.rank), chosen), factors.track_vectors)
    model.set_factors(final, plays(data))
    model.compatibility_range[:] = torch.tensor(compatibility_range(final, data.user_histories(), seed=seed))
    return model.eval(), GroupFit(l2, exponent, penalty, share, result, measured, data.simulated)


def _best_share(model: GroupModel, start: list[Tensor], validate: Callable[[], float]) -> float:
    """Leave the parameters at the best of SHARES of the way from `start` to where they are, and return it."""
    end = [parameter.detach().clone() for parameter in model.parameters()]

    def move(share: float) -> None:
        with torch.no_grad():
            for parameter, first, last in zip(model.parameters(), start, end, strict=True):
                parameter.copy_(torch.lerp(first, last, share))

    scores = []
    for share in SHARES:
        move(share)
        scores.append(validate())
    best = SHARES[int(np.argmax(scores))]
    move(best)
    return best


def factor_options(options: GroupOptions, *, l2: float, item_exponent: float) -> CollaborativeOptions:
    return CollaborativeOptions(rank=options.rank, l2=l2, item_exponent=item_exponent)


def group_spectrum(data: GroupDataset, rank: int) -> Spectrum:
    """The spectrum of the Gram matrix of listeners and groups together, each of them a row."""
    return _spectrum([*data.user_histories(), *data.group_histories()], data, rank)


def _spectrum(histories: list[NDArray[np.int32]], data: GroupDataset, rank: int) -> Spectrum:
    """Of the two Gram matrices of the same spectrum, rows by rows and tracks by tracks, the smaller is decomposed."""
    matrix = history_matrix(histories, data.n_tracks)
    if matrix.shape[0] >= matrix.shape[1]:
        return decompose(matrix, data.tracks, CollaborativeOptions(rank=min(rank, data.n_tracks)))
    values, vectors = np.linalg.eigh(np.asarray((matrix @ matrix.T).todense(), np.float64))
    order = np.argsort(values)[::-1][:rank]
    order = order[values[order] > 1e-6 * values[order[0]]]
    kept = values[order]
    right = sparse.csr_matrix(matrix.T) @ vectors[:, order] / np.sqrt(kept)
    return Spectrum(kept, np.asarray(right), float(matrix.sum()) / data.n_tracks)


def group_inputs(
    data: GroupDataset, candidates: GroupCandidates, *, half_life: float, histories: bool = True
) -> dict[int, tuple[NDArray[np.int64], GroupInputs]]:
    """For each group of `candidates`: its sorted distinct tracks there, and the inputs for them.

    Without `histories` nobody has heard anything, and only texts tell members apart.
    """
    users, groups = data.user_histories(), data.group_histories()
    if not histories:
        users, groups = ([np.zeros(0, np.int32)] * len(rows) for rows in (users, groups))
    inputs = {}
    for group in np.unique(candidates.groups).tolist():
        rows = candidates.groups == group
        tracks = np.unique(np.concatenate([candidates.positives[rows], candidates.negatives[rows].ravel()]))
        tracks = tracks[tracks >= 0].astype(np.int64)
        members = data.members[group]
        inputs[group] = (
            tracks,
            GroupInputs.of(
                [users[member] for member in members],
                GroupEvents.of(groups[group], half_life=half_life),
                tracks,
                taste=data.taste[members],
            ),
        )
    return inputs


def model_scorer(model: GroupModel, inputs: dict[int, tuple[NDArray[np.int64], GroupInputs]]) -> GroupScorer:
    """The model on prepared inputs, which must hold the tracks that are asked for."""

    def score(group: int, tracks: NDArray[np.int64]) -> NDArray[np.floating]:
        known, prepared = inputs[group]
        return model.recommend(prepared)["score"][np.searchsorted(known, tracks)]

    return score


def linear_scorer(
    factors: CollaborativeModel, data: GroupDataset, *, members: float = 1.0, group: float = 1.0
) -> GroupScorer:
    """The weighted sum of the members' mean score and the score of the group's own history, both without themselves."""
    users, groups = data.user_histories(), data.group_histories()
    own = (factors.history_vectors * factors.track_vectors).sum(axis=1)
    raw_users, raw_groups = (
        np.asarray(history_matrix(histories, data.n_tracks) @ factors.history_vectors) for histories in (users, groups)
    )

    def folded(
        raw: NDArray[np.float32], histories: list[NDArray[np.int32]], tracks: NDArray[np.int64]
    ) -> NDArray[np.floating]:
        lengths = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), SHORTEST)
        known = np.stack([np.isin(tracks, history) for history in histories])
        return ((raw @ factors.track_vectors[tracks].T - known * own[tracks]) / lengths).mean(axis=0)

    def score(row: int, tracks: NDArray[np.int64]) -> NDArray[np.floating]:
        listeners = data.members[row]
        of_members = folded(raw_users[listeners], [users[member] for member in listeners], tracks) if members else 0.0
        of_group = folded(raw_groups[row : row + 1], [groups[row]], tracks) if group else 0.0
        return np.asarray(members * of_members + group * of_group)

    return score


def familiarity(data: GroupDataset) -> GroupScorer:
    """How familiar tracks are to a group, 0..1, as `GroupInputs` counts it."""
    users, groups = data.user_histories(), data.group_histories()

    def score(row: int, tracks: NDArray[np.int64]) -> NDArray[np.floating]:
        share = np.mean([np.isin(tracks, users[member]) for member in data.members[row]], axis=0)
        return np.maximum(np.isin(tracks, groups[row]), share)

    return score


def penalised(scorer: GroupScorer, familiar: GroupScorer, penalty: float) -> GroupScorer:
    """`scorer` less `penalty` times how familiar each track is."""
    return lambda row, tracks: scorer(row, tracks) - penalty * familiar(row, tracks)


def best_penalty(scorer: GroupScorer, data: GroupDataset, validation: GroupCandidates) -> tuple[float, float]:
    """The best of PENALTIES by validation NDCG@5, with that value."""
    known, familiar = remembered(scorer), remembered(familiarity(data))
    scores = [_measure(penalised(known, familiar, penalty), validation)[METRIC] for penalty in PENALTIES]
    best = int(np.argmax(scores))
    return PENALTIES[best], scores[best]


def remembered(scorer: GroupScorer) -> GroupScorer:
    """`scorer`, asked once a group: the tracks must be the same each time."""
    scores: dict[int, NDArray[np.floating]] = {}

    def score(row: int, tracks: NDArray[np.int64]) -> NDArray[np.floating]:
        if row not in scores:
            scores[row] = scorer(row, tracks)
        return scores[row]

    return score


def plays(data: GroupDataset) -> NDArray[np.int64]:
    """How many listeners and groups have each track, int64 (n_tracks,)."""
    return plays_of([*data.user_histories(), *data.group_histories()], data.n_tracks)


def _measure(scorer: GroupScorer, candidates: GroupCandidates) -> dict[str, float]:
    return ranking_metrics(candidate_ranks(scorer, candidates))


def compatibility_range(
    factors: CollaborativeModel, histories: list[NDArray[np.int32]], *, seed: int
) -> tuple[float, float]:
    """The 5th percentile of the cosines of random pairs of listeners, and where their median lies after stretching."""
    vectors = factors.user_vectors([history for history in histories if len(history)])
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, len(vectors), (2, _PAIRS))
    different = first != second
    if not different.any():
        return 0.0, 0.5
    cosines = (vectors[first] * vectors[second]).sum(axis=1)[different]
    low = float(min(np.percentile(cosines, 5), 0.95))
    return low, float(np.clip((np.median(cosines) - low) / (1.0 - low), 0.0, 1.0))


def without_penalty(model: GroupModel) -> GroupModel:
    """A copy that scores familiar tracks as if they were new."""
    copy = GroupModel(
        model.n_tracks,
        rank=model.track_factors.shape[1],
        embedding_size=model.track.out_features,
        taste_size=model.taste_size,
    )
    copy.load_state_dict(model.state_dict())
    copy.familiarity_penalty.zero_()
    return copy.eval()
