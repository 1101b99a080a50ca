"""What the hybrid's gate learns from: held-out tracks and the other models' scores go in, lists of candidates come out.

A listener may stand among them several times: as they are, asking for a mood or a genre, with some tracks as if nobody
had heard them, and as if little or nothing were known of themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audotics.evaluation.ranking import Histories, Holdout
from audotics.features.genres import GENRES
from audotics.features.hybrid import HybridInputs
from audotics.features.moods import MOODS
from audotics.models.hybrid import Ensemble, Gate
from audotics.training.progress import Progress

CONTEXT_SHARE = 0.3
"""Share of the listeners that stand among the examples twice, again with a context that suits their held-out track."""

UNHEARD_SHARE = 0.3
"""Share of the listeners that stand among the examples again, with some tracks as if nobody had heard them."""

UNHEARD_TRACKS = 0.2
"""Share of the tracks that nobody has heard in such an example; the held-out one is as likely among them as others."""

FEW_SHARE = 0.15
"""Share of the listeners that stand among the examples again as if only their last few tracks were known, or none.

They stand there twice, with and without a context: the less is known of somebody, the more counts what they ask for.
"""

FEW_TRACKS = 3
"""Most tracks that are known in such an example; from none to so many are equally likely."""

LISTENERS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Examples:
    """float32 tensors (m, c, 6): m lists of c candidates; the held-out track is candidate 0.

    `listeners` int64 (m,) tells whose list it is, and `plain` bool (m,) whether it is as it was: a listener may have
    others, as the module's head says.
    `multiplicity` (m, c) says for how many tracks of the catalogue a candidate stands: 1 for the held-out one and for
    those among a component's best, more for those drawn from the rest. Without it the gate would learn that what a
    component puts on top is mostly wrong, for only those of its scores are seen.
    """

    listeners: Tensor
    components: Tensor
    available: Tensor
    context: Tensor
    multiplicity: Tensor
    plain: Tensor

    def __len__(self) -> int:
        return len(self.components)

    def take(self, rows: Tensor) -> Examples:
        return Examples(
            self.listeners[rows],
            self.components[rows],
            self.available[rows],
            self.context[rows],
            self.multiplicity[rows],
            self.plain[rows],
        )

    def of(self, listeners: Tensor) -> Examples:
        """The lists of some listeners."""
        return self.take(torch.isin(self.listeners, listeners))

    def without(self, listeners: Tensor) -> Examples:
        """The lists of all others."""
        return self.take(~torch.isin(self.listeners, listeners))

    def unaltered(self) -> Examples:
        """The plain lists alone."""
        return self.take(self.plain.nonzero().squeeze(1))

    def run(self, gate: Gate) -> tuple[Tensor, Tensor]:
        """Scores and confidences (m, c)."""
        _, score, confidence = gate(self.components, self.available, self.context)
        return score, confidence


def collect_examples(
    ensemble: Ensemble, holdout: Holdout, n_candidates: int, *, seed: int, progress: Progress
) -> Examples:
    """For each listener the held-out track, the best tracks of each component, and random ones to fill up."""
    rng = np.random.default_rng(seed)
    chosen: list[HybridInputs] = []
    multiplicities: list[NDArray[np.float32]] = []
    listeners: list[int] = []
    plain: list[bool] = []
    n_candidates = min(n_candidates, len(ensemble.popularity) // 2 + 1)
    with progress.stage("hybrid: candidates", len(holdout.targets)) as stage:
        for start in range(0, len(holdout.targets), LISTENERS_AT_ONCE):
            histories = holdout.histories[start : start + LISTENERS_AT_ONCE]
            targets = holdout.targets[start : start + LISTENERS_AT_ONCE]
            for offset, inputs, altered in _variants(ensemble, histories, targets, rng):
                # What a listener heard is no rival, even where it is not known.
                rows, multiplicity = _candidates(inputs, histories[offset], int(targets[offset]), n_candidates, rng)
                multiplicities.append(multiplicity)
                listeners.append(start + offset)
                plain.append(not altered)
                chosen.append(HybridInputs(inputs.components[rows], inputs.available[rows], inputs.context[rows]))
            stage.advance(len(histories))
    return Examples(
        torch.tensor(listeners),
        torch.from_numpy(np.stack([inputs.components for inputs in chosen])),
        torch.from_numpy(np.stack([inputs.available for inputs in chosen])),
        torch.from_numpy(np.stack([inputs.context for inputs in chosen])),
        torch.from_numpy(np.stack(multiplicities)),
        torch.tensor(plain),
    )


def _variants(
    ensemble: Ensemble, histories: Histories, targets: NDArray[np.int32], rng: np.random.Generator
) -> Iterator[tuple[int, HybridInputs, bool]]:
    """Yield a listener's number, the inputs for all tracks, and whether these were altered."""
    for offset, inputs in enumerate(ensemble.inputs(histories)):
        yield offset, inputs, False
        if rng.random() < CONTEXT_SHARE:
            yield from _asking(ensemble, offset, inputs, int(targets[offset]), rng)
        if rng.random() < UNHEARD_SHARE:
            unheard = rng.random(len(ensemble.popularity)) < UNHEARD_TRACKS
            yield offset, ensemble.with_unheard(inputs, unheard), True
    drawn = np.flatnonzero(rng.random(len(histories)) < FEW_SHARE)
    known = rng.integers(FEW_TRACKS + 1, size=len(drawn))
    few = [histories[row][::-1][:n][::-1] for row, n in zip(drawn.tolist(), known.tolist(), strict=True)]
    for offset, inputs in zip(drawn.tolist(), ensemble.inputs(few) if few else [], strict=True):
        yield offset, inputs, True
        yield from _asking(ensemble, offset, inputs, int(targets[offset]), rng)


