"""How well content embeddings find what listeners heard: histories go in, scores of embeddings come out.

Two things are asked of them, and both count: to find tracks that nobody has heard, and, beside the models that learn
from listening, tracks that somebody has. A score is the geometric mean of both NDCG@10, so that neither is bought with
a larger share of the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation.metrics import ndcg
from audotics.evaluation.ranking import Histories, Holdout, set_ranking
from audotics.features.content import Embeddings
from audotics.models.content import Blend
from audotics.training.nearest import nearest

LISTENERS: Final = 1_000
"""Most listeners who are asked for unheard tracks. Twice as many are asked for heard ones, of which each has one."""

LEAST: Final = 1e-4
"""NDCG under which there is no difference: a geometric mean with nothing in it would hide the other half."""

SHARES: Final = (0.25, 0.5, 0.75, 1.0)
EXPONENTS: Final = (1.0, 0.5)


@dataclass(frozen=True, slots=True)
class ContentTrial:
    """Some tracks held out from everybody, and of some listeners one more track; `known` has what is left, by listener.

    `asked` and `relevant` are for the tracks that nobody has heard then, `heard` for the others.
    """

    known: Histories
    asked: Histories
    relevant: Histories
    held_out: NDArray[np.bool_]
    heard: Holdout

    @classmethod
    def draw(cls, histories: Histories, n_tracks: int, share: float, *, seed: int) -> ContentTrial:
        """Hold out a `share` of the tracks."""
        rng = np.random.default_rng(seed)
        played = np.unique(np.concatenate(histories))
        held_out = np.zeros(n_tracks, np.bool_)
        held_out[rng.permutation(played)[: max(1, int(len(played) * share))]] = True
        known = [history[~held_out[history]] for history in histories]
        if sum(len(history) >= 2 for history in known) < 2:  # too little to spare any
            known = list(histories)
        able = [user for user, history in enumerate(histories) if len(known[user]) and held_out[history].any()]
        chosen = np.sort(rng.permutation(able)[:LISTENERS]).astype(np.int64)
        asked = [known[user][~held_out[known[user]]] for user in chosen]
        relevant = [histories[user][held_out[histories[user]]] for user in chosen]
        known, heard = _hold_out_one(known, held_out, rng)
        return cls(known, asked, relevant, held_out, heard)

    def score(self, tracks: Embeddings) -> float:
        """The geometric mean of how well `tracks` find unheard and heard ones; one of them where only that is asked."""
        scorer, found = nearest(tracks), []
        if len(self.asked):
            ranks = set_ranking(scorer, self.asked, self.relevant, among=self.held_out)
            found.append(float(ndcg(ranks, 10).mean()))
        if len(self.heard.targets):
            targets = [self.heard.targets[row : row + 1] for row in range(len(self.heard.targets))]
            ranks = set_ranking(scorer, self.heard.histories, targets, among=~self.held_out)
            found.append(float(ndcg(ranks, 10).mean()))
        return float(np.exp(np.mean(np.log(np.maximum(found, LEAST))))) if found else 0.0

    def best(self, start: NDArray[np.float32], end: NDArray[np.float32] | None = None) -> tuple[float, Blend]:
        """The best score of all blends of sums (n, d), and which it was; of `start` alone where there is no end."""
        scored = [
            (self.score(blend.of(start, start if end is None else end)), blend) for blend in _blends(end is not None)
        ]
        return max(scored, key=lambda entry: entry[0])


def _blends(trained: bool) -> Iterator[Blend]:
    for share, exponent in product(SHARES if trained else (0.0,), EXPONENTS):
        yield Blend(share, exponent)


def _hold_out_one(
    known: Histories, held_out: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[list[NDArray[np.int32]], Holdout]:
    """Take a track from some of those who keep two others; one that is not `held_out` already, bool (n,)."""
    able = [user for user, history in enumerate(known) if len(history) >= 3 and not held_out[history].all()]
    chosen = np.sort(rng.permutation(able)[: min(2 * LISTENERS, len(able) // 2)]).astype(np.int64)
    left, targets = list(known), np.zeros(len(chosen), np.int32)
    for place, user in enumerate(chosen.tolist()):
        which = int(rng.choice(np.flatnonzero(~held_out[known[user]])))
        targets[place] = known[user][which]
        left[user] = np.delete(known[user], which)
    return left, Holdout([left[user] for user in chosen.tolist()], targets)
