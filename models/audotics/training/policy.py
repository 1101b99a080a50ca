"""Refinement of the gate by reinforcement: logged decisions with rewards go in, a better gate or the same comes out.

The gate is a policy: it shows candidate a of a list with probability softmax(score / temperature). Its parameters
follow the gradient of the self-normalised, clipped estimate of its reward (policy gradient on logged data, Swaminathan
& Joachims 2015), less `anchor` times the divergence from the gate that it started as:

    Σ wᵢrᵢ / Σ wᵢ - anchor · mean KL(π₀ ‖ π)         wᵢ = min(π(aᵢ|xᵢ) / pᵢ, clip)

The step is bounded: training ends where the divergence reaches `limit`. What was learned is judged on logs held back,
and kept only if neither of two estimates, SNIPS and doubly robust, has a lower bound below that of the first gate.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audotics.data.dataset import DataError
from audotics.features.interval import Interval
from audotics.features.off_policy import doubly_robust, importance_weights, snips
from audotics.models.hybrid import Gate
from audotics.training.progress import Progress
from audotics.training.rewards import LoggedDecisions

LEAST_DECISIONS = 50
REWARD_L2 = 1.0
"""Ridge of the reward model, in decisions."""

HALVINGS = 8


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """`temperature` is that of the policy that logged; `held_back` the share of decisions, the latest, that judge."""

    temperature: float = 1.0
    clip: float = 10.0
    anchor: float = 0.1
    limit: float = 0.1
    steps: int = 200
    learning_rate: float = 0.003
    held_back: float = 0.3


@dataclass(frozen=True, slots=True)
class Estimates:
    """Mean reward a decision, estimated in two ways."""

    snips: Interval
    doubly_robust: Interval

    def to_json(self) -> dict[str, dict[str, float]]:
        return {"snips": self.snips.to_json(), "doubly_robust": self.doubly_robust.to_json()}


@dataclass(frozen=True, slots=True)
class Refinement:
    """The gate to go on with, its estimates on held-back logs before and after, and whether the change was kept."""

    gate: Gate
    before: Estimates
    after: Estimates
    kept: bool
    divergence: float


def refine(gate: Gate, logs: LoggedDecisions, options: PolicyOptions, *, progress: Progress) -> Refinement:
    """Refine a copy of `gate` on the earlier part of `logs` and judge it on the rest.

    The confidence is not calibrated anew: where the gate changed, `training.hybrid.calibrate` has to follow. Raises
    DataError with fewer than LEAST_DECISIONS.
    """
    if len(logs) < LEAST_DECISIONS:
        raise DataError(f"refining the hybrid needs {LEAST_DECISIONS} logged decisions, but there are {len(logs)}")
    cut = len(logs) - max(1, round(options.held_back * len(logs)))
    training, judging = (_Decisions.of(logs.take(rows)) for rows in (np.arange(cut), np.arange(cut, len(logs))))
    refined, divergence = _train(gate, training, options, progress)
    reward = _reward_model(training)
    before = _estimate(gate, judging, reward, options)
    after = _estimate(refined, judging, reward, options)
    kept = after.snips.low >= before.snips.low and after.doubly_robust.low >= before.doubly_robust.low
    return Refinement(refined if kept else gate, before, after, kept, divergence)


@dataclass(frozen=True, slots=True)
class _Decisions:
    """Logged decisions as tensors."""

    components: Tensor
    available: Tensor
    context: Tensor
    real: Tensor
    shown: Tensor
    propensities: Tensor
    rewards: Tensor

    @classmethod
    def of(cls, logs: LoggedDecisions) -> _Decisions:
        return cls(
            torch.from_numpy(logs.components),
            torch.from_numpy(logs.available),
            torch.from_numpy(logs.context),
            torch.from_numpy(logs.real),
            torch.from_numpy(logs.shown),
            torch.from_numpy(logs.propensities),
            torch.from_numpy(logs.rewards),
        )

    def log_policy(self, gate: Gate, temperature: float) -> Tensor:
        """Log-probabilities (m, c) of all candidates, a large negative number for padding."""
        _, score, _ = gate(self.components, self.available, self.context)
        return torch.log_softmax((score / temperature).masked_fill(~self.real, -1e9), dim=1).double()

    def of_shown(self, values: Tensor) -> Tensor:
        return values.gather(1, self.shown[:, None]).squeeze(1)

    def divergence(self, first: Tensor, second: Tensor) -> Tensor:
        """Mean KL(first ‖ second) of two policies by their log-probabilities."""
        return (first.exp() * (first - second)).masked_fill(~self.real, 0.0).sum(dim=1).mean()

    def features(self) -> NDArray[np.float64]:
        """What the reward model sees of each candidate, (m, c, f)."""
        parts = [self.components, self.available, self.context, torch.ones(*self.real.shape, 1)]
        features: NDArray[np.float64] = torch.cat(parts, dim=-1).double().numpy()
        return features


def _train(gate: Gate, logs: _Decisions, options: PolicyOptions, progress: Progress) -> tuple[Gate, float]:
    """The refined copy, and how far its policy diverged."""
    refined = copy.deepcopy(gate)
    refined.train()
    with torch.no_grad():
        first = logs.log_policy(gate, options.temperature)
    optimizer = torch.optim.Adam(refined.parameters(), lr=options.learning_rate)
    with progress.stage("hybrid: refinement by rewards", options.steps) as stage:
        for step in range(options.steps):
            before = copy.deepcopy(refined.state_dict())
            log_policy = logs.log_policy(refined, options.temperature)
            weights = (logs.of_shown(log_policy).exp() / logs.propensities).clamp(max=options.clip)
            value = (weights * logs.rewards).sum() / weights.sum().clamp(min=1e-12)
            optimizer.zero_grad()
            (options.anchor * logs.divergence(first, log_policy) - value).backward()
            optimizer.step()
            if _divergence(refined, logs, first, options) > options.limit:
                _step_back(refined, before, logs, first, options)
                stage.advance(options.steps - step, "as far as it may go")
                break
            stage.advance(1, f"estimated reward {float(value.detach()):.4f}")
    return refined.eval(), _divergence(refined, logs, first, options)


@torch.no_grad()
def _divergence(gate: Gate, logs: _Decisions, first: Tensor, options: PolicyOptions) -> float:
    return float(logs.divergence(first, logs.log_policy(gate, options.temperature)))


def _step_back(
    gate: Gate, before: Mapping[str, Tensor], logs: _Decisions, first: Tensor, options: PolicyOptions
) -> None:
    """Halve the last step until the divergence is within its limit, or take it back."""
    beyond = copy.deepcopy(gate.state_dict())
    for halvings in range(1, HALVINGS + 1):
        share = 0.5**halvings
        gate.load_state_dict({name: torch.lerp(before[name], beyond[name], share) for name in beyond})
        if _divergence(gate, logs, first, options) <= options.limit:
            return
    gate.load_state_dict(before)


def _reward_model(logs: _Decisions) -> NDArray[np.float64]:
    """Coefficients (f,) of a ridge regression of the reward on what was shown."""
    features = logs.features()
    shown = features[np.arange(len(features)), logs.shown.numpy()]
    gram = shown.T @ shown + REWARD_L2 * np.eye(shown.shape[1])
    coefficients: NDArray[np.float64] = np.linalg.solve(gram, shown.T @ logs.rewards.numpy())
    return coefficients


@torch.no_grad()
def _estimate(gate: Gate, logs: _Decisions, reward: NDArray[np.float64], options: PolicyOptions) -> Estimates:
    log_policy = logs.log_policy(gate, options.temperature)
    predicted = torch.from_numpy(logs.features() @ reward)
    probabilities = log_policy.exp().masked_fill(~logs.real, 0.0)
    shown = logs.of_shown(probabilities).numpy()
    weights = importance_weights(shown, logs.propensities.numpy(), clip=options.clip)
    rewards = logs.rewards.numpy()
    return Estimates(
        snips(weights, rewards),
        doubly_robust(
            weights,
            rewards,
            expected=(probabilities * predicted).sum(dim=1).numpy(),
            predicted=logs.of_shown(predicted).numpy(),
        ),
    )
