"""NCF in the protocol of its paper: MovieLens-1M, the last item held out, ranked against 99 given negatives.

Beside it stand popularity, EASE, the collaborative model as EASE factored and as iALS, and a blend of the three models'
scores, each standardised over the catalogue. Negatives that are the held-out item itself are left out, and ties count
half. Everything is chosen on one more item of each listener, taken from the training part and ranked against 99 sampled
ones: strengths, epochs, and weights of the blend. The models in the table are fitted again with these items. Listeners
are given by their whole histories here; the server looks at the last 256 tracks.

Figures of others on this split, HR@10 / NDCG@10: NeuMF .726 / .445 (He et al. 2017, with pre-training), matrix
factorisation .729 / .452 (Rendle et al. 2020), iALS .731 / .452.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from audotics.cli.progress import rich_progress
from audotics.data.loaders.ncf_ratings import NO_ITEM, NcfSplit, load_ncf_split
from audotics.data.splits import leave_one_out
from audotics.evaluation.baselines import ease, history_matrix, popularity
from audotics.evaluation.metrics import hit_rate, ndcg
from audotics.evaluation.ranking import BATCH_USERS, Histories, Holdout, Scorer, sampled_ranking
from audotics.evaluation.significance import mean_intervals
from audotics.training.progress import Progress, Quiet
from audotics.training.run import Split
from audotics.training.threads import wait_passively

MODELS: Final = ("popularity", "EASE", "collaborative (EASE)", "collaborative (iALS)", "ncf")
K: Final = 10
NEGATIVES: Final = 99
STRENGTHS: Final = (300.0, 1000.0, 3000.0)
BLEND_STEPS: Final = 10
STOPPING_LISTENERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Question:
    """m listeners by their histories; `candidates` int32 (m, 1 + w) begin with the held-out item, then negatives."""

    histories: Histories
    candidates: NDArray[np.int32]

    def scores(self, scorer: Scorer) -> NDArray[np.float64]:
        """Scores of the candidates, float64 (m, 1 + w), in standard deviations over the catalogue."""
        parts = []
        for start in range(0, len(self.histories), BATCH_USERS):
            scores = scorer(self.histories[start : start + BATCH_USERS]).astype(np.float64)
            scores = (scores - scores.mean(axis=1, keepdims=True)) / np.maximum(scores.std(axis=1, keepdims=True), 1e-9)
            candidates = np.maximum(self.candidates[start : start + BATCH_USERS], 0)
            parts.append(np.take_along_axis(scores, candidates, axis=1))
        return np.concatenate(parts)

    def ranks(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rank of each held-out item among its negatives, by the scores of all candidates."""
        columns = np.arange(self.candidates.shape[1], dtype=np.int32)
        negatives = np.where(self.candidates == NO_ITEM, NO_ITEM, columns)[:, 1:]
        # One row of scores stands for a listener, so that the ranking finds each score in the column of its candidate.
        return sampled_ranking(np.stack, list(scores), np.zeros(len(scores), np.int32), negatives)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Trained:
    """A model without and with the validation items. `seconds` were spent on the latter alone, 0 where unknown."""

    selection: Scorer
    final: Scorer
    note: str
    seconds: float = 0.0


def main() -> None:
    given = _arguments()
    wait_passively(os.environ)
    source = load_ncf_split(given.data)
    split = _split(source, seed=given.seed)
    rng = np.random.default_rng([given.seed, 1])
    validation = Question(split.fitting, _sampled_candidates(split, rng))
    test = Question(split.training, np.concatenate([source.test_items[:, None], source.negatives], axis=1))
    trainers: dict[str, Callable[[Progress], Trained]] = {
        "popularity": lambda _: _baseline(split, popularity, ""),
        "EASE": lambda _: _ease(split, validation),
        "collaborative (EASE)": partial(_collaborative, split, given.seed),
        "collaborative (iALS)": partial(_ials, split, given.seed, given.ials_rank),
        "ncf": partial(_ncf, split, given.seed),
    }
    on_validation, on_test, trained = {}, {}, {}
    with rich_progress() as shown:
        progress: Progress = Quiet() if given.json else shown
        for name in (name for name in trainers if name in given.models):
            trained[name] = trainers[name](progress)
            on_validation[name] = validation.scores(trained[name].selection)
            on_test[name] = test.scores(trained[name].final)
    notes = {name: model.note for name, model in trained.items()}
    blended = [name for name in on_validation if name not in ("popularity", "EASE")]
    if len(blended) > 1:
        weights = _blend_weights(validation, {name: on_validation[name] for name in blended})
        for scores in (on_validation, on_test):
            scores["blend"] = sum(weights[name] * scores[name] for name in blended)
        notes["blend"] = ", ".join(f"{weight:.1f} {name}" for name, weight in weights.items())
    ranks_on_validation = {name: validation.ranks(scores) for name, scores in on_validation.items()}
    ranks_on_test = {name: test.ranks(scores) for name, scores in on_test.items()}
    seconds = {name: model.seconds for name, model in trained.items()}
    report(given, ranks_on_validation, ranks_on_test, notes, seconds)


