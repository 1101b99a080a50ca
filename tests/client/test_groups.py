"""What both clients send about groups, and what they make of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from audotics.client import (
    Contribution,
    Degradation,
    ExperimentArm,
    GroupMember,
    GroupRecommendation,
    GroupStrategy,
    GroupTrack,
    MemberSatisfaction,
    ModelVersion,
    Mood,
    Objectives,
    TrackFilter,
)
from audotics.v1 import recommender_service_pb2 as pb
from audotics.v1 import track_pb2


def test_recommend_group(client: Any, server: Any) -> None:
    contribution = pb.Contribution(model="ncf", weight=0.5, value=1.0, contribution=0.5)
    server.script(
        "RecommendGroup",
        pb.RecommendGroupResponse(
            recommendation_id="r1",
            tracks=[
                pb.GroupTrack(
                    track_id="t1",
                    title="Title",
                    artist="Artist",
                    score=0.5,
                    chosen_for="b",
                    worth=[0.25, 0.75],
                    contributions=[contribution],
                    reasons=["why"],
                )
            ],
            model_versions=[pb.ModelVersion(model="group", version=2)],
            index_version="i1",
            degraded=[pb.Degradation(part="user", reason=pb.DEGRADATION_REASON_UNKNOWN_USER, detail="who")],
            experiments=[pb.ExperimentArm(experiment="x", arm="a", propensity=0.5)],
            members=[pb.MemberSatisfaction(user_id="a", satisfaction=0.5, weight=0.25)],
            harmony=0.75,
            strategy=pb.GROUP_STRATEGY_LEAST_MISERY,
        ),
    )
    answer = client.recommend_group(
        ["a", GroupMember("b", 0.0)],
        limit=5,
        strategy="least_misery",
        fairness_floor=0.25,
        include_heard=True,
        mood=Mood.PARTY,
        genres=["rock"],
        filter=TrackFilter(explicit=False),
        exclude=["t9"],
        diversity=0.5,
        objectives=Objectives(novelty=1.0),
        explain=True,
        model_label="canary",
    )
    assert answer == GroupRecommendation(
        recommendation_id="r1",
        tracks=(
            GroupTrack(
                "t1", "Title", "Artist", 0.5, "b", (0.25, 0.75), (Contribution("ncf", 0.5, 1.0, 0.5),), ("why",)
            ),
        ),
        members=(MemberSatisfaction("a", 0.5, 0.25),),
        harmony=0.75,
        strategy=GroupStrategy.LEAST_MISERY,
        model_versions=(ModelVersion("group", 2),),
        index_version="i1",
        degraded=(Degradation("user", "unknown_user", "who"),),
        experiments=(ExperimentArm("x", "a", 0.5),),
    )
    assert server.requests == [
        pb.RecommendGroupRequest(
            members=[pb.GroupMember(user_id="a"), pb.GroupMember(user_id="b", weight=0.0)],
            limit=5,
            strategy=pb.GROUP_STRATEGY_LEAST_MISERY,
            fairness_floor=0.25,
            include_heard=True,
            context=pb.RequestContext(mood=track_pb2.MOOD_PARTY, genres=["rock"]),
            filter=pb.TrackFilter(explicit=False),
            exclude=pb.Exclusion(track_ids=["t9"]),
            diversity=0.5,
            objectives=pb.Objectives(relevance=1.0, novelty=1.0),
            explain=True,
            models=pb.ModelSelector(label="canary"),
        )
    ]


def test_a_strategy_of_a_newer_server_is_unknown(client: Any, server: Any) -> None:
    server.script("RecommendGroup", pb.RecommendGroupResponse(strategy=99))
    assert client.recommend_group(["a"]).strategy is GroupStrategy.UNKNOWN


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"members": "ana"}, TypeError, r"members takes several listeners, such as \['ana'\]"),
        ({"members": ["a"], "strategy": "vote"}, ValueError, "strategy must be one of"),
    ],
)
def test_a_mistake_of_the_caller_is_raised_before_anything_is_sent(
    client: Any, server: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        client.recommend_group(**arguments)
    assert server.requests == []
