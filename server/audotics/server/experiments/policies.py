"""Policies over arms: rules and logged lists go in, estimates of what the policy would have earned come out.

The estimators are those of `features.off_policy`, clustered by listener, who keeps an arm throughout. The reward model
of the doubly robust one predicts from log(1 + history) and whether a mood was asked for, a ridge regression for each
arm, fitted to the listeners of the other half (cross-fitting: Chernozhukov et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.interval import Interval
from audotics.features.off_policy import doubly_robust, effective_size, importance_weights, ips, snips
from audotics.server.experiments.metrics import ListOutcomes

_FOLDS: Final = 2
_RIDGE: Final = 1.0
"""Of the reward model, in lists."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Probabilities of arms for lists that fit: from `min_history` tracks heard, below `max_history`, of some moods."""

    arms: Mapping[str, float]
    min_history: int | None = None
    max_history: int | None = None
    moods: tuple[str, ...] = ()

    @property
    def fits_all(self) -> bool:
        return self.min_history is None and self.max_history is None and not self.moods

    def fits(self, lists: ListOutcomes) -> NDArray[np.bool_]:
        """Which lists fit, (n,)."""
        fitting = np.ones(len(lists), np.bool_)
        if self.min_history is not None:
            fitting &= lists.history_length >= self.min_history
        if self.max_history is not None:
            fitting &= lists.history_length < self.max_history
        if self.moods:
            fitting &= np.isin(lists.mood.astype(str), self.moods)
        return fitting


@dataclass(frozen=True, slots=True)
class PolicyEstimates:
    """What a list earns by the policy, estimated in three ways, and `logged`, what it earned."""

    ips: Interval
    snips: Interval
    doubly_robust: Interval
    logged: float
    lists: int
    listeners: int
    effective_lists: float


def probabilities(rules: Sequence[Rule], lists: ListOutcomes) -> NDArray[np.float64]:
    """The policy: for each list the probability of each arm of `lists.arms`, (n, a). The last rule fits all."""
    policy = np.zeros((len(lists), len(lists.arms)))
    for rule in reversed(rules):
        policy[rule.fits(lists)] = [rule.arms.get(arm, 0.0) for arm in lists.arms]
    return policy


def evaluate(
    rules: Sequence[Rule], lists: ListOutcomes, rewards: NDArray[np.float64], *, clip: float = math.inf
) -> PolicyEstimates:
    """`rewards` (n,) are those of the lists, each drawn with its propensity. Raises ValueError without lists."""
    if not len(lists):
        raise ValueError("there are no logged decisions to estimate from")
    policy = probabilities(rules, lists)
    every = np.arange(len(lists))
    weights = importance_weights(policy[every, lists.arm], lists.propensity, clip=clip)
    _, listeners = np.unique(lists.listener, return_inverse=True)
    model = _reward_model(lists, listeners, rewards)
    return PolicyEstimates(
        ips=ips(weights, rewards, listeners=listeners),
        snips=snips(weights, rewards, listeners=listeners),
        doubly_robust=doubly_robust(
            weights,
            rewards,
            expected=(policy * model).sum(axis=1),
            predicted=model[every, lists.arm],
            listeners=listeners,
        ),
        logged=float(rewards.mean()),
        lists=len(lists),
        listeners=int(listeners.max()) + 1,
        effective_lists=effective_size(weights),
    )


def _reward_model(
    lists: ListOutcomes, listeners: NDArray[np.int64], rewards: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The reward of each list by each arm, (n, a), as the lists of other listeners predict it."""
    features = np.column_stack([np.ones(len(lists)), np.log1p(lists.history_length), lists.mood != ""])
    features = features.astype(np.float64)
    predicted = np.zeros((len(lists), len(lists.arms)))
    for fold in range(_FOLDS):
        judged = listeners % _FOLDS == fold
        for arm in range(len(lists.arms)):
            known = ~judged & (lists.arm == arm)
            x, y = features[known], rewards[known]
            mean = float(y.mean()) if len(y) else 0.0
            coefficients = np.linalg.solve(x.T @ x + _RIDGE * np.eye(3), x.T @ (y - mean))
            predicted[judged, arm] = mean + features[judged] @ coefficients
    return predicted
