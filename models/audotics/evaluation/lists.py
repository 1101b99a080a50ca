"""What stands in lists, whether it is liked or not: top lists go in; how wide, new, varied and fair they are comes out.

A list is a row of an int32 array (m, k): track rows, best first, then NO_TRACK where a listener has no more candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from audotics.evaluation.baselines import raw_features
from audotics.evaluation.ranking import NO_TRACK
from audotics.features.tracks import TrackColumns

Lists = NDArray[np.int32]


def top_lists(scores: NDArray[np.floating], length: int) -> Lists:
    """The `length` best tracks of each row of `scores` (b, n), where -inf says that a track does not compete."""
    length = min(length, scores.shape[1])
    best = np.argpartition(-scores, length - 1, axis=1)[:, :length]
    values = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    lists = np.take_along_axis(best, order, axis=1)
    closed = np.isneginf(np.take_along_axis(values, order, axis=1))
    return np.where(closed, NO_TRACK, lists).astype(np.int32)


def exposure(lists: Lists, n_tracks: int) -> NDArray[np.int64]:
    """In how many lists each track stands, int64 (n,)."""
    return np.bincount(lists[lists != NO_TRACK], minlength=n_tracks)


def coverage(lists: Lists, n_tracks: int) -> float:
    """Share of the catalogue that stands in at least one list."""
    return float((exposure(lists, n_tracks) > 0).mean())


def gini(lists: Lists, n_tracks: int) -> float:
    """Gini coefficient of the tracks' exposure: 0 when all stand in as many lists, towards 1 when few fill them all."""
    shown = np.sort(exposure(lists, n_tracks))
    place = np.arange(1, n_tracks + 1)
    return float(((2 * place - n_tracks - 1) * shown).sum() / max(n_tracks * shown.sum(), 1))


def novelty(lists: Lists, plays: NDArray[np.floating], n_listeners: int) -> NDArray[np.float64]:
    """Mean self-information of each list, (m,): log2(listeners / plays) of a track (Zhou et al. 2010).

    One whom nobody has played counts as played once. NaN for an empty list.
    """
    bits = np.log2(n_listeners / np.maximum(plays, 1.0))
    return _mean(bits[lists], lists != NO_TRACK)


def diversity(lists: Lists, features: sparse.csr_matrix) -> NDArray[np.float64]:
    """Intra-list diversity, (m,): mean of 1 - cosine over the pairs of each list (Ziegler et al. 2005).

    `features` (n, d) has unit rows, or zeros for a track of which nothing is known; those are left out. NaN where
    fewer than two tracks remain.
    """
    known = np.asarray(features.power(2).sum(axis=1)).ravel() > 0.5
    listed = (lists != NO_TRACK) & known[lists]
    counts = listed.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    members = sparse.csr_matrix((np.ones(offsets[-1]), lists[listed], offsets), (len(lists), features.shape[0]))
    totals = members @ features  # |Σ v|² = Σ |v|² + 2 Σ cosines
    lengths = np.asarray(totals.power(2).sum(axis=1)).ravel()
    pairs = counts * (counts - 1)
    return np.where(pairs > 0, 1.0 - (lengths - counts) / np.maximum(pairs, 1), np.nan)


def artist_fairness(lists: Lists, artists: NDArray[np.integer], plays: NDArray[np.floating]) -> float:
    """How close each artist's share of the places is to their share of the plays: 1 - total variation distance.

    1 says that exposure follows merit as the listeners gave it (Singh & Joachims 2018), 0 that all goes to artists whom
    nobody played. `artists` (n,) holds codes, negative where unknown; those tracks do not count.
    """
    listed = lists[lists != NO_TRACK]
    size = int(artists.max(initial=-1)) + 1
    shown = np.bincount(artists[listed][artists[listed] >= 0], minlength=size)
    merit = np.bincount(artists[artists >= 0], weights=plays[artists >= 0], minlength=size)
    if not shown.sum() or not merit.sum():
        return 0.0
    return float(1.0 - np.abs(shown / shown.sum() - merit / merit.sum()).sum() / 2)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the lists of all models over the same n tracks are judged by. `artists` codes are -1 where unknown."""

    plays: NDArray[np.float32]
    n_listeners: int
    artists: NDArray[np.int64]
    features: sparse.csr_matrix

    @classmethod
    def of(cls, tracks: TrackColumns, *, n_listeners: int) -> Catalogue:
        """`tracks.plays` count what the `n_listeners` played in training."""
        names, codes = np.unique(tracks.artists.astype(str), return_inverse=True)
        unknown = np.searchsorted(names, "") if "" in names else len(names)
        artists = np.where(codes == unknown, -1, codes).astype(np.int64)
        return cls(tracks.plays, n_listeners, artists, raw_features(tracks))

    def metrics(self, lists: Lists, k: int) -> dict[str, float]:
        """All of the above for the first `k` places, by name; what the catalogue says nothing of is left out."""
        n_tracks, lists = len(self.plays), lists[:, :k]
        found = {
            f"coverage@{k}": coverage(lists, n_tracks),
            f"gini@{k}": gini(lists, n_tracks),
            f"novelty@{k}": float(np.nanmean(novelty(lists, self.plays, self.n_listeners))),
        }
        varied = diversity(lists, self.features)
        if not np.isnan(varied).all():
            found[f"diversity@{k}"] = float(np.nanmean(varied))
        if (self.artists >= 0).any():
            found[f"artist_fairness@{k}"] = artist_fairness(lists, self.artists, self.plays)
        return found


def _mean(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    counts = counted.sum(axis=1)
    return np.where(counts > 0, np.where(counted, values, 0.0).sum(axis=1) / np.maximum(counts, 1), np.nan)
