"""New listeners: how well lists suit somebody of whom little or nothing is known.

The first share of the listeners, in the order of the data, trains the models. Of the others, those with enough tracks
are asked: what they heard first stands for what they pick when they arrive, and the rest, always the same tracks, is
what a list of ten is good for. The genre that they would name is the most common one of their first tracks. Each row is
the hybrid, given more of that; popularity is what everybody gets. New tracks and new artists are measured by
`cold_tracks.py`, whose models have never seen them.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.sessions import listeners_after, trained_on_first

from audotics.evaluation.significance import mean_intervals, paired_ratios
from audotics.features.genres import GENRES
from audotics.features.hybrid import HybridInputs
from audotics.models.hybrid import Ensemble, Gate
from audotics.training.ensemble import load_ensemble, load_gate
from audotics.training.threads import wait_passively

K: Final = 10
PICKS: Final = (1, 2, 3, 5, 10)
POPULAR: Final = "popularity"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder or file with the data")
    parser.add_argument("--run", type=Path, help="folder to keep the trained run in, and to go on in")
    parser.add_argument("--share", type=float, default=0.7, help="of the listeners that train the models [0.7]")
    parser.add_argument("--listeners", type=int, default=1000, help="most listeners that are asked [1000]")
    parser.add_argument("--least", type=int, default=15, help="fewest tracks of a listener [15]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    wait_passively(os.environ)
    run = trained_on_first(given.data, share=given.share, folder=given.run, seed=given.seed)
    ensemble, gate = load_ensemble(run, run.split(), selection=False), load_gate(run)
    listeners = listeners_after(run, given.data, share=given.share)
    asked = [heard for _, heard in listeners if len(heard) >= given.least][: given.listeners]
    gains: dict[str, list[float]] = {}
    for heard in track(asked, "asking", console=Console(stderr=True), transient=True):
        for name, value in _ask(ensemble, gate, heard).items():
            gains.setdefault(name, []).append(value)
    arrays = {name: np.asarray(values) for name, values in gains.items()}
    means, ratios = mean_intervals(arrays), paired_ratios(arrays, baseline=POPULAR)
    if given.json:
        rows = [
            {"known": name, f"ndcg@{K}": means[name].to_json()}
            | ({"ratio": ratios[name].to_json()} if name in ratios else {})
            for name in arrays
        ]
        print(json.dumps({"dataset": run.name, "listeners": len(asked), "rows": rows}, indent=2))  # noqa: T201
        return
    table = Table(title=f"{run.name}: {len(asked):,} new listeners of {given.least} tracks or more")
    table.add_column("what is known")
    for column in (f"NDCG@{K} (95 %)", f"/ {POPULAR} (95 %)"):
        table.add_column(column, justify="right")
    for name in arrays:
        mean, ratio = means[name], ratios.get(name)
        shown = "" if ratio is None else f"{ratio.estimate:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"
        table.add_row(name, f"{mean.estimate:.4f} ({mean.low:.4f}–{mean.high:.4f})", shown)
    Console().print(table)


def _ask(ensemble: Ensemble, gate: Gate, heard: NDArray[np.int32]) -> dict[str, float]:
    """NDCG of the lists for one listener, by what is known of them. Nothing that they picked counts or is listed."""
    picked, relevant = heard[: max(PICKS)], heard[max(PICKS) :]
    histories = [heard[:0], *(heard[:count] for count in PICKS)]
    nothing, *known = ensemble.inputs(histories)
    found = {POPULAR: _ndcg(ensemble.popularity, picked, relevant)}
    found["nothing"] = _ndcg(gate.rank(nothing)[1], picked, relevant)
    genre = _genre(ensemble, picked)
    found["a genre"] = _ndcg(_in_genre(ensemble, gate, nothing, genre), picked, relevant)
    for count, inputs in zip(PICKS, known, strict=True):
        name = f"{count} track{'s' if count > 1 else ''}"
        found[name] = _ndcg(gate.rank(inputs)[1], picked, relevant)
        if count == PICKS[0]:
            found[f"{name} and a genre"] = _ndcg(_in_genre(ensemble, gate, inputs, genre), picked, relevant)
    return found


def _genre(ensemble: Ensemble, picked: NDArray[np.int32]) -> str | None:
    """The most common genre; None where no genre of the tracks is known."""
    counts = ensemble.genres[picked].sum(axis=0)
    return GENRES[int(counts.argmax())] if counts.any() else None


def _in_genre(ensemble: Ensemble, gate: Gate, inputs: HybridInputs, genre: str | None) -> NDArray[np.float32]:
    return gate.rank(inputs if genre is None else ensemble.with_context(inputs, mood=None, genres=(genre,)))[1]


def _ndcg(scores: NDArray[np.float32], picked: NDArray[np.int32], relevant: NDArray[np.int32]) -> float:
    open_scores = scores.copy()
    open_scores[picked] = -np.inf
    listed = np.argsort(-open_scores, kind="stable")[:K]
    discounts = 1 / np.log2(np.arange(2, K + 2))
    return float(discounts[np.isin(listed, relevant)].sum() / discounts[: min(K, len(relevant))].sum())


if __name__ == "__main__":
    main()