def _asking(
    ensemble: Ensemble, offset: int, inputs: HybridInputs, target: int, rng: np.random.Generator
) -> Iterator[tuple[int, HybridInputs, bool]]:
    """The same inputs for a listener who asks for what suits the held-out track, where that is known."""
    mood, genres = _context_of(ensemble, target, rng)
    if mood is not None or genres:
        yield offset, ensemble.with_context(inputs, mood=mood, genres=genres), True


def _candidates(
    inputs: HybridInputs, history: NDArray[np.int32], target: int, n_candidates: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows (c,) and multiplicities (c,): the target, the best open tracks of each component, and random others."""
    n_tracks, n_components = inputs.components.shape
    blocked = np.zeros(n_tracks, np.bool_)
    blocked[history] = True
    blocked[target] = True
    open_rows = np.flatnonzero(~blocked)
    share = (n_candidates - 1) // (2 * n_components)
    best = [
        open_rows[np.argpartition(-values, min(share, len(values) - 1))[:share]]
        for values in inputs.components[open_rows].T
    ]
    picked = np.unique(np.concatenate(best))
    rest = np.setdiff1d(open_rows, picked)
    wanted = n_candidates - 1 - len(picked)
    pool = rest if len(rest) else open_rows
    drawn = rng.choice(pool, wanted, replace=len(pool) < wanted)
    multiplicity = np.ones(n_candidates, np.float32)
    multiplicity[1 + len(picked) :] = len(rest) / max(wanted, 1)  # 0 for repeats of those picked
    return np.concatenate([[target], picked, drawn]).astype(np.int64), multiplicity


def _context_of(ensemble: Ensemble, target: int, rng: np.random.Generator) -> tuple[str | None, tuple[str, ...]]:
    """A mood or a genre that the track suits; nothing when it has neither audio nor a genre."""
    genres = [GENRES[column] for column in np.flatnonzero(ensemble.genres[target])]
    moods = ensemble.moods[target]
    if genres and (rng.random() < 0.5 or not moods.any()):
        return None, (genres[int(rng.integers(len(genres)))],)
    if moods.any():
        return MOODS[int(rng.choice(np.argsort(-moods)[:2]))], ()
    return None, ()
