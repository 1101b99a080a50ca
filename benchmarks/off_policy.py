"""How often the 95 % intervals of off-policy estimates hold the truth, on simulated logs whose answer is known.

Each run simulates an experiment with three arms: listeners with a history and a liking of their own, who keep the arm
that they drew, get one to eight lists, and engage with a probability that depends on history, arm and liking. The
policy in question gives listeners with a short history another arm than those with a long one. What it would earn is
known from the probabilities. Its estimates, by the code that answers `EvaluatePolicy`, must hold that in 93 to 97 of
100 runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from audotics.server.experiments.metrics import ListOutcomes
from audotics.server.experiments.policies import PolicyEstimates, Rule, evaluate

ARMS: Final = ("a", "b", "c")
SHARES: Final = np.asarray([0.5, 0.3, 0.2])
SHORT: Final = 20
RULES: Final = (Rule({"c": 0.8, "b": 0.2}, max_history=SHORT), Rule({"a": 0.3, "b": 0.7}))
ESTIMATORS: Final = ("ips", "snips", "doubly_robust")
LOWEST, HIGHEST = 0.93, 0.97


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one estimator: in what share of runs the interval held the truth, its mean width, and the mean error."""

    estimator: str
    covered: float
    width: float
    bias: float

    @property
    def holds(self) -> bool:
        return LOWEST <= self.covered <= HIGHEST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--listeners", type=int, default=1000, help="of one run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the numbers to this file, too")
    arguments = parser.parse_args()
    console = Console(width=120)
    truth = true_value()
    runs = [
        simulate(np.random.default_rng([arguments.seed, run]), listeners=arguments.listeners)
        for run in track(range(arguments.runs), "Simulating experiments", console=console, transient=True)
    ]
    measured = [coverage(name, runs, truth) for name in ESTIMATORS]
    logged = float(np.mean([run.logged for run in runs]))
    effective = float(np.mean([run.effective_lists / run.lists for run in runs]))
    console.print(
        f"{arguments.runs} runs of {arguments.listeners} listeners; a list earns {truth:.4f} by the policy, and earned "
        f"{logged:.4f}; {effective:.0%} of the lists count"
    )
    console.print(_table(measured))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in measured], indent=2))
    if not all(each.holds for each in measured):
        sys.exit(
            f"error: an interval holds the truth in fewer than {LOWEST:.0%} or more than {HIGHEST:.0%} of the runs"
        )


def chances(history: NDArray[np.int64], liking: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that a list engages, by arm, (n, 3)."""
    short = history < SHORT
    base = np.stack([np.where(short, 0.25, 0.45), np.where(short, 0.30, 0.50), np.where(short, 0.55, 0.30)], axis=1)
    return base + 0.15 * liking[:, None]


def true_value() -> float:
    """What a list earns by the policy: likings are -1 or 1 alike, histories 0 to 99, and numbers of lists are alike."""
    history = np.arange(100)
    mean = chances(history, np.zeros(100))
    policy = np.where((history < SHORT)[:, None], [0.0, 0.2, 0.8], [0.3, 0.7, 0.0])
    return float((policy * mean).sum(axis=1).mean())


def simulate(rng: np.random.Generator, *, listeners: int) -> PolicyEstimates:
    """One experiment, and the estimates of the policy from its log."""
    lists = rng.integers(1, 9, listeners)
    owner = np.repeat(np.arange(listeners), lists)
    history = rng.integers(0, 100, listeners)[owner]
    liking = rng.choice([-1.0, 1.0], listeners)[owner]
    arm = rng.choice(3, listeners, p=SHARES)[owner]
    engaged = (rng.random(len(owner)) < chances(history, liking)[np.arange(len(owner)), arm]).astype(np.float64)
    nothing = np.zeros(len(owner))
    columns: dict[str, Any] = dict.fromkeys(
        ("entered_at", "created_at", "started", "completed", "skipped", "added", "group_events", "diversity"), nothing
    )
    log = ListOutcomes(
        arms=ARMS,
        listener=owner,
        arm=arm,
        propensity=SHARES[arm],
        history_length=history,
        mood=np.full(len(owner), "", object),
        engaged=engaged,
        opinion=nothing,
        opinions=nothing,
        **columns,
    )
    return evaluate(RULES, log, log.numerator("engagement"))


def coverage(name: str, runs: list[PolicyEstimates], truth: float) -> Coverage:
    intervals = [getattr(run, name) for run in runs]
    return Coverage(
        name,
        covered=float(np.mean([each.low <= truth <= each.high for each in intervals])),
        width=float(np.mean([each.high - each.low for each in intervals])),
        bias=float(np.mean([each.estimate - truth for each in intervals])),
    )


def _table(measured: list[Coverage]) -> Table:
    table = Table("estimator", title=f"95 % intervals (goal: they hold the truth in {LOWEST:.0%} to {HIGHEST:.0%})")
    for column in ("hold the truth", "mean width", "mean error"):
        table.add_column(column, justify="right")
    for each in measured:
        style = "" if each.holds else "red"
        row = (each.estimator.replace("_", " "), f"{each.covered:.1%}", f"{each.width:.4f}", f"{each.bias:+.4f}")
        table.add_row(*row, style=style)
    return table


if __name__ == "__main__":
    main()