def _split(source: NcfSplit, *, seed: int) -> Split:
    """The paper's training part, with a validation item of each listener taken from it."""
    dataset = source.dataset
    if (source.test_items == NO_ITEM).any():
        raise SystemExit("the benchmark needs a held-out item for each listener")
    held_out = leave_one_out(dataset.interactions, dataset.n_users, seed=seed + 1)
    fitting = held_out.train.histories(dataset.n_users)
    training = dataset.interactions.histories(dataset.n_users)
    return Split(
        np.arange(dataset.n_tracks),
        dataset.with_interactions(dataset.interactions).tracks,
        training,
        fitting,
        Holdout([fitting[user] for user in held_out.test_users], held_out.test_tracks),
        Holdout(training, source.test_items),
    )


def _sampled_candidates(split: Split, rng: np.random.Generator) -> NDArray[np.int32]:
    """Each listener's validation item, and NEGATIVES others that are not in the training part."""
    unheard = np.ones(len(split.tracks), np.bool_)
    rows = []
    for history, target in zip(split.training, split.validation.targets, strict=True):
        unheard[history] = False
        rows.append([target, *rng.choice(np.flatnonzero(unheard), NEGATIVES, replace=False)])
        unheard[history] = True
    return np.asarray(rows, np.int32)


def _baseline(split: Split, fit: Callable[..., Scorer], note: str) -> Trained:
    started = time.perf_counter()
    final = fit(history_matrix(split.training, len(split.tracks)))
    seconds = time.perf_counter() - started
    return Trained(fit(history_matrix(split.fitting, len(split.tracks))), final, note, seconds)


def _ease(split: Split, validation: Question) -> Trained:
    def quality(strength: float) -> float:
        scorer = ease(history_matrix(split.fitting, len(split.tracks)), l2=strength)
        return float(ndcg(validation.ranks(validation.scores(scorer)), K).mean())

    best = max(STRENGTHS, key=quality)
    return _baseline(split, partial(ease, l2=best), f"λ {best:g}")


def _collaborative(split: Split, seed: int, progress: Progress) -> Trained:
    from audotics.models.collaborative import CollaborativeOptions
    from audotics.training.collaborative import train_collaborative

    fit = train_collaborative(split, CollaborativeOptions(rank=2048), search=True, seed=seed, progress=progress)
    chosen = fit.options
    note = f"rank {chosen.rank}, λ {chosen.l2:g}, exponents {chosen.item_exponent:g}, {chosen.user_exponent:g}"
    # `scores` would cut the histories. Unit length does not matter where scores are standardised for each listener.
    selection, final = (
        lambda histories, model=model: (
            history_matrix(histories, len(split.tracks)) @ model.history_vectors @ model.track_vectors.T
        )
        for model in (fit.selection, fit.final)
    )
    return Trained(selection, final, note)


def _ials(split: Split, seed: int, rank: int, progress: Progress) -> Trained:
    from audotics.models.ials import IalsOptions
    from audotics.training.factorisation import train_factorisation

    fit = train_factorisation(split, IalsOptions(rank=rank), search=True, seed=seed, progress=progress)
    chosen = fit.options
    assert isinstance(chosen, IalsOptions)
    note = f"rank {chosen.rank}, λ {chosen.l2:g}, α₀ {chosen.unobserved_weight:g}"
    selection, final = (partial(model.scores, longest=len(split.tracks)) for model in (fit.selection, fit.final))
    return Trained(selection, final, note)


