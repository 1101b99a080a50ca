"""What a bandit over the hybrid's weights earns more than fixed weights, on listening that no model has seen.

The first share of the listeners, in the order of the data, trains the models; the others are replayed in order. At each
step of a replayed listener the lists that all tilts would have made are known, and so is what they went on to hear: a
list earns 1 for each of its ten tracks that is among it, 5 at most, as the server counts feedback. A logging policy
shows one list, drawn uniformly or mostly as trained, and the log keeps that one, its reward and its propensity. So the
log is one that the server could have written, and yet the truth of every policy is known. With --reward rare only
tracks outside the most played fifth count: the models were not trained for that, so there is something to learn.

The bandit is the server's: the same tilts, segments, credit, posterior, bounded steps and judgement. It learns from the
first half of the log, in rounds, each judged on decisions held back. The policy that it arrives at is then fixed, and
estimated on the second half, in four ways:

    replay           mean reward where the policy draws what was logged, by rejection (Li et al. 2011; von Neumann 1951)
    SNIPS            all logged decisions, weighed by how much likelier the policy shows the list than the logger did
    shared credit    the server's own: a track that several tilts would have listed counts for all of them
    truth            its mean over all tilts' rewards, which a real log would not hold

beside fixed weights. These are the gate's, as it was trained, or, with --weights fixed, those that the server gives to
every list where it has no hybrid. Intervals are over listeners, 95 %. The target is 5 % more reward, with the interval
of the gain above zero.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.sessions import Steps, replayed_steps, trained_on_first

from audotics.features.interval import Interval
from audotics.features.off_policy import snips
from audotics.features.rewards import MOST, track_rewards
from audotics.features.tilts import AS_TRAINED, TILTS
from audotics.server.learning.credit import Overlap
from audotics.server.learning.judgement import Logged, judge
from audotics.server.learning.policy import Drawing, TiltPolicy
from audotics.server.learning.proposal import StepLimits, propose
from audotics.server.learning.segments import SEGMENTS
from audotics.server.storage.decisions import StoredDecision
from audotics.training.threads import wait_passively

K: Final = 10
_Z: Final = 1.959964
NAMES: Final = tuple(TILTS)
EXPLORED: Final = 0.1
"""What the server spends on tilts that it does not prefer; it costs the bandit here, too."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder or file with the data")
    parser.add_argument("--run", type=Path, help="folder to keep the trained run in, and to go on in")
    parser.add_argument("--share", type=float, default=0.7, help="of the listeners that train the models [0.7]")
    parser.add_argument(
        "--weights", choices=("trained", "fixed"), default="trained", help="what the bandit tilts [trained]"
    )
    parser.add_argument(
        "--reward", choices=("heard", "rare"), default="heard", help="what a list earns by [heard: each track to come]"
    )
    parser.add_argument("--steps", type=int, default=20_000, help="most steps that are replayed [20000]")
    parser.add_argument("--rounds", type=int, default=10, help="of learning, over the first half of the log [10]")
    parser.add_argument("--exploration", type=float, default=1.0, help="of the logging policy; 1 is uniform [1]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    wait_passively(os.environ)
    console = Console(stderr=True)
    run = trained_on_first(given.data, share=given.share, folder=given.run, seed=given.seed)
    steps = replayed_steps(run, given.data, share=given.share, most=given.steps)
    counted = steps.rare if given.reward == "rare" else np.ones_like(steps.rare)
    hits = [
        found
        for start in track(steps.starts, "replaying", console=console, transient=True)
        for found in hits_of(steps, start, counted, trained=given.weights == "trained")
    ]
    rewards = np.asarray([np.minimum(found.sum(axis=0), MOST) for found in hits], np.float32)
    half = len(rewards) // 2
    half = int(np.searchsorted(steps.listener, steps.listener[half]))  # no listener on both sides
    started = time.perf_counter()
    logger = TiltPolicy.start("", exploration=given.exploration)
    log = logged(logger, steps, hits, seed=given.seed)
    policy, records = learn(TiltPolicy.start("", exploration=EXPLORED), log[:half], rounds=given.rounds)
    seconds = time.perf_counter() - started
    document = report(given, steps, rewards, log, half, policy, records) | {"seconds": round(seconds, 2)}
    if given.json:
        print(json.dumps(document, indent=2))  # noqa: T201
        return
    show(document)


def hits_of(steps: Steps, start: int, counted: NDArray[np.bool_], *, trained: bool) -> Iterator[NDArray[np.bool_]]:
    """For each step of a batch, which of the `counted` tracks to come stand on the tilts' lists, (tracks, tilts)."""
    factors = np.asarray(list(TILTS.values()), np.float32)
    for step in steps.batch(start, trained=trained):
        # (tracks, components) x (components, tilts): every tilt's scores at once.
        scores = (step.weights * step.components) @ factors.T
        scores[step.heard] = -np.inf
        worst_listed = np.partition(scores, len(scores) - K, axis=0)[len(scores) - K]
        wanted = step.to_come[counted[step.to_come]]
        listed = scores[wanted] >= worst_listed
        yield listed[listed.any(axis=1)]


def logged(policy: TiltPolicy, steps: Steps, hits: Sequence[NDArray[np.bool_]], *, seed: int) -> list[StoredDecision]:
    """The log that a server with this policy would have written: one list a step, and what was heard of its tracks."""
    random, drawing = np.random.default_rng(seed), Drawing(policy)
    decisions = []
    for number, (segment, listener) in enumerate(zip(steps.segment, steps.listener.tolist(), strict=True)):
        draw = drawing.draw(segment, random.random())
        heard = hits[number][hits[number][:, NAMES.index(draw.tilt)]]
        tracks = [str(place) for place in range(len(heard))]
        rewards = track_rewards((name, "complete", None) for name in tracks)
        credits = Overlap.of(tracks, heard, np.asarray(draw.chances)).credits(rewards) if tracks else []
        decisions.append(
            StoredDecision(
                f"r{number}",
                f"u{listener}",
                float(number),
                "",
                segment,
                draw.tilt,
                draw.propensity,
                0,
                reward=sum(rewards.values()),
                credits=credits,
            )
        )
    return decisions


def learn(policy: TiltPolicy, log: list[StoredDecision], *, rounds: int) -> tuple[TiltPolicy, list[dict[str, Any]]]:
    """The policy after some rounds, each on as much of the log as was there then, and what became of each proposal."""
    limits = StepLimits()
    records: list[dict[str, Any]] = []
    for number in range(1, rounds + 1):
        known = log[: len(log) * number // rounds]
        cut = round(0.7 * len(known))
        proposal = propose(policy, earlier=known[:cut], held_back=known[cut:], number=number, limits=limits)
        if proposal is None:
            continue
        records.append(
            {
                "number": number,
                "decisions": len(known),
                "outcome": "published" if proposal.accepted else "dropped",
                "gain": _plain(proposal.judgement.difference),
            }
        )
        if proposal.accepted:
            policy = proposal.policy
    return policy, records


def report(
    given: argparse.Namespace,
    steps: Steps,
    rewards: NDArray[np.float32],
    log: list[StoredDecision],
    half: int,
    policy: TiltPolicy,
    records: list[dict[str, Any]],
) -> dict[str, Any]:
    rest = Logged.of(log[half:])
    shown = np.asarray([NAMES.index(one.tilt) for one in log[half:]])
    propensity = np.asarray([one.propensity for one in log[half:]])
    fixed = replace(policy, number=0, probabilities=_as_trained())
    judgement = judge(rest, fixed, policy)
    weights = [each.probabilities[rest.segment, shown] / propensity for each in (fixed, policy)]
    truth_fixed = rewards[half:, NAMES.index(AS_TRAINED)].astype(np.float64)
    truth = (rewards[half:] * policy.probabilities[rest.segment]).sum(axis=1)
    random = np.random.default_rng(given.seed + 1)
    rows = {
        "replay": [*(_replay(rest, each, random) for each in weights), None],
        "SNIPS": [*(snips(each, rest.reward, listeners=rest.listener) for each in weights), None],
        "shared credit": [judgement.before, judgement.after, judgement.difference],
        "truth": [
            _over_listeners(truth_fixed, rest.listener),
            _over_listeners(truth, rest.listener),
            _over_listeners(truth - truth_fixed, rest.listener),
        ],
    }
    difference, base = rows["truth"][2], rows["truth"][0]
    best = {
        segment: NAMES[int(policy.probabilities[place].argmax())]
        for place, segment in enumerate(SEGMENTS)
        if (rest.segment == place).any()
    }
    alone = rewards[half:].mean(axis=0)
    return {
        "dataset": str(given.data.name),
        "weights": given.weights,
        "reward": given.reward,
        "steps": len(rewards),
        "judged": len(rest),
        "listeners": int(rest.listener.max()) + 1,
        "logging_exploration": given.exploration,
        "estimates": {
            name: [None if value is None else _plain(value) for value in values] for name, values in rows.items()
        },
        "gain": [value / base.estimate for value in _plain(difference)],
        "records": records,
        "likeliest": best,
        "best_tilt_in_hindsight": [NAMES[int(alone.argmax())], float(alone.max())],
    }


def _replay(log: Logged, ratio: NDArray[np.float64], random: np.random.Generator) -> Interval:
    """Keep a logged decision with a probability that is in proportion to `ratio`, π/p: what is kept is drawn from π."""
    kept = random.random(len(log)) < ratio / ratio.max()
    return _over_listeners(log.reward[kept], log.listener[kept])


def _over_listeners(values: NDArray[np.float64], listener: NDArray[np.int64]) -> Interval:
    mean = float(values.mean())
    _, places = np.unique(listener, return_inverse=True)
    sums = np.bincount(places, weights=values - mean)
    error = float(np.sqrt((sums**2).sum())) / len(values)
    return Interval(mean, mean - _Z * error, mean + _Z * error)


def _as_trained() -> NDArray[np.float64]:
    probabilities = np.zeros((len(SEGMENTS), len(NAMES)))
    probabilities[:, NAMES.index(AS_TRAINED)] = 1.0
    return probabilities


def _plain(estimate: Interval) -> list[float]:
    return [estimate.estimate, estimate.low, estimate.high]


def show(document: dict[str, Any]) -> None:
    title = (
        f"{document['dataset']}, {document['weights']} weights, reward by tracks {document['reward']}: "
        f"{document['judged']:,} lists of {document['listeners']:,} listeners, after learning from "
        f"{document['steps'] - document['judged']:,}; reward a list"
    )
    table = Table(title=title)
    table.add_column("")
    for column in ("fixed weights", "bandit", "difference"):
        table.add_column(column, justify="right")
    for name, values in document["estimates"].items():
        table.add_row(name, *("" if value is None else _shown(value) for value in values))
    console = Console()
    console.print(table)
    gain, low, high = document["gain"]
    console.print(f"gain over fixed weights: {gain:+.1%} ({low:+.1%} to {high:+.1%}); the target is +5 %")
    name, value = document["best_tilt_in_hindsight"]
    console.print(f"the best tilt for all, chosen in hindsight: {name}, {value:.4f}")
    for record in document["records"]:
        console.print(
            f"round {record['number']}: {record['decisions']:,} lists, gain {_shown(record['gain'])}: "
            f"{record['outcome']}",
            style="dim",
        )
    likeliest = "; ".join(f"{segment}: {tilt}" for segment, tilt in document["likeliest"].items())
    console.print(f"likeliest tilts: {likeliest}", style="dim")


def _shown(value: list[float]) -> str:
    return f"{value[0]:.4f} ({value[1]:+.4f} to {value[2]:+.4f})"


if __name__ == "__main__":
    main()
