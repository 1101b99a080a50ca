"""Simulated groups: listening histories go in, a group data set of listeners with similar tastes comes out.

Sources of listening seldom know groups. Here a group is a listener with some of those whose histories are most like
theirs (by cosine), and what the group did is what at least two of its members heard. Nobody of them ever met: numbers
on such groups tell models apart, but not how well any of them serves real groups. Each listener is in one group at
most, so that a track held out of a group is out of every history that the group could be recognised by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from audotics.data.dataset import DataError, Interactions, LoadReport
from audotics.data.groups import NO_TRACK, GroupCandidates, GroupDataset
from audotics.features.tracks import TrackColumns

MIN_COMMON: Final = 4
"""Tracks that members must share at least, so that some can be held out."""


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """`smallest` and `largest` bound the members; they are drawn from the `neighbours` most similar listeners."""

    groups: int = 1_000
    smallest: int = 2
    largest: int = 5
    neighbours: int = 20
    per_group: int = 5
    negatives: int = 100


def simulate_groups(
    name: str,
    tracks: TrackColumns,
    user_ids: NDArray[np.object_],
    histories: Sequence[NDArray[np.int32]],
    options: SimulationOptions | None = None,
    *,
    seed: int,
) -> GroupDataset:
    """Groups of the listeners with these `histories`, oldest first, one a user; a test part is held out.

    Up to `per_group` tracks of each group, half of them at most, are taken out of the group and of all its members, and
    stand against negatives that no member heard. Raises DataError when no two listeners share MIN_COMMON tracks.
    """
    chosen = options or SimulationOptions()
    rng = np.random.default_rng(seed)
    members, common = _gather(histories, len(tracks), chosen, rng)
    if not members:
        raise DataError(
            f"{name}: no two listeners share {MIN_COMMON} tracks, so no groups can be simulated; bring more data"
        )
    kept, held = [], []
    test_groups, positives, negatives = [], [], []
    for row, shared in enumerate(common):
        out = rng.permutation(shared)[: min(chosen.per_group, len(shared) // 2)]
        kept.append(shared[~np.isin(shared, out)])
        held.append(out)
        heard = np.unique(np.concatenate([histories[member] for member in members[row]]))
        test_groups += [row] * len(out)
        positives += out.tolist()
        drawn = rng.integers(0, len(tracks), (len(out), chosen.negatives)).astype(np.int32)
        negatives.append(np.where(np.isin(drawn, heard), NO_TRACK, drawn))
    remaining = [np.asarray(history, np.int32) for history in histories]
    for row, listeners in enumerate(members):
        for member in listeners.tolist():
            remaining[member] = remaining[member][~np.isin(remaining[member], held[row])]
    ids = np.empty(len(members), object)
    ids[:] = [f"simulated-{row}" for row in range(len(members))]
    report = LoadReport(name)
    report.read["simulated groups"], report.read["listeners in groups"] = len(members), sum(map(len, members))
    return GroupDataset(
        name=name,
        tracks=tracks,
        user_ids=user_ids,
        group_ids=ids,
        members=members,
        users=_interactions(remaining),
        groups=_interactions(kept),
        taste=np.zeros((len(user_ids), 0), np.float32),
        test=GroupCandidates(
            np.asarray(test_groups, np.int32), np.asarray(positives, np.int32), np.concatenate(negatives)
        ),
        report=report,
        simulated=True,
    )


def _gather(
    histories: Sequence[NDArray[np.int32]], n_tracks: int, options: SimulationOptions, rng: np.random.Generator
) -> tuple[list[NDArray[np.int32]], list[NDArray[np.int32]]]:
    """Members of each group, and what at least two of them heard, in the order of its latest hearing."""
    lengths = np.asarray([len(history) for history in histories])
    columns = np.concatenate([np.zeros(0, np.int32), *histories])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    weights = np.repeat(1.0 / np.sqrt(np.maximum(lengths, 1.0)), lengths)
    units = sparse.csr_matrix((weights, columns, offsets), shape=(len(histories), n_tracks))
    free = lengths >= MIN_COMMON
    members: list[NDArray[np.int32]] = []
    common: list[NDArray[np.int32]] = []
    for first in rng.permutation(np.flatnonzero(free)):
        if len(members) == options.groups:
            break
        if not free[first]:
            continue
        similarity = np.asarray((units @ units[first].T).todense()).ravel() * free
        similarity[first] = 0.0
        near = np.argsort(-similarity, kind="stable")[: options.neighbours]
        near = near[similarity[near] > 0.0]
        size = int(rng.integers(options.smallest, options.largest, endpoint=True))
        if len(near) < max(options.smallest - 1, 1):
            continue
        group = np.sort(np.append(rng.permutation(near)[: size - 1], first)).astype(np.int32)
        shared = _shared([histories[member] for member in group])
        if len(shared) >= MIN_COMMON:
            members.append(group)
            common.append(shared)
            free[group] = False
    return members, common


def _shared(histories: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Tracks in two histories or more, ordered by how late they stand in them on average, 0 oldest to 1 newest."""
    tracks = np.concatenate(histories)
    places = np.concatenate([np.linspace(0.0, 1.0, len(history)) for history in histories])
    distinct, inverse, counts = np.unique(tracks, return_inverse=True, return_counts=True)
    late = np.bincount(inverse, weights=places) / counts
    several = np.flatnonzero(counts >= 2)
    return distinct[several[np.argsort(late[several], kind="stable")]].astype(np.int32)


def _interactions(histories: Sequence[NDArray[np.int32]]) -> Interactions:
    owners = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    return Interactions.build(owners, np.concatenate([np.zeros(0, np.int32), *histories]))