def _ncf(split: Split, seed: int, progress: Progress) -> Trained:
    from audotics.models.ncf import NcfOptions
    from audotics.training.checkpoints import Checkpoints
    from audotics.training.ncf import train_ncf

    # Chosen on the validation items. The data set keeps no order, so how long ago an item was heard is not known.
    options = NcfOptions(hidden_share=0.3, weight_decay=0.1, pretrain_epochs=30, recency=False)
    longest = len(split.tracks)
    pairs = sum(map(len, split.training))
    with tempfile.TemporaryDirectory() as folder:
        fit = partial(train_ncf, n_tracks=longest, seed=seed, resume=False, progress=progress, max_history=longest)
        selection, result = fit(
            split.fitting,
            options=options,
            holdout=split.validation.sample(STOPPING_LISTENERS, seed=seed),
            checkpoints=Checkpoints(Path(folder) / "selection"),
            title="ncf",
        )
        started = time.perf_counter()
        final, _ = fit(
            split.training,
            options=replace(options, epochs=result.best_epoch),
            holdout=None,
            checkpoints=Checkpoints(Path(folder) / "final"),
            title="ncf with the validation items",
        )
        seconds = time.perf_counter() - started
    epochs = options.pretrain_epochs + result.best_epoch
    note = f"{options.pretrain_epochs} + {result.best_epoch} epochs, {pairs * epochs / seconds:,.0f} pairs/s"
    selection_scores, final_scores = (partial(model.scores, max_history=longest) for model in (selection, final))
    return Trained(selection_scores, final_scores, note, seconds)


def _blend_weights(question: Question, scores: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Weights that add up to 1, in steps of 1 / BLEND_STEPS, with the highest NDCG."""
    grid = (steps for steps in product(range(BLEND_STEPS + 1), repeat=len(scores)) if sum(steps) == BLEND_STEPS)

    def quality(steps: tuple[int, ...]) -> float:
        blend = sum(step * values for step, values in zip(steps, scores.values(), strict=True))
        return float(ndcg(question.ranks(np.asarray(blend)), K).mean())

    best = max(grid, key=quality)
    return {name: step / BLEND_STEPS for name, step in zip(scores, best, strict=True)}


def report(
    given: argparse.Namespace,
    on_validation: Mapping[str, NDArray[np.float64]],
    on_test: Mapping[str, NDArray[np.float64]],
    notes: Mapping[str, str],
    seconds: Mapping[str, float],
) -> None:
    """Print the table, or JSON."""
    intervals = mean_intervals({name: ndcg(ranks, K) for name, ranks in on_test.items()})
    rows = [
        {
            "model": name,
            "metrics": _metrics(ranks),
            "interval": intervals[name].to_json(),
            "validation": _metrics(on_validation[name]),
            "seconds": seconds.get(name) or None,
            "note": notes[name],
        }
        for name, ranks in on_test.items()
    ]
    protocol = {
        "dataset": given.data.name,
        "split": "the last item of each listener, as the data set gives it",
        "ranking": f"against {NEGATIVES} given negatives, without those that are the item itself",
        "listeners": len(next(iter(on_test.values()))),
        "seed": given.seed,
    }
    if given.json:
        print(json.dumps({"protocol": protocol, "rows": rows}, indent=2))  # noqa: T201
        return
    table = Table(title=f"{given.data.name}: {protocol['split']}, {protocol['ranking']}")
    table.add_column("model")
    for column in (f"HR@{K}", f"NDCG@{K}", "95 %", "validation", "fit, s"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in rows:
        interval = intervals[row["model"]]
        table.add_row(
            row["model"],
            *(f"{value:.4f}" for value in row["metrics"].values()),
            f"{interval.low:.4f}–{interval.high:.4f}",
            " / ".join(f"{value:.4f}" for value in row["validation"].values()),
            f"{row['seconds']:.1f}" if row["seconds"] else "",
            row["note"],
        )
    Console().print(table)


def _metrics(ranks: NDArray[np.float64]) -> dict[str, float]:
    return {f"hr@{K}": float(hit_rate(ranks, K).mean()), f"ndcg@{K}": float(ndcg(ranks, K).mean())}


def _arguments() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder with the split of the paper")
    arguments.add_argument("--models", nargs="*", default=list(MODELS), choices=MODELS, help="[all]")
    arguments.add_argument("--ials-rank", type=int, default=128, help="of iALS [128]")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
