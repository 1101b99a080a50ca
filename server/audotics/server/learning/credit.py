"""Credit: what a list earned goes in, what every tilt would have earned with its own list comes out.

Lists of different tilts share most of their tracks, so what a listener says of a track says something of all tilts that
would have listed it. With rᵢ what track i earned, L the list that was shown, Lₐ that of tilt a, π the policy's chances:

    creditₐ = Σ_{i in L ∩ Lₐ} rᵢ / P(i),    P(i) = Σ_b π(b) [i in L_b]

Its mean over draws is what Lₐ would earn, provided that what a listener says of a track depends neither on its place
nor on the tracks beside it: the estimator of the document-based click model (Li et al. 2018, "Offline Evaluation of
Ranking Policies with Click Models"). Weighted by π the credits add up to what was earned. A track that all tilts
list counts fully for all of them, so that what tilts have in common costs a comparison of them no width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from audotics.features.tilts import TILTS


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of the k tracks of a list: which of TILTS would have listed them, bit by bit, and with what chance any would."""

    tracks: tuple[str, ...]
    tilts: tuple[int, ...]
    chances: tuple[float, ...]

    @classmethod
    def of(cls, tracks: Sequence[str], listed: NDArray[np.bool_], chances: NDArray[np.float64]) -> Self:
        """`listed` (k, tilts) says which tilts list a track, `chances` (tilts,) how probable they were."""
        bits = listed @ (1 << np.arange(listed.shape[1], dtype=np.int64))
        return cls(tuple(tracks), tuple(bits.tolist()), tuple((listed @ chances).tolist()))

    def credits(self, rewards: Mapping[str, float]) -> list[float]:
        """What each of TILTS would have earned, by what tracks of the list earned."""
        found = np.zeros(len(TILTS))
        for track_id, bits, chance in zip(self.tracks, self.tilts, self.chances, strict=True):
            if reward := rewards.get(track_id, 0.0):
                found += reward / chance * (bits >> np.arange(len(TILTS)) & 1)
        return list(found.tolist())

    def to_json(self) -> dict[str, Any]:
        return {"of": len(TILTS), "tracks": self.tracks, "tilts": self.tilts, "chances": self.chances}

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Self | None:
        """None for nothing, and for an overlap of other tilts than this version has."""
        if value is None or value["of"] != len(TILTS):
            return None
        return cls(tuple(value["tracks"]), tuple(value["tilts"]), tuple(value["chances"]))
