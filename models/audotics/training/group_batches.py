"""Batches of the group model: a training part goes in, losses of groups whose targets nothing has seen come out.

The interactions are cut into folds. For each fold the collaborative factors are fitted without it, and its tracks are
taken out of the histories of the group and of all its members, where they become the targets. So the network meets
scores as honest as those of a new track, and learns how far to trust them.

Rows are groups, and single listeners as groups of one, which have no events. A group's events are all it did, a recent
part, or nothing, so that the model serves groups that have just met.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audotics.data.groups import GroupDataset
from audotics.features.groups import MAX_MEMBER_HISTORY, GroupEvents
from audotics.models.collaborative import CollaborativeModel
from audotics.models.group import (
    LENGTH_SCALE,
    SHORTEST,
    GroupModel,
    GroupOptions,
    LinearScores,
    standard_popularity,
)
from audotics.training.progress import Progress

NO_EVENTS: Final = 0.2
SOME_EVENTS: Final = 0.4
"""Shares of group rows that see none, or a recent part, of the group's events."""

SOME: Final = 32
HIDDEN_HISTORY: Final = 0.2
HIDDEN_TASTE: Final = 0.2
"""Where members have texts: shares of rows that see none of their members' histories, and none of their texts."""

TARGETS: Final = 64
"""Targets of one row in a batch, at most."""


FitFactors = Callable[[list[NDArray[np.int32]], list[NDArray[np.int32]]], CollaborativeModel]
"""Fits the factors to histories of users and of groups."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A group, or a single listener with `group` -1, and its targets in one fold."""

    fold: int
    group: int
    members: NDArray[np.int32]
    targets: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Fold:
    """Groups' histories without a fold, and the factors fitted to what is left.

    history and track (n, r), listeners (n_users, r) with unit rows, lengths (n_users,) of their histories, popularity
    (n,).
    """

    groups: list[NDArray[np.int32]]
    history: Tensor
    track: Tensor
    listeners: Tensor
    lengths: Tensor
    popularity: Tensor


@dataclass(frozen=True, slots=True)
class CrossFit:
    """All folds of a training part, with the rows of groups and of single listeners."""

    options: GroupOptions
    n_tracks: int
    folds: Sequence[_Fold]
    groups: Sequence[_Row]
    singles: Sequence[_Row]
    heard_by_group: Sequence[NDArray[np.int32]]
    heard_by_user: Sequence[NDArray[np.int32]]
    taste: NDArray[np.float32]

    @classmethod
    def of(
        cls, data: GroupDataset, options: GroupOptions, fit_factors: FitFactors, *, seed: int, progress: Progress
    ) -> CrossFit:
        """Cut and fit. A pair's fold is a hash of its group and track, so members share it with their group."""
        users, groups = data.user_histories(), data.group_histories()
        groups_of: list[list[int]] = [[] for _ in range(data.n_users)]
        for row, members in enumerate(data.members):
            for member in members.tolist():
                groups_of[member].append(row)
        # A listener of no group gets a number of their own.
        homes = [rows or [data.n_groups + user] for user, rows in enumerate(groups_of)]
        folds, group_rows, single_rows = [], [], []
        with progress.stage("group folds", options.folds) as stage:
            for fold in range(options.folds):

                def held(home: int, tracks: NDArray[np.int32], fold: int = fold) -> NDArray[np.bool_]:
                    return _fold_of(home, tracks, seed=seed, folds=options.folds) == fold

                hidden = [
                    np.logical_or.reduce([held(home, history) for home in homes[user]])
                    for user, history in enumerate(users)
                ]
                of_groups = [held(row, history) for row, history in enumerate(groups)]
                seen_users = [history[~mask] for history, mask in zip(users, hidden, strict=True)]
                seen_groups = [history[~mask] for history, mask in zip(groups, of_groups, strict=True)]
                fitted = fit_factors(seen_users, seen_groups)
                recent = [history[-MAX_MEMBER_HISTORY:] for history in seen_users]
                folds.append(
                    _Fold(
                        seen_groups,
                        torch.from_numpy(fitted.history_vectors),
                        torch.from_numpy(fitted.track_vectors),
                        torch.from_numpy(unit_vectors(fitted, recent)),
                        torch.tensor([float(len(history)) for history in recent]),
                        torch.from_numpy(standard_popularity(plays_of([*seen_users, *seen_groups], data.n_tracks))),
                    )
                )
                group_rows += [
                    _Row(fold, row, data.members[row], history[mask])
                    for row, (history, mask) in enumerate(zip(groups, of_groups, strict=True))
                    if mask.any()
                ]
                single_rows += [
                    _Row(fold, -1, np.asarray([user], np.int32), history[mask])
                    for user, (history, mask) in enumerate(zip(users, hidden, strict=True))
                    if mask.any()
                ]
                stage.advance(1)
        heard = [
            np.unique(np.concatenate([groups[row], *(users[member] for member in members)]))
            for row, members in enumerate(data.members)
        ]
        return cls(options, data.n_tracks, folds, group_rows, single_rows, heard, users, data.taste)

    def batches(self, model: GroupModel, rng: np.random.Generator) -> list[Callable[[], Tensor]]:
        """One epoch: every group with each of its folds, and a share of the single listeners, a fold a batch."""
        n_singles = min(len(self.singles), int(len(self.groups) * self.options.solo_share))
        chosen = [self.singles[index] for index in rng.permutation(len(self.singles))[:n_singles]]
        batches = []
        for rows in (self.groups, chosen):
            for fold in range(len(self.folds)):
                of_fold = [row for row in rows if row.fold == fold]
                order = rng.permutation(len(of_fold))
                for start in range(0, len(order), self.options.batch_size):
                    batch = [of_fold[index] for index in order[start : start + self.options.batch_size]]
                    batches.append(_Batch(self, model, batch, int(rng.integers(2**31))))
        return [batches[index] for index in rng.permutation(len(batches))]


