"""`explain_recommendation` of both clients: what is sent, and what is made of the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from audotics.client import Contribution, DrawnTilt, ExplainedCandidate, Explanation, ModelVersion, RecommendedTrack
from audotics.v1 import recommender_service_pb2 as pb


def test_explain_recommendation(client: Any, server: Any) -> None:
    contribution = pb.Contribution(model="ncf", weight=0.5, value=1.0, contribution=0.5)
    replayed = pb.RecommendedTrack(track_id="t1", score=0.5, contributions=[contribution], reasons=["why"])
    server.script(
        "ExplainRecommendation",
        pb.ExplainRecommendationResponse(
            recommendation_id="r1",
            created_at={"seconds": 1_700_000_000},
            model_versions=[pb.ModelVersion(model="ncf", version=3)],
            index_version="i1",
            listener_digest="abc",
            candidates=[
                pb.ExplainedCandidate(track_id="t1", rank=1, recorded_score=0.5, replayed=replayed),
                pb.ExplainedCandidate(track_id="t2", recorded_score=0.25),
            ],
            not_replayed_reason="in part",
            max_abs_difference=0.5,
            exact=True,
            tilt=pb.DrawnTilt(arm="a", policy=2, segment="new", name="less ncf", propensity=0.25, factors={"ncf": 0.5}),
        ),
    )
    track = RecommendedTrack("t1", "", "", 0.5, 0.0, (Contribution("ncf", 0.5, 1.0, 0.5),), ("why",))
    assert client.explain_recommendation("r1") == Explanation(
        recommendation_id="r1",
        created_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        model_versions=(ModelVersion("ncf", 3),),
        index_version="i1",
        listener_digest="abc",
        candidates=(ExplainedCandidate("t1", 1, 0.5, track), ExplainedCandidate("t2", 0, 0.25, None)),
        not_replayed_reason="in part",
        max_abs_difference=0.5,
        exact=True,
        tilt=DrawnTilt("a", 2, "new", "less ncf", 0.25, {"ncf": 0.5}),
    )
    assert server.requests == [pb.ExplainRecommendationRequest(recommendation_id="r1")]
