"""What is asked for a group, and what it gets: values between the transport and the pipeline."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.groups import GroupEvents
from audotics.server.types import (
    ANYBODY,
    Caller,
    Context,
    Contribution,
    Degradation,
    Draw,
    Exposure,
    ModelSelector,
    Objectives,
    PipelineSettings,
    TrackFilter,
    arm_key,
    combined_factors,
)

MAX_MEMBERS: Final = 100


class Strategy(StrEnum):
    """How the members' wishes become one list."""

    AVERAGE = "average"
    LEAST_MISERY = "least_misery"
    MOST_PLEASURE = "most_pleasure"
    FAIRNESS = "fairness"
    LEARNED_ATTENTION = "learned_attention"


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A listener in a group; `weight` is how much they count."""

    user_id: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """A validated `RecommendGroup` request: members, or a session whose members they are.

    `strategy` and `fairness_floor` are None where the session decides, or the average and no floor do. `deadline` is on
    the clock of `time.monotonic()`, None for no limit. `tilt`, `pipeline`, `exposures`, `draw` and `shown` are as
    in `RecommendQuery`; they hold for each member's scores.
    """

    members: tuple[GroupMember, ...]
    limit: int
    session_id: str = ""
    strategy: Strategy | None = None
    fairness_floor: float | None = None
    include_heard: bool = False
    context: Context = field(default_factory=Context)
    filter: TrackFilter = field(default_factory=TrackFilter)
    excluded: tuple[str, ...] = ()
    diversity: float | None = None
    objectives: Objectives = field(default_factory=Objectives)
    explain: bool = False
    deadline: float | None = None
    models: ModelSelector | None = None
    caller: Caller = ANYBODY
    tilt: tuple[float, ...] = ()
    pipeline: PipelineSettings | None = None
    exposures: tuple[Exposure, ...] = ()
    draw: Draw | None = None
    shown: tuple[str, ...] | None = None

    @property
    def arm_key(self) -> str:
        """That of `types.arm_key`."""
        return arm_key(self.exposures)

    @property
    def factors(self) -> tuple[float, ...]:
        """What the weights of the hybrid are multiplied by, for each member; () for nothing."""
        return combined_factors(self.tilt, self.draw)

    @property
    def key(self) -> str:
        """The group's own name, the same each time: its session's, or a hash of who is in it, which names nobody."""
        if self.session_id:
            return f"sessions/{self.session_id}"
        members = json.dumps(sorted(member.user_id for member in self.members)).encode()
        return f"groups/{blake2b(members, digest_size=16).hexdigest()}"


@dataclass(frozen=True, slots=True, eq=False)
class Deeds:
    """What a group did so far, by catalogue rows: `events` of what it played, and its members' v votes.

    votes are int64 (v,) rows and members, by their places in the group, and bool (v,) whether they are for the track.
    `done` are rows that must not come again, whatever is asked for.
    """

    events: GroupEvents
    voted_rows: NDArray[np.int64]
    voters: NDArray[np.int64]
    votes_for: NDArray[np.bool_]
    done: NDArray[np.int64]


NOTHING_DONE: Final = Deeds(
    GroupEvents(np.empty(0, np.int64), np.empty(0, np.float32)),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.bool_),
    np.empty(0, np.int64),
)


@dataclass(frozen=True, slots=True)
class GroupTrack:
    """A track in a group's list. `worth` is what it is worth to each member, 0..1, when that was asked for.

    `chosen_for` is the member whose turn it was, where the strategy takes turns.
    """

    track_id: str
    title: str
    artist: str
    score: float
    chosen_for: str = ""
    worth: tuple[float, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberSatisfaction:
    """How well a list serves a member, 0..1, and the share of the say that they had."""

    user_id: str
    satisfaction: float
    weight: float


@dataclass(frozen=True, slots=True)
class GroupRecommendation:
    """The answer to `RecommendGroup`; `strategy` is the one that made the list."""

    recommendation_id: str
    tracks: tuple[GroupTrack, ...]
    model_versions: tuple[tuple[str, int], ...]
    index_version: str
    degraded: tuple[Degradation, ...]
    members: tuple[MemberSatisfaction, ...]
    harmony: float
    strategy: Strategy
    exposures: tuple[Exposure, ...] = ()
