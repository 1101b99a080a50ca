"""Calls of LearningService: what both clients send, and what they make of the answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from audotics.client import Estimate, TiltEvidence, TiltPolicy, TiltUpdate, TiltUpdateOutcome
from audotics.v1 import learning_service_pb2 as pb

POLICY = pb.TiltPolicy(
    arm="a", number=3, segments=[{"segment": "new", "probabilities": {"more ncf": 1.0}}], hybrid_version=2
)


def message(**fields: Any) -> pb.TiltUpdate:
    return pb.TiltUpdate(
        arm="a", number=3, created_at={"seconds": 1_700_000_000}, replaced=1, reason="why", policy=POLICY, **fields
    )


def update(outcome: TiltUpdateOutcome, evidence: TiltEvidence | None = None) -> TiltUpdate:
    policy = TiltPolicy("a", 3, {"new": {"more ncf": 1.0}}, 2)
    moment = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    return TiltUpdate("a", 3, outcome, moment, 1, "why", evidence, policy)


def test_get_tilt_policy(client: Any, server: Any) -> None:
    server.script("GetTiltPolicy", pb.GetTiltPolicyResponse(), pb.GetTiltPolicyResponse(learning=True, policy=POLICY))
    assert client.get_tilt_policy() is None
    assert client.get_tilt_policy(arm="a") == TiltPolicy("a", 3, {"new": {"more ncf": 1.0}}, 2)
    assert server.requests == [pb.GetTiltPolicyRequest(), pb.GetTiltPolicyRequest(arm="a")]


def test_list_tilt_updates(client: Any, server: Any) -> None:
    evidence = pb.TiltEvidence(
        decision_count=5,
        listener_count=4,
        before={"value": 1.0, "low": 0.5, "high": 1.5},
        after={"value": 2.0, "low": 1.5, "high": 2.5},
        difference={"value": 1.0, "low": 0.25, "high": 1.75},
    )
    updates = [message(outcome=pb.TILT_UPDATE_OUTCOME_PUBLISHED, evidence=evidence), message(outcome=99)]
    server.script("ListTiltUpdates", pb.ListTiltUpdatesResponse(updates=updates))
    expected = TiltEvidence(5, 4, Estimate(1.0, 0.5, 1.5), Estimate(2.0, 1.5, 2.5), Estimate(1.0, 0.25, 1.75))
    assert client.list_tilt_updates(arm="a", limit=7) == (
        update(TiltUpdateOutcome.PUBLISHED, expected),
        update(TiltUpdateOutcome.UNKNOWN),
    )
    assert server.requests == [pb.ListTiltUpdatesRequest(arm="a", limit=7)]


def test_propose_tilt_update(client: Any, server: Any) -> None:
    dropped = message(outcome=pb.TILT_UPDATE_OUTCOME_DROPPED)
    server.script("ProposeTiltUpdate", pb.ProposeTiltUpdateResponse(), pb.ProposeTiltUpdateResponse(update=dropped))
    assert client.propose_tilt_update() is None
    assert client.propose_tilt_update(arm="a") == update(TiltUpdateOutcome.DROPPED)
    assert server.requests == [pb.ProposeTiltUpdateRequest(), pb.ProposeTiltUpdateRequest(arm="a")]


def test_revert_tilt_update(client: Any, server: Any) -> None:
    reverted = message(outcome=pb.TILT_UPDATE_OUTCOME_REVERTED)
    server.script("RevertTiltUpdate", pb.RevertTiltUpdateResponse(update=reverted))
    assert client.revert_tilt_update(arm="a") == update(TiltUpdateOutcome.REVERTED)
    assert server.requests == [pb.RevertTiltUpdateRequest(arm="a")]
