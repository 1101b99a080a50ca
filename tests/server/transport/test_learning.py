"""LearningService over loopback: off, on, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import pytest

from audotics.features.hybrid import COMPONENTS
from audotics.features.tilts import TILTS
from audotics.v1 import feedback_service_pb2, recommender_service_pb2
from audotics.v1 import learning_service_pb2 as pb


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details()


async def test_where_learning_is_off(server: Any) -> None:
    learning = server.learning
    assert await learning.GetTiltPolicy(pb.GetTiltPolicyRequest()) == pb.GetTiltPolicyResponse()
    assert not (await learning.ListTiltUpdates(pb.ListTiltUpdatesRequest(limit=5))).updates
    off = (grpc.StatusCode.FAILED_PRECONDITION, "learning is off; start the server with AUDOTICS_LEARNING=true")
    assert await refused(learning.ProposeTiltUpdate(pb.ProposeTiltUpdateRequest())) == off
    assert await refused(learning.RevertTiltUpdate(pb.RevertTiltUpdateRequest())) == off
    wrong = (grpc.StatusCode.INVALID_ARGUMENT, "arm: has 300 characters; send 1 to 256; limit: is 0; send 1 to 1000")
    assert await refused(learning.ListTiltUpdates(pb.ListTiltUpdatesRequest(arm="x" * 300))) == wrong
    made = await server.recommender.Recommend(
        recommender_service_pb2.RecommendRequest(subject={"user_id": "u01"}, limit=3)
    )
    explained = await server.recommender.ExplainRecommendation(
        recommender_service_pb2.ExplainRecommendationRequest(recommendation_id=made.recommendation_id)
    )
    assert not explained.HasField("tilt")


async def test_lists_with_feedback_become_a_record(
    start: Callable[..., AbstractAsyncContextManager[Any]], repository: Any
) -> None:
    settings = {
        "learning": True,
        "learning_exploration": 1.0,
        "learning_min_decisions": 40,
        "learning_window_s": 0.001,
        "promotion_shadow_requests": 0,
    }
    async with start(repository.path, **settings) as server:
        for number in range(80):
            subject = {"user_id": f"u{number}"}
            made = await server.recommender.Recommend(
                recommender_service_pb2.RecommendRequest(subject=subject, limit=2)
            )
            event = feedback_service_pb2.FeedbackEvent(
                event_id=f"e{number}",
                user_id=f"u{number}",
                track_id=made.tracks[0].track_id,
                type=feedback_service_pb2.EVENT_TYPE_LIKE,
                recommendation_id=made.recommendation_id,
            )
            await server.feedback.RecordFeedback(feedback_service_pb2.RecordFeedbackRequest(events=[event]))
        explained = await server.recommender.ExplainRecommendation(
            recommender_service_pb2.ExplainRecommendationRequest(recommendation_id=made.recommendation_id)
        )
        tilt = explained.tilt
        assert explained.exact
        assert tilt.propensity == pytest.approx(1 / len(TILTS))
        changed = {name: factor for name, factor in zip(COMPONENTS, TILTS[tilt.name], strict=True) if factor != 1.0}
        assert (tilt.policy, tilt.segment, dict(tilt.factors)) == (0, "new", changed)
        answer = await server.learning.ProposeTiltUpdate(pb.ProposeTiltUpdateRequest())
        assert answer.update.number == 1
        assert answer.update.evidence.decision_count == 24
        assert answer.update.evidence.listener_count == 24
        assert answer.update.policy.segments[0].segment == "new"
        assert (await server.learning.ListTiltUpdates(pb.ListTiltUpdatesRequest(limit=5))).updates == [answer.update]
        policy = (await server.learning.GetTiltPolicy(pb.GetTiltPolicyRequest())).policy
        published = answer.update.outcome == pb.TILT_UPDATE_OUTCOME_PUBLISHED
        assert policy.number == (1 if published else 0)
    async with start(repository.path) as server:
        (kept,) = (await server.learning.ListTiltUpdates(pb.ListTiltUpdatesRequest(limit=5))).updates
        assert kept == answer.update
