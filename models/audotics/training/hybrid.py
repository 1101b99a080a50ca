"""Training of the hybrid's gate: held-out tracks and the other models' scores go in, a calibrated gate comes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor, nn

from audotics.data.dataset import DataError
from audotics.evaluation.metrics import expected_calibration_error, ndcg
from audotics.evaluation.ranking import Holdout
from audotics.features.hybrid import COMPONENTS
from audotics.models.hybrid import Ensemble, Gate, HybridOptions
from audotics.training.averaging import Averaged
from audotics.training.checkpoints import Checkpoints
from audotics.training.hybrid_examples import Examples, collect_examples
from audotics.training.loop import Fit, Schedule, fit
from audotics.training.progress import Progress

JUDGING_SHARE = 0.2
"""Share of the listeners kept for calibration, and to measure how well the gate ranks."""

LEAST_LISTENERS = 10

NDCG_WEIGHT = 300.0
"""Weight of the smooth NDCG against the log-softmax in the loss.

With 10, which brings them to about one size, the gate ranked the validation tracks worse than the best of its
components. The softmax keeps scores on a scale that can be calibrated.
"""

ASKED = 0.0
"""Bias with which the context's weight begins: whoever asks for a mood or a genre is to see it in the list."""

LEADING, FOLLOWING = 1.0, -3.0
"""Biases with which the collaborative weight and the others begin: what is learned is where to depart from it."""

DEPTH = 10
"""Places that count in the NDCG of a gate."""

