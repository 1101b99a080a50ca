"""Genre: features of a track go in, a probability for each genre comes out.

Experts look at the features, and a weighted sum of their scores, fitted on tracks that they had not seen, goes through
a softmax (a logarithmic pool, Heskes 1998):

    machine           a kernel machine on the preprocessed features
    whitened machine  the same where the spread within genres is the same in all directions
    Gaussians         one a genre, there too
    trees             boosted trees on the features as they are

The kernel machines find islands of a genre, the Gaussians its shape; whitening tells both which differences matter. The
same model learns the ten genres of GTZAN from audio, and product genres from a catalogue's columns. The first three
suit many smooth features and few tracks, the trees the few columns of a catalogue with many tracks. Trees are grown
where there are more tracks than a kernel machine keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from audotics.models.boosted_trees import BoostedTrees
from audotics.models.gaussians import Gaussians, whitening
from audotics.models.kernel_machine import KernelMachine
from audotics.models.preprocessing import Preprocessing

EXPERTS: Final = ("machine", "whitened machine", "gaussians", "trees")
"""In the order of their weights in a pool. The last may be missing."""

_FILE: Final = "genre.npz"
_TREES: Final = "trees_"


@dataclass(frozen=True, slots=True)
class GenreOptions:
    """Hyper-parameters; with `search` those from `selected` to `shrinkage` are chosen on folds of the training data.

    selected, components  what SelectKBest and PCA keep; 0 is all
    width                 of the kernels, in units of one over the number of components
    ridge                 of the kernel machines
    whitening             how far the spread within genres is drawn towards a mere scale, 0..1
    shrinkage             how far each genre's covariance is drawn towards what is common, 0..1
    anchors               the most that a kernel machine keeps
    rounds                of boosting, in each of which every genre gets a tree; 0 is no trees
    """

    selected: int = 0
    components: int = 0
    width: float = 1.0
    ridge: float = 0.1
    whitening: float = 0.1
    shrinkage: float = 0.6
    anchors: int = 1_500
    rounds: int = 200
    search: bool = True


@dataclass(frozen=True, slots=True)
class Experts:
    """The fitted experts over preprocessed points (n, p); `white` (p, p) leads to where the last two look."""

    machine: KernelMachine
    white: NDArray[np.float64]
    whitened_machine: KernelMachine
    gaussians: Gaussians

    @classmethod
    def fit(
        cls,
        points: NDArray[np.floating],
        labels: NDArray[np.integer],
        n_classes: int,
        options: GenreOptions,
        *,
        seed: int,
    ) -> Experts:
        size = points.shape[1]
        white = whitening(points, labels, shrinkage=options.whitening)
        machine, whitened_machine = (
            KernelMachine.fit(
                space,
                labels,
                n_classes,
                gamma=options.width / size,
                ridge=options.ridge,
                max_anchors=options.anchors,
                seed=seed,
            )
            for space in (points, points @ white)
        )
        gaussians = Gaussians.fit(points @ white, labels, n_classes, shrinkage=options.shrinkage)
        return cls(machine, white, whitened_machine, gaussians)

    def scores(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """float64 (3, n, c) in the order of EXPERTS, without the trees."""
        whitened = points @ self.white
        return np.stack(
            [self.machine.scores(points), self.whitened_machine.scores(whitened), self.gaussians.scores(whitened)]
        )


@dataclass(frozen=True, slots=True)
class GenreModel:
    """A trained classifier of `class_names` from columns `feature_names`; `pool` (e,) weighs the experts' scores."""

    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    experts: Experts
    pool: NDArray[np.float64]
    trees: BoostedTrees | None = None

    def probabilities(self, x: NDArray[np.floating]) -> NDArray[np.float32]:
        """float32 (n, classes) from (n, f), NaN where unknown."""
        result: NDArray[np.float32] = softmax(pooled(self.scores(x), self.pool), axis=1).astype(np.float32)
        return result

    def scores(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """float64 (e, n, c): of all experts that it has, in the order of EXPERTS."""
        scores = self.experts.scores(self.preprocessing.transform(x).astype(np.float64))
        return scores if self.trees is None else np.concatenate([scores, self.trees.scores(x)[None]])

    def save(self, folder: Path) -> None:
        self.preprocessing.save(folder)
        arrays: dict[str, NDArray[Any]] = {
            "feature_names": np.asarray(self.feature_names, np.str_),
            "class_names": np.asarray(self.class_names, np.str_),
            "pool": self.pool,
            "white": self.experts.white,
            "factors": self.experts.gaussians.factors,
            "centres": self.experts.gaussians.centres,
            "offsets": self.experts.gaussians.offsets,
        }
        for name, machine in (("machine", self.experts.machine), ("whitened", self.experts.whitened_machine)):
            arrays |= {
                f"{name}_anchors": machine.anchors,
                f"{name}_weights": machine.weights,
                f"{name}_bias": machine.bias,
                f"{name}_gamma": np.asarray(machine.gamma),
            }
        if self.trees is not None:
            arrays |= {f"{_TREES}{name}": value for name, value in self.trees.arrays().items()}
        np.savez(folder / _FILE, allow_pickle=False, **arrays)


def load(folder: Path) -> GenreModel:
    """Raises OSError or ValueError when a file is missing or damaged."""
    path = folder / _FILE
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            machine, whitened_machine = (
                KernelMachine(
                    arrays[f"{name}_anchors"],
                    arrays[f"{name}_weights"],
                    arrays[f"{name}_bias"],
                    float(arrays[f"{name}_gamma"]),
                )
                for name in ("machine", "whitened")
            )
            gaussians = Gaussians(arrays["factors"], arrays["centres"], arrays["offsets"])
            trees = {name.removeprefix(_TREES): arrays[name] for name in arrays.files if name.startswith(_TREES)}
            return GenreModel(
                tuple(arrays["feature_names"].tolist()),
                tuple(arrays["class_names"].tolist()),
                Preprocessing.load(folder),
                Experts(machine, arrays["white"], whitened_machine, gaussians),
                arrays["pool"],
                BoostedTrees.of_arrays(trees) if trees else None,
            )
    except (KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path}: is not a whole genre model; train again") from error


def pooled(scores: NDArray[np.float64], pool: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits (n, c) of experts' scores (e, n, c)."""
    return np.einsum("e,enc->nc", pool, scores)
