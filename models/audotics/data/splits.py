"""Splits: interactions go in, a training part and the held-out pairs come out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport


@dataclass(frozen=True, slots=True)
class Split:
    """A training part and held-out pairs: int32 (t,) rows of users and of the tracks they are tested on.

    No pair is in both parts, and no row number differs from that of the whole.
    """

    train: Interactions
    test_users: NDArray[np.int32]
    test_tracks: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ListenerSplit:
    """The pairs of the listeners to train on, and two halves of the histories of others, who are unseen in training.

    No row number differs from that of the whole. Each unseen listener has at least one pair in either half.
    """

    train: Interactions
    fold_in: Interactions
    held_out: Interactions


def k_core(dataset: Dataset, k: int) -> Dataset:
    """Drop users and tracks with fewer than `k` pairs until none is left, and renumber the rows of both.

    Raises DataError when nothing remains.
    """
    interactions = dataset.interactions
    kept = np.ones(len(interactions), np.bool_)
    while True:
        users = np.bincount(interactions.users[kept], minlength=dataset.n_users) >= k
        tracks = np.bincount(interactions.tracks[kept], minlength=dataset.n_tracks) >= k
        remaining = kept & users[interactions.users] & tracks[interactions.tracks]
        if (remaining == kept).all():
            break
        kept = remaining
    if not kept.any():
        raise DataError(f"the {k}-core of {dataset.name} is empty; choose a smaller k")
    users, tracks = np.zeros(dataset.n_users, np.bool_), np.zeros(dataset.n_tracks, np.bool_)
    users[interactions.users[kept]] = True
    tracks[interactions.tracks[kept]] = True
    core = interactions.take(kept)
    renumbered = Interactions(
        (np.cumsum(users) - 1)[core.users].astype(np.int32),
        (np.cumsum(tracks) - 1)[core.tracks].astype(np.int32),
        core.weights,
        core.timestamps,
    )
    report = LoadReport(dataset.report.source, Counter(dataset.report.read), Counter(dataset.report.dropped))
    report.read.update({f"{k}-core users": int(users.sum()), f"{k}-core tracks": int(tracks.sum())})
    report.read[f"{k}-core pairs"] = len(core)
    report.dropped[f"pairs outside the {k}-core"] = len(interactions) - len(core)
    catalogue = dataset.tracks.take(np.flatnonzero(tracks))
    smaller = Dataset(dataset.name, catalogue, dataset.user_ids[users], renumbered, report)
    return smaller.with_interactions(renumbered)


def leave_one_out(
    interactions: Interactions, n_users: int, *, seed: int, how: Literal["random", "last"] = "random"
) -> Split:
    """Hold out one pair of each user, drawn at random or the latest; `seed` matters to the draw only.

    A user with fewer than two pairs keeps what there is and is not tested.
    """
    offsets = interactions.offsets(n_users)
    counts = np.diff(offsets)
    tested = np.flatnonzero(counts >= 2)
    latest = counts[tested] - 1
    chosen = np.random.default_rng(seed).integers(0, latest, endpoint=True) if how == "random" else latest
    held_out = np.zeros(len(interactions), np.bool_)
    held_out[offsets[:-1][tested] + chosen] = True
    return _divide(interactions, held_out)


def temporal(interactions: Interactions, *, test_fraction: float) -> Split:
    """Hold out the latest pairs, at most `test_fraction` (0 < f < 1) of all, each later than all of the training part.

    Timestamps must be comparable between users, so positions in a playlist are no use. A user may have several held-out
    pairs, and none in training. Raises DataError when equal times leave nothing to hold out.
    """
    _check_fraction("test_fraction", test_fraction)
    m = len(interactions)
    n_train = m - int(m * test_fraction)
    cut = np.partition(interactions.timestamps, n_train - 1)[n_train - 1] if m else 0
    held_out = interactions.timestamps > cut
    if not held_out.any():
        raise DataError(
            f"no interactions are later than the first {n_train} of {m}: "
            "a temporal split needs times that differ; use leave_one_out, or a larger test_fraction"
        )
    return _divide(interactions, held_out)


def cold_tracks(dataset: Dataset, *, fraction: float, seed: int, by: Literal["tracks", "artists"] = "tracks") -> Split:
    """Hold out all pairs of a random `fraction` (0 < f < 1) of the played tracks, at least one, as if they were new.

    With "artists", it is all tracks of that part of the artists who were played; raises DataError where none is known.
    A user may have several held-out pairs, and none in training.
    """
    _check_fraction("fraction", fraction)
    played = np.unique(dataset.interactions.tracks)
    artists = dataset.tracks.artists.astype(str)
    drawn = played if by == "tracks" else np.setdiff1d(artists[played], [""])
    if not len(drawn):
        raise DataError(f"{dataset.name}: no artist of a track that was played is known")
    size = min(len(drawn), max(1, round(fraction * len(drawn))))
    chosen = np.random.default_rng(seed).choice(drawn, size=size, replace=False)
    cold = np.isin(np.arange(dataset.n_tracks) if by == "tracks" else artists, chosen)
    return _divide(dataset.interactions, cold[dataset.interactions.tracks])


def unseen_listeners(
    dataset: Dataset, *, fraction: float, seed: int, how: Literal["random", "last"] = "random"
) -> ListenerSplit:
    """Keep a random `fraction` (0 < f < 1) of the listeners, at least one, out of training, and halve their histories.

    Of an odd number of pairs the larger part is folded in. The halves are drawn at random, or, with "last", what was
    heard last is held out. Only listeners of two pairs can be drawn; raises DataError when there is none.
    """
    _check_fraction("fraction", fraction)
    interactions = dataset.interactions
    offsets = interactions.offsets(dataset.n_users)
    able = np.flatnonzero(np.diff(offsets) >= 2)
    if not len(able):
        raise DataError(f"{dataset.name}: no listener has the two tracks that a fold-in and a held-out half need")
    rng = np.random.default_rng(seed)
    size = max(1, round(fraction * len(able)))
    unseen, held_out = (np.zeros(len(interactions), np.bool_) for _ in range(2))
    for user in np.sort(rng.choice(able, size=size, replace=False)):
        start, end = offsets[user], offsets[user + 1]
        unseen[start:end] = True
        places = np.arange(start, end) if how == "last" else rng.permutation(np.arange(start, end))
        held_out[places[(end - start + 1) // 2 :]] = True
    return ListenerSplit(interactions.take(~unseen), interactions.take(unseen & ~held_out), interactions.take(held_out))


def _divide(interactions: Interactions, held_out: NDArray[np.bool_]) -> Split:
    return Split(interactions.take(~held_out), interactions.users[held_out], interactions.tracks[held_out])


def _check_fraction(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} must lie between 0 and 1, but is {value}")
