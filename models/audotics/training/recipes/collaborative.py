"""Training of the collaborative factors in a run: they are fitted without and with the validation tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from audotics.models.collaborative import CollaborativeOptions
from audotics.training.collaborative import train_collaborative
from audotics.training.factorisation import options_of_algorithm, train_factorisation
from audotics.training.folder import RunError
from audotics.training.progress import Progress
from audotics.training.run import Run

ALGORITHMS = ("ease", "ials", "nmf")
HIGHEST_RANK = 2048


@dataclass(frozen=True, slots=True)
class SearchedOptions:
    """Options of an algorithm; with `search`, those that matter are chosen on validation data."""

    algorithm: str
    search: bool
    factors: Any


def options(flags: Mapping[str, Any]) -> SearchedOptions:
    """`flags` has fields of the algorithm's own options, and `algorithm` and `search`. Raises RunError."""
    algorithm = flags.get("algorithm", "ease")
    if algorithm not in ALGORITHMS:
        raise RunError(f"collaborative has no algorithm {algorithm!r}; choose one of {', '.join(ALGORITHMS)}")
    own = {name: value for name, value in flags.items() if name not in ("algorithm", "search")}
    factors = (
        CollaborativeOptions(**{"rank": HIGHEST_RANK, **own})
        if algorithm == "ease"
        else options_of_algorithm(algorithm, own)
    )
    return SearchedOptions(algorithm, flags.get("search", True), factors)


def train(run: Run, options: SearchedOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """There is nothing to resume: each algorithm takes seconds to minutes."""
    split, seed = run.split(), run.options["seed"]
    fit = train_collaborative if options.algorithm == "ease" else train_factorisation
    result = fit(split, options.factors, search=options.search, seed=seed, progress=progress)
    with run.saving("collaborative") as folder:
        (folder / "selection").mkdir()
        result.selection.save(folder / "selection")
        result.final.save(folder)
    return {"options": asdict(result.options), "validation": {"ndcg@10": result.score}}
