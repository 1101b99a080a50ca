"""Training of the hybrid's gate: held-out tracks and the other models' scores go in, a calibrated gate comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audotics.evaluation.metrics import expected_calibration_error, ndcg
from audotics.evaluation.ranking import Holdout
from audotics.features.genres import GENRES
from audotics.features.hybrid import HybridInputs
from audotics.features.moods import MOODS
from audotics.models.hybrid import Ensemble, Gate, HybridOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.loop import Fit, Schedule, fit
from audotics.training.progress import Progress

CONTEXT_SHARE = 0.3
"""Share of the listeners that stand among the examples twice, again with a context that suits their held-out track."""

STOPPING_SHARE = 0.2
"""Share of the listeners kept for early stopping and calibration."""

LISTENERS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Examples:
    """float32 tensors (m, c, 5): c candidates for each of m listeners; the held-out track is candidate 0."""

    components: Tensor
    available: Tensor
    context: Tensor

    def __len__(self) -> int:
        return len(self.components)

    def take(self, rows: Tensor) -> Examples:
        return Examples(self.components[rows], self.available[rows], self.context[rows])

    def run(self, gate: Gate) -> tuple[Tensor, Tensor]:
        """Scores and confidences (m, c)."""
        _, score, confidence = gate(self.components, self.available, self.context)
        return score, confidence


def train_hybrid(
    ensemble: Ensemble,
    holdout: Holdout,
    options: HybridOptions,
    *,
    seed: int,
    checkpoints: Checkpoints,
    resume: bool,
    progress: Progress,
) -> tuple[Gate, Fit, dict[str, float]]:
    """Fit the gate on `holdout`, whose tracks no model of `ensemble` has seen with those listeners.

    Returns the gate, how training went, and {"ece": …} measured on listeners that neither weights nor calibration saw.
    """
    torch.manual_seed(seed)
    holdout = holdout.sample(options.listeners, seed=seed)
    examples = collect_examples(ensemble, holdout, options.candidates, seed=seed, progress=progress)
    order = torch.from_numpy(np.random.default_rng([seed, 1]).permutation(len(examples)))
    kept = max(2, int(len(examples) * STOPPING_SHARE))
    stopping, training = examples.take(order[:kept]), examples.take(order[kept:])
    gate = Gate(options.hidden)
    gate.scale = _spread(training)
    nn.init.constant_(gate.second.bias, -0.5)

    def batches(rng: np.random.Generator) -> list[Callable[[], Tensor]]:
        rows = torch.from_numpy(rng.permutation(len(training)))
        return [partial(_listwise_loss, gate, training, chunk) for chunk in rows.split(options.batch_size)]

    @torch.no_grad()
    def validate() -> float:
        gate.eval()
        score, _ = stopping.run(gate)
        rank = (score[:, 1:] >= score[:, :1]).sum(dim=1).numpy().astype(np.float64)
        return float(ndcg(rank, 10).mean())

    result = fit(
        gate,
        Schedule(options.epochs, options.patience, options.learning_rate, seed),
        batches=batches,
        validate=validate,
        checkpoints=checkpoints,
        resume=resume,
        progress=progress,
        title="hybrid",
    )
    half = len(stopping) // 2
    calibrate(gate, stopping.take(torch.arange(half)))
    return gate, result, {"ece": calibration_error(gate, stopping.take(torch.arange(half, len(stopping))))}


def collect_examples(
    ensemble: Ensemble, holdout: Holdout, n_candidates: int, *, seed: int, progress: Progress
) -> Examples:
    """For each listener the held-out track, the best tracks of each component, and random ones to fill up."""
    rng = np.random.default_rng(seed)
    chosen: list[HybridInputs] = []
    n_tracks = len(ensemble.popularity)
    n_candidates = min(n_candidates, n_tracks // 2 + 1)
    with progress.stage("hybrid: candidates", len(holdout.targets)) as stage:
        for start in range(0, len(holdout.targets), LISTENERS_AT_ONCE):
            histories = holdout.histories[start : start + LISTENERS_AT_ONCE]
            for offset, inputs in enumerate(ensemble.inputs(histories)):
                target = int(holdout.targets[start + offset])
                variants = [inputs]
                if rng.random() < CONTEXT_SHARE:
                    mood, genres = _context_of(ensemble, target, rng)
                    if mood is not None or genres:
                        variants.append(ensemble.with_context(inputs, mood=mood, genres=genres))
                for variant in variants:
                    rows = _candidates(variant, histories[offset], target, n_candidates, rng)
                    chosen.append(
                        HybridInputs(variant.components[rows], variant.available[rows], variant.context[rows])
                    )
            stage.advance(len(histories))
    return Examples(
        torch.from_numpy(np.stack([inputs.components for inputs in chosen])),
        torch.from_numpy(np.stack([inputs.available for inputs in chosen])),
        torch.from_numpy(np.stack([inputs.context for inputs in chosen])),
    )


def calibrate(gate: Gate, examples: Examples) -> None:
    """Fit the confidence by Platt scaling: is this candidate the held-out track?"""
    with torch.no_grad():
        score, _ = examples.run(gate)
    length = examples.context[..., 0]
    labels = torch.zeros_like(score)
    labels[:, 0] = 1.0
    parameters = torch.tensor([1.0, 0.0, -4.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = parameters[0] * score + parameters[1] * length + parameters[2]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    gate.calibration = parameters.detach().clone()


@torch.no_grad()
def calibration_error(gate: Gate, examples: Examples) -> float:
    """Expected calibration error of the confidence over all candidates."""
    _, confidence = examples.run(gate)
    labels = np.zeros(tuple(confidence.shape), np.float64)
    labels[:, 0] = 1.0
    return expected_calibration_error(confidence.numpy().ravel().astype(np.float64), labels.ravel())


def _listwise_loss(gate: Gate, examples: Examples, rows: Tensor) -> Tensor:
    score, _ = examples.take(rows).run(gate)
    return nn.functional.cross_entropy(score, torch.zeros(len(score), dtype=torch.long))


def _spread(examples: Examples) -> Tensor:
    """Standard deviation of each component over the rows where it is available, (5,); 1 where it never is."""
    spread = torch.ones(examples.components.shape[-1])
    for column in range(len(spread)):
        values = examples.components[..., column][examples.available[..., column] > 0]
        if len(values) > 1 and float(values.std()) > 1e-6:
            spread[column] = values.std()
    return spread


def _candidates(
    inputs: HybridInputs, history: NDArray[np.int32], target: int, n_candidates: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    n_tracks, n_components = inputs.components.shape
    blocked = np.zeros(n_tracks, np.bool_)
    blocked[history] = True
    blocked[target] = True
    open_rows = np.flatnonzero(~blocked)
    share = max(1, (n_candidates - 1) // (n_components + 1))
    best = [
        open_rows[np.argpartition(-values, min(share, len(values) - 1))[:share]]
        for values in inputs.components[open_rows].T
    ]
    picked = np.unique(np.concatenate(best))
    rest = np.setdiff1d(open_rows, picked)
    wanted = n_candidates - 1 - len(picked)
    filled = np.concatenate([picked, rng.choice(rest, wanted, replace=len(rest) < wanted)])
    return np.concatenate([[target], filled]).astype(np.int64)


def _context_of(ensemble: Ensemble, target: int, rng: np.random.Generator) -> tuple[str | None, tuple[str, ...]]:
    """A mood or a genre that the track suits; nothing when it has neither audio nor a genre."""
    genres = [GENRES[column] for column in np.flatnonzero(ensemble.genres[target])]
    moods = ensemble.moods[target]
    if genres and (rng.random() < 0.5 or not moods.any()):
        return None, (genres[int(rng.integers(len(genres)))],)
    if moods.any():
        return MOODS[int(rng.choice(np.argsort(-moods)[:2]))], ()
    return None, ()
