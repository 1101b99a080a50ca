"""What looking every day costs: always-valid tests beside the fixed-horizon one, on simulated experiments.

Every day as many listeners come to each arm, with one to five lists each and a liking of their own; a list engages or
not. An experiment ends when its test says so, looked at after each day, or after the last day. Printed are how often
that happens when the arms are equal (the false-positive rate, which must not be above 5 %), and when one is better (the
power), with the day on which it is found, for

    always valid        the code behind `ReportExperiment`, looked at daily
    fixed horizon       a two-sided z-test at 5 %, looked at once, after the last day: the most that can be found
    fixed, peeked       the same, looked at daily: what an always-valid test is there to replace

and how often the alarm of the sample ratio sounds, looked at daily, with the right shares and with a part of one arm
missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from audotics.server.experiments.sequential import ALPHA, Sums, lift, sample_ratio_p_value
from audotics.server.services.experiment_report import SAMPLE_RATIO_ALPHA

BASE: Final = 0.3
TAU: Final = 0.05
"""`smallest_lift` of an experiment that leaves it unset."""

_Z: Final = NormalDist().inv_cdf(1 - ALPHA / 2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one lift: the share of runs in which each test found a difference, and the median day of the first."""

    lift: float
    always_valid: float
    fixed_horizon: float
    peeked: float
    median_day: float | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """The share of runs with an alarm when a share of one arm's listeners is missing."""

    missing: float
    alarmed: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--days", type=int, default=42)
    parser.add_argument("--listeners", type=int, default=150, help="that come to each arm on one day")
    parser.add_argument("--lifts", type=float, nargs="+", default=[0.0, 0.05, 0.1, 0.2])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the numbers to this file, too")
    arguments = parser.parse_args()
    console = Console(width=120)
    size = {"days": arguments.days, "listeners": arguments.listeners}
    outcomes = [
        compare(true_lift, [arguments.seed, place], runs=arguments.runs, console=console, **size)
        for place, true_lift in enumerate(arguments.lifts)
    ]
    alarms = [
        ratio_alarms(missing, np.random.default_rng([arguments.seed, 99]), runs=arguments.runs, **size)
        for missing in (0.0, 0.02, 0.05, 0.1)
    ]
    console.print(
        f"{arguments.runs} runs of {arguments.days} days, {arguments.listeners} listeners a day and arm, "
        f"{BASE:.0%} of lists engage"
    )
    console.print(_outcomes(outcomes))
    console.print(_alarms(alarms))
    if arguments.json:
        found = {"outcomes": [asdict(each) for each in outcomes], "alarms": [asdict(each) for each in alarms]}
        arguments.json.write_text(json.dumps(found, indent=2))
    wrong = [each.always_valid for each in outcomes if each.lift == 0]
    if any(rate > ALPHA for rate in wrong) or alarms[0].alarmed > ALPHA:
        sys.exit("error: equal arms are told apart in more than 5 % of the runs")


def compare(true_lift: float, seed: list[int], *, runs: int, days: int, listeners: int, console: Console) -> Outcome:
    """All tests on the same runs."""
    found, fixed, peeked, first = [], [], [], []
    for run in track(range(runs), f"Lift {true_lift:.0%}", console=console, transient=True):
        rng = np.random.default_rng([*seed, run])
        control = daily_sums(rng, BASE, days=days, listeners=listeners)
        treatment = daily_sums(rng, BASE * (1 + true_lift), days=days, listeners=listeners)
        looks = [lift(t, c, tau=TAU) for t, c in zip(treatment, control, strict=True)]
        rejected = [day for day, look in enumerate(looks, 1) if look is not None and not look.low <= 0 <= look.high]
        zs = [abs(_z(t, c)) for t, c in zip(treatment, control, strict=True)]
        found.append(bool(rejected))
        first += rejected[:1]
        fixed.append(zs[-1] > _Z)
        peeked.append(max(zs) > _Z)
    median = float(np.median(first)) if len(first) > runs / 2 else None
    return Outcome(true_lift, *(float(np.mean(each)) for each in (found, fixed, peeked)), median)


def daily_sums(rng: np.random.Generator, rate: float, *, days: int, listeners: int) -> list[Sums]:
    """What is known of an arm after each day."""
    n = days * listeners
    lists = rng.integers(1, 6, n)
    chance = rate + 0.15 * rng.choice([-1.0, 1.0], n)
    y, x = rng.binomial(lists, chance).astype(np.float64), lists.astype(np.float64)
    columns = [_after_each_day(column, listeners) for column in (y, x, y * y, x * x, x * y)]
    return [Sums((day + 1) * listeners, *(float(column[day]) for column in columns)) for day in range(days)]


def ratio_alarms(missing: float, rng: np.random.Generator, *, runs: int, days: int, listeners: int) -> Alarm:
    """Two arms of equal shares, of one of which a part is never counted."""
    alarmed = 0
    for _ in range(runs):
        drawn = rng.binomial(2 * listeners, 0.5, days)
        counted = rng.binomial(drawn, 1 - missing).cumsum()
        others = (2 * listeners - drawn).cumsum()
        alarmed += any(
            sample_ratio_p_value((int(a), int(b)), (0.5, 0.5)) < SAMPLE_RATIO_ALPHA
            for a, b in zip(counted, others, strict=True)
        )
    return Alarm(missing, alarmed / runs)


def _after_each_day(values: NDArray[np.float64], listeners: int) -> NDArray[np.float64]:
    return values.reshape(-1, listeners).sum(axis=1).cumsum()


def _z(treatment: Sums, control: Sums) -> float:
    difference = (treatment.value or 0.0) - (control.value or 0.0)
    return difference / (treatment.variance + control.variance) ** 0.5


def _outcomes(outcomes: list[Outcome]) -> Table:
    table = Table(title="share of experiments in which a difference is found")
    for column in ("true lift", "always valid", "on day (median)", "fixed horizon", "fixed, peeked"):
        table.add_column(column, justify="right")
    for each in outcomes:
        day = "" if each.median_day is None else f"{each.median_day:.0f}"
        row = (f"{each.lift:.0%}", f"{each.always_valid:.1%}", day, f"{each.fixed_horizon:.1%}", f"{each.peeked:.1%}")
        table.add_row(*row)
    return table


def _alarms(alarms: list[Alarm]) -> Table:
    table = Table(title="share of experiments with an alarm of the sample ratio")
    for column in ("missing of one arm", "alarm"):
        table.add_column(column, justify="right")
    for each in alarms:
        table.add_row(f"{each.missing:.0%}", f"{each.alarmed:.1%}")
    return table


if __name__ == "__main__":
    main()
