"""Choice and fit of iALS, NMF or sparse neighbours: a split goes in, the best model of a small search comes out.

Options are tried one step at a time, each step's grid from the best so far, by NDCG@10 on the validation tracks. What
has to do with size (the rank, the number of neighbours, of sweeps) is not searched: it is the caller's choice between
time and quality.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from scipy import sparse

from audotics.evaluation.baselines import history_matrix
from audotics.models.collaborative import CollaborativeModel
from audotics.models.ials import IalsModel, IalsOptions, fit_ials
from audotics.models.neighbours import (
    Inverse,
    Nearest,
    NeighboursModel,
    NeighboursOptions,
    find_nearest,
    invert,
    weigh,
)
from audotics.models.nmf import NmfModel, NmfOptions, fit_nmf
from audotics.training.folder import RunError
from audotics.training.progress import Progress
from audotics.training.run import Split

VALIDATION_LISTENERS: Final = 4_000

Options: TypeAlias = IalsOptions | NmfOptions | NeighboursOptions
Model: TypeAlias = IalsModel | NmfModel | NeighboursModel
OnStep: TypeAlias = Callable[[], None]
Grid: TypeAlias = tuple[tuple[str, tuple[Any, ...]], ...]

GRIDS: Final[Mapping[str, Grid]] = MappingProxyType(
    {
        "ials": (("l2", (0.003, 0.006, 0.01, 0.02)), ("unobserved_weight", (0.05, 0.1, 0.2, 0.3))),
        "nmf": (("user_exponent", (0.0, 0.5)), ("l2", (0.0, 1e-4, 1e-3))),
        "neighbours": (
            ("user_exponent", (0.0, 0.25, 0.5)),
            ("l2", (4.0, 8.0, 16.0)),
            ("item_exponent", (0.25, 0.5, 0.75, 1.0)),
            ("weighting", ("inverse", "cosine")),
        ),
    }
)
"""By algorithm, the options that are tried and their values, in the order in which they are chosen."""


@dataclass(frozen=True, slots=True)
class FactorisationFit:
    """The chosen options with the model fitted without (`selection`) and with (`final`) the validation tracks.

    `score` is the NDCG@10 of `selection` on the validation tracks.
    """

    options: Options
    selection: Model
    final: Model
    score: float


class Fitter(Protocol):
    """Fits models of one algorithm to one matrix of histories."""

    def fit(self, options: Any, *, on_step: OnStep) -> Model:
        """Calls `on_step` as often as `steps` says."""
        ...


def train_factorisation(
    split: Split, options: Options, *, search: bool, seed: int, progress: Progress
) -> FactorisationFit:
    """Fit the algorithm that `options` are of; with `search`, first choose what GRIDS lists on validation data."""
    n_tracks = len(split.tracks)
    holdout = split.validation.sample(VALIDATION_LISTENERS, seed=seed)
    grid = GRIDS[options.algorithm] if search else ()
    fits = sum(len(values) for _, values in grid) if search else 1
    with progress.stage(f"collaborative ({options.algorithm})", (fits + 1) * steps(options)) as stage:
        scored: dict[Options, float] = {}
        best: list[Model] = []

        def score(candidate: Options) -> None:
            if candidate in scored:
                stage.advance(steps(candidate))
                return
            model = fitter.fit(candidate, on_step=stage.advance)
            value = holdout.evaluate(model.scores)["ndcg@10"]
            stage.advance(0, f"validation {value:.4f}")
            if value > max(scored.values(), default=-1.0):
                best[:] = [model]
            scored[candidate] = value

        fitter = fitter_of(options, history_matrix(split.fitting, n_tracks), seed=seed)
        if not grid:
            score(options)
        for name, values in grid:
            for value in values:
                score(replace(options, **{name: value}))
            options = max(scored, key=lambda candidate: scored[candidate])
        final = fitter_of(options, history_matrix(split.training, n_tracks), seed=seed).fit(
            options, on_step=stage.advance
        )
    return FactorisationFit(final.options, best[0], final, scored[options])


def load_algorithm(folder: Path, options: dict[str, Any]) -> CollaborativeModel | Model:
    """The model that `save` left in `folder`; `options` are those of the record. EASE, where they name no algorithm.

    Raises RunError for an algorithm that is not known.
    """
    models: dict[str, type[CollaborativeModel] | type[Model]] = {
        "ease": CollaborativeModel,
        "ials": IalsModel,
        "nmf": NmfModel,
        "neighbours": NeighboursModel,
    }
    return models[_known(options.get("algorithm", "ease"), models)].load(folder, options)


def options_of_algorithm(algorithm: str, flags: Mapping[str, Any]) -> Options:
    """Default options of `algorithm` with the fields in `flags`. Raises RunError for one that is not known."""
    defaults: dict[str, type[Options]] = {"ials": IalsOptions, "nmf": NmfOptions, "neighbours": NeighboursOptions}
    return defaults[_known(algorithm, defaults)](**flags)


def steps(options: Options) -> int:
    """Steps of progress that one fit takes."""
    return options.sweeps if isinstance(options, IalsOptions) else 1


def fitter_of(options: Options, matrix: sparse.csr_matrix, *, seed: int) -> Fitter:
    """Fits models with options of the same algorithm to `matrix`."""
    if isinstance(options, IalsOptions):
        return _IalsFitter(matrix, seed)
    return _NmfFitter(matrix, seed) if isinstance(options, NmfOptions) else _NeighboursFitter(matrix)


@dataclass(frozen=True, slots=True)
class _IalsFitter:
    matrix: sparse.csr_matrix
    seed: int

    def fit(self, options: IalsOptions, *, on_step: OnStep) -> IalsModel:
        return fit_ials(self.matrix, options, seed=self.seed, on_sweep=on_step)


@dataclass(frozen=True, slots=True)
class _NmfFitter:
    matrix: sparse.csr_matrix
    seed: int

    def fit(self, options: NmfOptions, *, on_step: OnStep) -> NmfModel:
        model = fit_nmf(self.matrix, options, seed=self.seed)
        on_step()
        return model


class _NeighboursFitter:
    """Keeps what was found and solved last, which the next options may share."""

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        self._matrix = matrix
        self._nearest: tuple[object, Nearest] | None = None
        self._inverse: tuple[object, Inverse] | None = None

    def fit(self, options: NeighboursOptions, *, on_step: OnStep) -> NeighboursModel:
        found_with = (options.neighbours, options.user_exponent, options.shrinkage)
        if self._nearest is None or self._nearest[0] != found_with:
            self._nearest = found_with, find_nearest(self._matrix, options)
        nearest, inverse = self._nearest[1], None
        if options.weighting == "inverse":
            solved_with = (*found_with, options.l2)
            if self._inverse is None or self._inverse[0] != solved_with:
                self._inverse = solved_with, invert(nearest, options)
            inverse = self._inverse[1]
        on_step()
        return weigh(nearest, inverse, options)


def _known(algorithm: Any, algorithms: Mapping[str, Any]) -> str:
    if algorithm in algorithms:
        return str(algorithm)
    raise RunError(f"no algorithm {algorithm!r} of the collaborative model; known are {', '.join(algorithms)}")