def _fold_of(home: int, tracks: NDArray[np.int32], *, seed: int, folds: int) -> NDArray[np.int64]:
    """A fold for each track in a home: the high bits of a multiplicative hash (Knuth's constant, 64 bits)."""
    mixed = (tracks.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= np.uint64((home + 1) * 0xC2B2AE3D27D4EB4F + (seed + 1) * 0x165667B19E3779F9 & 0xFFFFFFFFFFFFFFFF)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return ((mixed >> np.uint64(33)) % np.uint64(folds)).astype(np.int64)


class _Batch:
    """The loss of rows of one fold, drawn and made into tensors only when it is its turn."""

    def __init__(self, source: CrossFit, model: GroupModel, rows: Sequence[_Row], seed: int) -> None:
        self.source, self.model, self.rows, self.seed = source, model, rows, seed

    def __call__(self) -> Tensor:
        source = self.source
        rng = np.random.default_rng(self.seed)
        fold = source.folds[self.rows[0].fold]
        negatives = np.unique(rng.integers(0, source.n_tracks, source.options.negatives))
        drawn = [rng.permutation(row.targets)[:TARGETS] for row in self.rows]
        targets = np.unique(np.concatenate(drawn))
        candidates = torch.from_numpy(np.concatenate([negatives, targets]).astype(np.int64))
        wanted = np.stack([np.isin(targets, own) for own in drawn])
        against = np.stack([~np.isin(negatives, self._heard(row)) for row in self.rows])

        logits = self._logits(fold, candidates, rng)
        n = len(negatives)
        rest = logits[:, :n].masked_fill(~torch.from_numpy(against), -1e9).logsumexp(dim=1, keepdim=True)
        losses = torch.nn.functional.softplus(rest - logits[:, n:])  # -log of the target's share of the softmax
        chosen = torch.from_numpy(wanted)
        return ((losses * chosen).sum(dim=1) / chosen.sum(dim=1)).mean()

    def _heard(self, row: _Row) -> NDArray[np.int32]:
        return (
            self.source.heard_by_user[int(row.members[0])] if row.group < 0 else self.source.heard_by_group[row.group]
        )

    def _members(self) -> tuple[Tensor, Tensor]:
        """Rows of listeners int64 (b, m), and which of them are members and not padding."""
        width = max(len(row.members) for row in self.rows)
        members, mask = np.zeros((len(self.rows), width), np.int64), np.zeros((len(self.rows), width), np.bool_)
        for number, row in enumerate(self.rows):
            members[number, : len(row.members)], mask[number, : len(row.members)] = row.members, True
        return torch.from_numpy(members), torch.from_numpy(mask)

    def _logits(self, fold: _Fold, candidates: Tensor, rng: np.random.Generator) -> Tensor:
        model, source = self.model, self.source
        members, mask = self._members()
        shown, taste = mask.float(), None
        if model.taste_size:
            shown = shown * _kept(rng, len(self.rows), HIDDEN_HISTORY)
            texts = torch.from_numpy(source.taste)[members]
            taste = model.taste_vectors(texts, texts.any(dim=-1) * mask * _kept(rng, len(self.rows), HIDDEN_TASTE))
        listeners = fold.listeners[members] * shown[..., None]
        factors = fold.track[candidates]
        events = [self._events(fold, row, rng) for row in self.rows]
        raw = _weighted_sums(fold.history, events)
        group = raw / raw.norm(dim=1, keepdim=True).clamp(min=SHORTEST)
        amounts = torch.tensor([float(np.abs(event.weights).sum()) for event in events])
        mean_event = _weighted_sums(fold.track, events) / amounts.clamp(min=SHORTEST)[:, None]
        influence = (listeners @ mean_event[..., None]).squeeze(-1)
        influence = influence - (influence * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True)
        lengths = torch.log1p(fold.lengths[members] * shown) / LENGTH_SCALE
        logits, _ = model.combine(
            LinearScores(
                listeners @ factors.T, group @ factors.T, influence, lengths, torch.log1p(amounts) / LENGTH_SCALE
            ),
            listeners=listeners,
            taste=taste,
            mask=mask,
            group=group,
            factors=factors,
            popularity=fold.popularity[candidates],
        )
        return logits

    def _events(self, fold: _Fold, row: _Row, rng: np.random.Generator) -> GroupEvents:
        tracks = fold.groups[row.group] if row.group >= 0 else np.zeros(0, np.int32)
        draw = rng.random()
        if draw < NO_EVENTS:
            tracks = tracks[:0]
        elif draw < NO_EVENTS + SOME_EVENTS:
            tracks = tracks[-int(rng.integers(1, SOME + 1)) :]
        return GroupEvents.of(tracks, half_life=self.source.options.half_life)


def unit_vectors(factors: CollaborativeModel, histories: Sequence[NDArray[np.integer]]) -> NDArray[np.float32]:
    """float32 (b, r): sums of the histories' factors, scaled to length 1; an empty history gives the zero vector."""
    raw = np.stack([factors.history_vectors[history].sum(axis=0) for history in histories])
    return raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), SHORTEST)


def plays_of(histories: Sequence[NDArray[np.integer]], n_tracks: int) -> NDArray[np.int64]:
    """int64 (n_tracks,): how many of the histories hold each track, which each holds once."""
    return np.bincount(np.concatenate([np.zeros(0, np.int64), *histories]), minlength=n_tracks)


def _kept(rng: np.random.Generator, rows: int, share: float) -> Tensor:
    """float32 (rows, 1): 0 for about a `share` of the rows, else 1."""
    return torch.from_numpy((rng.random((rows, 1)) >= share).astype(np.float32))


def _weighted_sums(table: Tensor, events: Sequence[GroupEvents]) -> Tensor:
    """(b, d): weighted sums of the rows of `table`."""
    flat = torch.from_numpy(np.concatenate([event.tracks for event in events]))
    lengths = np.asarray([len(event.tracks) for event in events], np.int64)
    offsets = torch.from_numpy(np.cumsum(lengths) - lengths)
    weights = torch.from_numpy(np.concatenate([event.weights for event in events]))
    return torch.nn.functional.embedding_bag(flat, table, offsets, mode="sum", per_sample_weights=weights)
