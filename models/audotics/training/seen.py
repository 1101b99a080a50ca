"""What models have seen: the histories that they were trained on, by ids, so that new data can be told apart.

Rows change when data grow, and ids stay. With this at hand, a run whose data were replaced by more of them knows which
pairs are new to a model, and which row of the new core each of its rows has become.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import Interactions
from audotics.data.splits import Split
from audotics.training.folder import RunError


@dataclass(frozen=True, slots=True)
class Seen:
    """Histories over the tracks of a core, one a listener of it: what final models saw, and what selections saw."""

    track_ids: NDArray[np.object_]
    user_ids: NDArray[np.object_]
    training: Sequence[NDArray[np.int32]]
    fitting: Sequence[NDArray[np.int32]]

    def rows_among(self, track_ids: NDArray[np.object_]) -> NDArray[np.int64]:
        """int64 (n,): the row in `track_ids` of each of the tracks seen, -1 where it is not there."""
        return _rows(self.track_ids, track_ids)

    def histories_of(
        self, user_ids: NDArray[np.object_], part: Literal["training", "fitting"]
    ) -> list[NDArray[np.int32]]:
        """The history of each listener in `user_ids`, empty for one that was never seen."""
        nothing = np.zeros(0, np.int32)
        known = getattr(self, part)
        return [known[row] if row >= 0 else nothing for row in _rows(user_ids, self.user_ids)]

    def of(
        self,
        interactions: Interactions,
        track_ids: NDArray[np.object_],
        user_ids: NDArray[np.object_],
        part: Literal["training", "fitting"],
    ) -> NDArray[np.bool_]:
        """bool (m,): which `interactions`, whose rows the ids name, were seen."""
        rows = self.rows_among(track_ids)
        histories = self.histories_of(user_ids, part)
        users = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
        tracks = rows[np.concatenate([np.zeros(0, np.int32), *histories])]
        seen = (users * len(track_ids) + tracks)[tracks >= 0]
        return np.isin(interactions.users.astype(np.int64) * len(track_ids) + interactions.tracks, seen)

    def save(self, path: Path) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        for part, histories in (("training", self.training), ("fitting", self.fitting)):
            arrays[part] = np.concatenate([np.zeros(0, np.int32), *histories])
            arrays[f"{part}_lengths"] = np.asarray([len(history) for history in histories], np.int64)
        ids = {"track_ids": self.track_ids.astype(str), "user_ids": self.user_ids.astype(str)}
        with path.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **ids, **arrays)

    @classmethod
    def load(cls, path: Path) -> Seen:
        """Raises RunError when the file is damaged."""
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                training, fitting = (
                    np.split(arrays[part], np.cumsum(arrays[f"{part}_lengths"])[:-1])
                    for part in ("training", "fitting")
                )
                return cls(arrays["track_ids"].astype(object), arrays["user_ids"].astype(object), training, fitting)
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise RunError(f"{path}: cannot be read ({error}); train anew without --update") from error


def hold_out_new(
    interactions: Interactions, n_users: int, seen: NDArray[np.bool_], *, seed: int, how: Literal["random", "last"]
) -> Split:
    """Hold out one pair of each user who has two, among those not `seen` bool (m,): drawn, or the latest of them.

    A user whose pairs were all seen is not tested.
    """
    offsets = interactions.offsets(n_users)
    able = np.diff(offsets)[interactions.users] >= 2
    places = np.flatnonzero(~seen & able)
    _, first, counts = np.unique(interactions.users[places], return_index=True, return_counts=True)
    chosen = counts - 1
    if how == "random":
        chosen = np.random.default_rng(seed).integers(0, chosen, endpoint=True)
    held_out = np.zeros(len(interactions), np.bool_)
    held_out[places[first + chosen]] = True
    return Split(interactions.take(~held_out), interactions.users[held_out], interactions.tracks[held_out])


def _rows(ids: NDArray[np.object_], among: NDArray[np.object_]) -> NDArray[np.int64]:
    row_of = {one: row for row, one in enumerate(among)}
    return np.asarray([row_of.get(one, -1) for one in ids], np.int64)
