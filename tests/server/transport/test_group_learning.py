"""Tilts of lists for groups: who gets which, what they change, who gives the reward, and what is learned of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from audotics.features.tilts import AS_TRAINED, TILTS
from audotics.server.learning.credit import Overlap
from audotics.server.storage.database import Database
from audotics.server.storage.decisions import DecisionStore, StoredDecision
from audotics.v1 import group_service_pb2 as group_pb
from audotics.v1 import learning_service_pb2 as pb
from audotics.v1 import recommender_service_pb2 as recommender_pb
from tests.server.group_bundles import write_group_model

Start = Callable[..., AbstractAsyncContextManager[Any]]
EXPLORING = {"learning": True, "learning_exploration": 1.0, "promotion_shadow_requests": 0}
STRATEGIES = [
    {"strategy": recommender_pb.GROUP_STRATEGY_AVERAGE},
    {"strategy": recommender_pb.GROUP_STRATEGY_LEAST_MISERY, "fairness_floor": 0.6},
    {"strategy": recommender_pb.GROUP_STRATEGY_MOST_PLEASURE, "context": {"mood": "MOOD_CHILL"}},
    {"strategy": recommender_pb.GROUP_STRATEGY_FAIRNESS},
]


@contextmanager
def decisions(tmp_path: Path) -> Iterator[list[StoredDecision]]:
    """Those of the server's database, which are not settled yet."""
    with closing(Database.open(f"sqlite:///{tmp_path}/state/state.db")) as database:
        yield DecisionStore(database).unsettled(before=9e9, limit=500)


async def listed(server: Any, *user_ids: str, **fields: Any) -> recommender_pb.RecommendGroupResponse:
    members = [recommender_pb.GroupMember(user_id=user_id) for user_id in user_ids]
    return await server.recommender.RecommendGroup(
        recommender_pb.RecommendGroupRequest(members=members, **({"limit": 8} | fields))
    )


async def tilt_of(server: Any, recommendation_id: str) -> recommender_pb.DrawnTilt | None:
    explained = await server.recommender.ExplainRecommendation(
        recommender_pb.ExplainRecommendationRequest(recommendation_id=recommendation_id)
    )
    return explained.tilt if explained.HasField("tilt") else None


def ids(answer: recommender_pb.RecommendGroupResponse) -> list[str]:
    return [track.track_id for track in answer.tracks]


async def test_a_group_gets_one_tilt_and_the_lists_of_all_tilts_are_compared(
    start: Start, repository: Any, tmp_path: Path
) -> None:
    asked = [((f"u{n:02d}", f"u{n + 1:02d}"), STRATEGIES[n % 4]) for n in range(16)]
    async with start(repository.path) as server:
        plain = [set(ids(await listed(server, *group, **fields))) for group, fields in asked]
    async with start(repository.path, **EXPLORING) as server:
        answers = [await listed(server, *group, **fields) for group, fields in asked]
        tilts = [await tilt_of(server, answer.recommendation_id) for answer in answers]
        again = [await listed(server, *reversed(group), **fields) for group, fields in asked]
        assert [await tilt_of(server, answer.recommendation_id) for answer in again] == tilts
    for tilt, (_, fields) in zip(tilts, asked, strict=True):
        assert tilt is not None
        assert tilt.segment == ("group, context" if "context" in fields else "group")
        assert tilt.propensity == pytest.approx(1 / len(TILTS))
    assert len({tilt.name for tilt in tilts if tilt is not None}) > 3
    assert any(set(ids(answer)) != tracks for answer, tracks in zip(answers, plain, strict=True))
    with decisions(tmp_path) as stored:
        by_list = {one.recommendation_id: one for one in stored}
    for answer, tilt, as_trained_list in zip(answers, tilts, plain, strict=True):
        decision = by_list[answer.recommendation_id]
        assert tilt is not None
        assert (decision.user_id, decision.tilt, decision.hybrid) == ("", tilt.name, 1)
        assert decision.group_key.startswith("groups/")
        overlap = Overlap.from_json(decision.overlap)
        assert overlap is not None
        as_trained, own = (list(TILTS).index(name) for name in (AS_TRAINED, decision.tilt))
        by_both = {track for track, bits in zip(overlap.tracks, overlap.tilts, strict=True) if bits >> as_trained & 1}
        assert by_both == as_trained_list & set(overlap.tracks)
        assert all(bits >> own & 1 for bits in overlap.tilts)


async def test_nothing_is_drawn_where_tilts_change_nothing_or_the_caller_chose_the_models(
    start: Start, repository: Any, tmp_path: Path
) -> None:
    write_group_model(repository)
    async with start(repository.path, **EXPLORING) as server:
        attention = {"strategy": recommender_pb.GROUP_STRATEGY_LEARNED_ATTENTION}
        chosen = {"models": {"versions": [{"model": "hybrid", "version": 1}]}}
        for fields in (attention, chosen):
            answer = await listed(server, "u00", "u01", **fields)
            assert await tilt_of(server, answer.recommendation_id) is None
    with decisions(tmp_path) as stored:
        assert stored == []


async def test_a_large_group_learns_without_shared_credit(start: Start, repository: Any, tmp_path: Path) -> None:
    async with start(repository.path, **EXPLORING) as server:
        answer = await listed(server, *(f"u{number:03d}" for number in range(100)), limit=60)
        assert await tilt_of(server, answer.recommendation_id) is not None
    with decisions(tmp_path) as (stored,):
        assert stored.overlap is None


async def test_lists_of_groups_become_a_record(start: Start, repository: Any) -> None:
    settings = EXPLORING | {"learning_min_decisions": 40, "learning_window_s": 0.001}
    async with start(repository.path, **settings) as server:
        for number in range(80):
            members = [{"user_id": f"u{number:02d}"}, {"user_id": f"u{number + 1:02d}"}]
            request = group_pb.CreateSessionRequest(session_id=f"s{number}", members=members)
            name = (await server.groups.CreateSession(request)).session.name
            answer = await listed(server, session=name, limit=2)
            played = group_pb.SetNowPlayingRequest(name=name, track_id=answer.tracks[0].track_id)
            await server.groups.SetNowPlaying(played)
        assert await tilt_of(server, answer.recommendation_id) is not None  # writes what waits
        record = (await server.learning.ProposeTiltUpdate(pb.ProposeTiltUpdateRequest())).update
    assert record.evidence.decision_count == record.evidence.listener_count == 24
    assert {"group", "group, context"} <= {segment.segment for segment in record.policy.segments}