LISTED = 20
"""Length of the lists over which the calibration error is measured."""


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

    Returns the gate, how training went, and {"ndcg@10": …, "ece": …} measured on listeners that the weights have not
    seen, and the latter not the calibration either. Training lasts for all epochs: stopped where listeners kept for
    that were ranked best, gates came out worse, since the best of some epochs is mostly the luckiest.
    Raises DataError with fewer than LEAST_LISTENERS.
    """
    torch.manual_seed(seed)
    holdout, judging = draw_listeners(holdout, len(ensemble.popularity), options, seed=seed)
    if len(holdout.targets) < LEAST_LISTENERS:
        raise DataError(
            f"the hybrid needs {LEAST_LISTENERS} listeners with a held-out track and others that they have not heard, "
            f"but there are {len(holdout.targets)}; lower --k-core or bring more data"
        )
    examples = collect_examples(ensemble, holdout, options.candidates, seed=seed, progress=progress)
    calibrating, judges = torch.from_numpy(judging).tensor_split(2)
    training = examples.without(torch.from_numpy(judging))
    averaged = Averaged(_first_gate(training, options.hidden), options.averaging)

    def batches(rng: np.random.Generator) -> list[Callable[[], Tensor]]:
        rows = torch.from_numpy(rng.permutation(len(training)))
        return [partial(_step, averaged, training, chunk) for chunk in rows.split(options.batch_size)]

    result = fit(
        averaged,
        Schedule(options.epochs, options.epochs, options.learning_rate, seed),
        batches=batches,
        validate=None,
        checkpoints=checkpoints,
        resume=resume,
        progress=progress,
        title="hybrid",
    )
    gate = averaged.average.eval()
    calibrate(gate, examples.of(calibrating))
    return (
        gate,
        result,
        {
            f"ndcg@{DEPTH}": _quality(gate, examples.of(torch.from_numpy(judging)).unaltered()),
            "ece": calibration_error(gate, examples.of(judges)),
        },
    )


def draw_listeners(
    holdout: Holdout, n_tracks: int, options: HybridOptions, *, seed: int
) -> tuple[Holdout, NDArray[np.int64]]:
    """The listeners to make examples of, and the numbers of those kept from the weights, to calibrate and to judge.

    Who has heard every track but the held-out one is left out: that would stand alone.
    """
    able = [row for row, history in enumerate(holdout.histories) if len(history) < n_tracks - 1]
    drawn = Holdout([holdout.histories[row] for row in able], holdout.targets[able]).sample(
        options.listeners, seed=seed
    )
    order = np.random.default_rng([seed, 1]).permutation(len(drawn.targets))
    return drawn, order[: max(2, int(len(order) * JUDGING_SHARE))]


def calibrate(gate: Gate, examples: Examples) -> None:
    """Fit the confidence by Platt scaling: is this track, which stands in a list, the held-out one?

    The LISTED best candidates of each listener count, since their confidence is what callers see. Fitted on the whole
    catalogue, which is nearly all misses, it was several times too low on them.
    """
    with torch.no_grad():
        score, _ = examples.run(gate)
    listed, labels = _listed(score)
    inputs = torch.stack(
        [score.gather(1, listed), examples.context[..., 0].gather(1, listed), torch.ones_like(labels)], dim=-1
    )
    x, y = inputs.double().numpy().reshape(-1, 3), labels.double().numpy().ravel()

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = x @ parameters
        return float((np.logaddexp(0.0, logits) - y * logits).mean()), x.T @ (expit(logits) - y) / len(y)

    # SciPy's, since the first optimizer of `torch.optim` in a process imports PyTorch's compiler.
    parameters = minimize(loss, np.asarray([1.0, 0.0, -4.0]), jac=True, method="L-BFGS-B").x
    gate.calibration = torch.from_numpy(parameters).float()


@torch.no_grad()
def calibration_error(gate: Gate, examples: Examples) -> float:
    """Expected calibration error of the confidence over the LISTED best candidates of each listener."""
    score, confidence = examples.run(gate)
    listed, hit = _listed(score)
    return expected_calibration_error(
        confidence.gather(1, listed).numpy().ravel().astype(np.float64), hit.numpy().ravel()
    )


def _listed(score: Tensor) -> tuple[Tensor, Tensor]:
    """Of scores (m, c): the LISTED best candidates, int64 (m, l), and 1 where one is the held-out track, (m, l)."""
    listed = score.topk(min(LISTED, score.shape[1]), dim=1).indices
    return listed, (listed == 0).to(score.dtype)


@torch.no_grad()
def _quality(gate: Gate, examples: Examples) -> float:
    """Mean NDCG of the held-out tracks over the catalogue, as the candidates stand for it."""
    score, _ = examples.run(gate)
    above = (score[:, 1:] >= score[:, :1]) * examples.multiplicity[:, 1:]
    return float(ndcg(above.sum(dim=1).numpy().astype(np.float64), DEPTH).mean())


def _first_gate(examples: Examples, hidden: int) -> Gate:
    gate = Gate(hidden)
    gate.scale = _spread(examples)
    leading = COMPONENTS.index("collaborative")
    if examples.available[..., leading].any():
        nn.init.constant_(gate.second.bias, FOLLOWING)
        with torch.no_grad():
            gate.second.bias[COMPONENTS.index("context")] = ASKED
            gate.second.bias[leading] = LEADING
    return gate


def _step(averaged: Averaged[Gate], examples: Examples, rows: Tensor) -> Tensor:
    averaged.follow()
    return _loss(averaged.network, examples, rows)


def _loss(gate: Gate, examples: Examples, rows: Tensor) -> Tensor:
    """How far the held-out tracks are from the top, for the lists `rows` of `examples`.

    The first term is the negative log of a held-out track's softmax over the catalogue, the second its NDCG with a
    smooth rank (ApproxNDCG, Qin et al. 2010). Both sums over the catalogue are estimated from the candidates. The
    softmax alone spends itself on tracks far down the list.
    """
    chosen = examples.take(rows)
    score, _ = chosen.run(gate)
    target = torch.zeros(len(score), dtype=torch.long)
    softmax = nn.functional.cross_entropy(score + chosen.multiplicity.log(), target)
    above = torch.sigmoid(score[:, 1:] - score[:, :1]) * chosen.multiplicity[:, 1:]
    gain = 1.0 / torch.log2(2.0 + above.sum(dim=1))
    return softmax - NDCG_WEIGHT * gain.mean()


def _spread(examples: Examples) -> Tensor:
    """Standard deviation of each component over the rows where it is available, (6,); 1 where it never is."""
    spread = torch.ones(examples.components.shape[-1])
    for column in range(len(spread)):
        values = examples.components[..., column][examples.available[..., column] > 0]
        if len(values) > 1 and float(values.std()) > 1e-6:
            spread[column] = values.std()
    return spread
