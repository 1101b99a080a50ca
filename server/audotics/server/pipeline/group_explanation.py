"""Why a track is in a group's list: worths and relevance of all members go in, sentences for the group come out.

They say for whom a track is good, and nothing of what anybody heard: the others read them, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audotics.features.hybrid import COMPONENTS
from audotics.server.pipeline.group_query import GroupTrack
from audotics.server.pipeline.groups import Floats
from audotics.server.pipeline.relevance import Relevance
from audotics.server.types import Contribution


def explain(
    tracks: Sequence[GroupTrack],
    relevance: Sequence[Relevance],
    worth: Floats,
    weights: Floats,
    places: NDArray[np.int64],
    *,
    names: Sequence[str],
) -> tuple[GroupTrack, ...]:
    """The tracks, which are those at `places` (k,) of worth (m, n), with worths, contributions and reasons."""
    k = len(places)
    of_list = worth[:, places]
    own_best = np.sort(worth, axis=1)[:, max(worth.shape[1] - k, 0)] if k else np.zeros(len(worth))
    mean_weights, mean_parts = _mean_contributions(relevance, weights, places)
    explained = []
    for number, track in enumerate(tracks):
        column = of_list[:, number]
        explained.append(
            replace(
                track,
                worth=tuple(column.tolist()),
                contributions=_contributions(mean_weights[number], mean_parts[number]),
                reasons=_reasons(track, column, column >= own_best, names, k=k),
            )
        )
    return tuple(explained)


def _mean_contributions(
    relevance: Sequence[Relevance], weights: Floats, places: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Weights and contributions (k, 6) of the models, the members' weighted means."""
    mean_weights = np.zeros((len(places), len(COMPONENTS)))
    mean_parts = np.zeros_like(mean_weights)
    for share, one in zip(weights.tolist(), relevance, strict=True):
        used = np.where(one.available[places], one.weights[places], 0.0)
        mean_weights += share * used
        mean_parts += share * used * one.components[places]
    return mean_weights, mean_parts


def _contributions(mean_weights: Floats, mean_parts: Floats) -> tuple[Contribution, ...]:
    return tuple(
        Contribution(name, weight, part / weight)
        for name, weight, part in zip(COMPONENTS, mean_weights.tolist(), mean_parts.tolist(), strict=True)
        if weight
    )


def _reasons(
    track: GroupTrack, worth: Floats, among_best: NDArray[np.bool_], names: Sequence[str], *, k: int
) -> tuple[str, ...]:
    reasons = []
    if track.chosen_for:
        reasons.append(f"Chosen for {track.chosen_for}, whom the list had served least so far")
    if len(names) == 1:
        return (*reasons, f"Worth {worth[0]:.0%} of what the best track is")
    count = int(among_best.sum())
    if count:
        whom = f"all {count}" if count == len(names) else f"{count} of {len(names)}"
        reasons.append(f"Among the best {k} for {whom} members")
    most, least = int(worth.argmax()), int(worth.argmin())
    if worth[most] > worth[least]:
        reasons.append(f"Worth most to {names[most]} ({worth[most]:.0%}), least to {names[least]} ({worth[least]:.0%})")
    return tuple(reasons)
