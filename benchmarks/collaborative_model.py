"""The collaborative model's algorithms beside each other: EASE factored, iALS, NMF and sparse neighbours, on one split.

Every algorithm chooses its options on validation tracks and is then fitted with them; sizes (ranks, neighbours, sweeps)
are the defaults. Baselines are popularity, item k-NN and EASE. Ranked are all tracks that a listener has not heard.

With --negatives, for a data set that names the tracks to rank against (the split of the NCF paper), the table is of
that protocol instead: the held-out items are those of the paper, the models learn from all other pairs, and validation
tracks are taken from these. There iALS, NMF and the neighbours are tested on whole histories; everywhere else, and
EASE factored there too, models look at the last 256 tracks of a listener, as the server does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table
from support.rankings import Build, K, Note, parser, report, run_of

from audotics.cli.progress import rich_progress
from audotics.data.loaders.ncf_ratings import NcfSplit, load_ncf_split
from audotics.data.splits import leave_one_out
from audotics.evaluation.baselines import ease, history_matrix, item_knn, popularity
from audotics.evaluation.ranking import Holdout, Scorer, sampled_ranking, summary
from audotics.models.collaborative import CollaborativeOptions
from audotics.models.ials import IalsOptions
from audotics.training.collaborative import train_collaborative
from audotics.training.factorisation import options_of_algorithm, train_factorisation
from audotics.training.progress import Progress, Quiet
from audotics.training.run import Split

ALGORITHMS: Final = ("ease", "ials", "nmf", "neighbours")
EASE_STRENGTHS: Final = (100.0, 300.0, 1000.0)
HIGHEST_RANK: Final = 2048


def main() -> None:
    given = _arguments()
    if given.negatives:
        _against_given_negatives(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        run = run_of(given, Path(folder) / "run")
        split = run.split()
        models, notes = _train(split, given)
    report(given, run, split, models, notes)


def _train(split: Split, given: argparse.Namespace) -> tuple[dict[str, Build], dict[str, Note]]:
    models: dict[str, Build] = {}
    notes: dict[str, Note] = {}
    progress: Progress
    with rich_progress() as shown:
        progress = Quiet() if given.json else shown
        for algorithm in given.algorithms:
            started = time.process_time()
            name, scorer, validation, said = _fit(algorithm, split, given, progress)
            seconds = time.process_time() - started
            models[name] = partial(_as_it_is, scorer)
            notes[name] = Note(f"{said}; {seconds:.1f} s of processor time with the search", validation)
    return models, notes


def _as_it_is(scorer: Scorer) -> Scorer:
    return scorer


def _fit(algorithm: str, split: Split, given: argparse.Namespace, progress: Progress) -> tuple[str, Scorer, float, str]:
    """Name, scorer of the final model, validation NDCG, and the options that were chosen."""
    if algorithm == "ease":
        fit = train_collaborative(
            split, CollaborativeOptions(rank=HIGHEST_RANK), search=True, seed=given.seed, progress=progress
        )
        chosen = fit.options
        said = f"rank {chosen.rank}, λ {chosen.l2:g}, exponents {chosen.item_exponent:g}, {chosen.user_exponent:g}"
        return "collaborative (EASE)", fit.final.scores, fit.score, said
    flags = {"rank": given.rank, "sweeps": given.sweeps} if algorithm == "ials" else {}
    options = options_of_algorithm(algorithm, flags)
    fitted = train_factorisation(split, options, search=True, seed=given.seed, progress=progress)
    chosen = {name: value for name, value in asdict(fitted.options).items() if name != "algorithm"}
    said = ", ".join(f"{name} {value}" for name, value in chosen.items())
    scorer: Scorer = partial(fitted.final.scores, longest=len(split.tracks)) if given.negatives else fitted.final.scores
    return f"collaborative ({algorithm})", scorer, fitted.score, said


def _against_given_negatives(given: argparse.Namespace) -> None:
    """The protocol of the NCF paper, without the negatives that are the held-out item itself."""
    source = load_ncf_split(given.data)
    split = _split(source, seed=given.seed)
    matrix = history_matrix(split.training, len(split.tracks))
    strength = _ease_strength(split)
    models: dict[str, Build] = {
        "popularity": lambda: popularity(matrix),
        "item k-NN": lambda: item_knn(matrix),
        f"EASE, λ {strength:g}": lambda: ease(matrix, l2=strength),
    }
    trained, notes = _train(split, given)
    tested = np.flatnonzero(source.test_items >= 0)
    negatives = source.negatives[tested]
    rows = []
    for name, build in (models | trained).items():
        ranks = sampled_ranking(build(), split.test.histories, split.test.targets, negatives)
        note = notes.get(name, Note(""))
        rows.append({"model": name, "metrics": summary(ranks, k=K), "validation": note.validation, "note": note.text})
    protocol = {
        "dataset": source.dataset.name,
        "split": "held-out items and negatives as the data set gives them",
        "listeners": len(tested),
        "negatives": negatives.shape[1],
        "seed": given.seed,
    }
    if given.json:
        print(json.dumps({"protocol": protocol, "rows": rows}, indent=2))  # noqa: T201
        return
    table = Table(title=f"{protocol['dataset']}: {len(tested):,} listeners, {negatives.shape[1]} negatives each")
    table.add_column("model")
    for column in (f"HR@{K}", f"NDCG@{K}", "validation, all tracks"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in rows:
        metrics, validation = row["metrics"], row["validation"]
        values = [f"{value:.4f}" for value in metrics.values()]
        table.add_row(row["model"], *values, "" if validation is None else f"{validation:.4f}", row["note"])
    Console().print(table)


def _split(source: NcfSplit, *, seed: int) -> Split:
    """The paper's training part, with a validation track of each listener taken from it."""
    dataset = source.dataset
    training = dataset.interactions.histories(dataset.n_users)
    held_out = leave_one_out(dataset.interactions, dataset.n_users, seed=seed + 1)
    fitting = held_out.train.histories(dataset.n_users)
    tested = np.flatnonzero(source.test_items >= 0)
    return Split(
        np.arange(dataset.n_tracks),
        dataset.with_interactions(dataset.interactions).tracks,
        training,
        fitting,
        Holdout([fitting[user] for user in held_out.test_users], held_out.test_tracks),
        Holdout([training[user] for user in tested], source.test_items[tested]),
    )


def _ease_strength(split: Split) -> float:
    """The λ of EASE that is best on the validation tracks."""
    matrix = history_matrix(split.fitting, len(split.tracks))
    return max(EASE_STRENGTHS, key=lambda l2: split.validation.evaluate(ease(matrix, l2=l2))[f"ndcg@{K}"])


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--algorithms", nargs="*", default=list(ALGORITHMS), choices=ALGORITHMS, help="[all]")
    arguments.add_argument(
        "--negatives", action="store_true", help="rank against the negatives that the data set names"
    )
    arguments.add_argument("--rank", type=int, default=IalsOptions().rank, help="of iALS")
    arguments.add_argument("--sweeps", type=int, default=IalsOptions().sweeps, help="of iALS")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
