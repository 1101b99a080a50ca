"""Refinement of the gate on simulated logs: it learns what pays, goes no further than allowed, and is judged apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from audotics.data.dataset import DataError
from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES
from audotics.models.hybrid import Gate
from audotics.training.policy import PolicyOptions, refine
from audotics.training.progress import Quiet
from audotics.training.rewards import LoggedDecisions

COLLABORATIVE, CONTENT = COMPONENTS.index("collaborative"), COMPONENTS.index("content")
OPTIONS = PolicyOptions(steps=30, learning_rate=0.02, limit=0.3, anchor=0.01)


@pytest.fixture(scope="module")
def gate() -> Gate:
    torch.manual_seed(0)
    return Gate(8).eval()


def probabilities(gate: Gate, logs: LoggedDecisions) -> np.ndarray:
    with torch.no_grad():
        _, score, _ = gate(*(torch.from_numpy(value) for value in (logs.components, logs.available, logs.context)))
    chances: np.ndarray = torch.softmax(score.masked_fill(~torch.from_numpy(logs.real), -1e9), dim=1).numpy()
    return chances


def simulate(gate: Gate, size: int, seed: int, *, pays: int | None) -> LoggedDecisions:
    """Lists of up to six candidates shown by the gate itself; a reward is likelier the higher the component `pays`."""
    rng = np.random.default_rng(seed)
    shape = (size, 6)
    components = rng.normal(size=(*shape, len(COMPONENTS))).astype(np.float32)
    available = (rng.random(components.shape) < 0.9).astype(np.float32)
    real = np.arange(6) < rng.integers(2, 7, size)[:, None]
    logs = LoggedDecisions(
        components * available,
        available,
        rng.random((*shape, len(CONTEXT_FEATURES))).astype(np.float32),
        real,
        np.zeros(size, np.int64),
        np.ones(size),
        np.zeros(size),
    )
    chances = probabilities(gate, logs).astype(np.float64)
    chances /= chances.sum(axis=1, keepdims=True)
    shown = np.asarray([rng.choice(6, p=row) for row in chances])
    liking = (
        np.full(size, 0.3) if pays is None else 1 / (1 + np.exp(-2 * logs.components[np.arange(size), shown, pays]))
    )
    return replace(
        logs,
        shown=shown,
        propensities=chances[np.arange(size), shown],
        rewards=(rng.random(size) < liking).astype(np.float64),
    )


def true_value(gate: Gate, logs: LoggedDecisions, pays: int) -> float:
    """Mean chance of a reward under the gate."""
    liking = 1 / (1 + np.exp(-2 * logs.components[..., pays]))
    return float((probabilities(gate, logs) * liking * logs.real).sum(axis=1).mean())


def test_the_gate_learns_what_pays_and_the_estimates_know_it(gate: Gate) -> None:
    logs = simulate(gate, 2_000, 0, pays=CONTENT)
    result = refine(gate, logs, OPTIONS, progress=Quiet())

    fresh = simulate(gate, 1_000, 1, pays=CONTENT)
    before, after = true_value(gate, fresh, CONTENT), true_value(result.gate, fresh, CONTENT)
    assert result.kept
    assert after > before + 0.02
    for estimates, truth in ((result.before, before), (result.after, after)):
        assert estimates.snips.estimate == pytest.approx(truth, abs=0.05)
        assert estimates.doubly_robust.estimate == pytest.approx(truth, abs=0.05)


def test_rewards_that_depend_on_nothing_leave_the_gate_about_where_it_was(gate: Gate) -> None:
    logs = simulate(gate, 1_000, 0, pays=None)
    result = refine(gate, logs, replace(OPTIONS, anchor=1.0), progress=Quiet())

    assert result.divergence < 0.05
    moved = np.abs(probabilities(result.gate, logs) - probabilities(gate, logs))
    assert moved.mean() < 0.05  # of six candidates a list; single lists move more


def test_a_step_is_bounded(gate: Gate) -> None:
    logs = simulate(gate, 1_000, 0, pays=CONTENT)
    result = refine(gate, logs, replace(OPTIONS, limit=0.01, learning_rate=0.05), progress=Quiet())

    assert 0 < result.divergence <= 0.01


def test_what_does_worse_on_later_logs_is_not_kept(gate: Gate) -> None:
    """What paid in the logs that are learnt from does harm in those held back."""
    paying = simulate(gate, 700, 0, pays=CONTENT)
    harmful = replace(paying, components=paying.components.copy(), rewards=1 - paying.rewards)
    both = LoggedDecisions(
        *(
            np.concatenate([getattr(paying, name), getattr(harmful, name)[:300]])
            for name in ("components", "available", "context", "real", "shown", "propensities", "rewards")
        )
    )
    result = refine(gate, both, OPTIONS, progress=Quiet())

    assert not result.kept
    assert result.gate is gate
    assert result.after.snips.estimate < result.before.snips.estimate


def test_the_gate_that_was_given_is_left_alone(gate: Gate) -> None:
    state = {name: value.clone() for name, value in gate.state_dict().items()}
    refine(gate, simulate(gate, 200, 0, pays=COLLABORATIVE), replace(OPTIONS, steps=5), progress=Quiet())

    assert all(torch.equal(value, state[name]) for name, value in gate.state_dict().items())


def test_estimates_stand_in_a_record(gate: Gate) -> None:
    result = refine(gate, simulate(gate, 100, 0, pays=CONTENT), replace(OPTIONS, steps=2), progress=Quiet())

    assert result.before.to_json().keys() == {"snips", "doubly_robust"}
    assert result.before.to_json()["snips"].keys() == {"estimate", "low", "high"}


def test_too_few_decisions_are_refused(gate: Gate) -> None:
    with pytest.raises(DataError, match="needs 50 logged decisions, but there are 49"):
        refine(gate, simulate(gate, 49, 0, pays=CONTENT), OPTIONS, progress=Quiet())
