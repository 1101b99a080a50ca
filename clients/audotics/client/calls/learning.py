"""Calls of LearningService."""

from __future__ import annotations

from datetime import UTC
from typing import Final

from audotics.client.calls.call import Call, call_of
from audotics.client.results.learning import Estimate, TiltEvidence, TiltPolicy, TiltUpdate, TiltUpdateOutcome
from audotics.v1 import learning_service_pb2 as learning

ROUND_TIMEOUT_S: Final = 60.0
"""A round settles all that has waited since the last one, which may be much."""


def get_tilt_policy(*, arm: str = "", timeout_s: float | None = None) -> Call[TiltPolicy | None]:
    """The policy that draws tilts for lists; None where learning is off."""

    def decode(answer: learning.GetTiltPolicyResponse) -> TiltPolicy | None:
        return _policy(answer.policy) if answer.learning else None

    request = learning.GetTiltPolicyRequest(arm=arm)
    return call_of("LearningService/GetTiltPolicy", request, learning.GetTiltPolicyResponse, decode, timeout_s)


def list_tilt_updates(
    *, arm: str = "", limit: int = 20, timeout_s: float | None = None
) -> Call[tuple[TiltUpdate, ...]]:
    """What became of each policy that was proposed, the latest first."""

    def decode(answer: learning.ListTiltUpdatesResponse) -> tuple[TiltUpdate, ...]:
        return tuple(_update(item) for item in answer.updates)

    request = learning.ListTiltUpdatesRequest(arm=arm, limit=limit)
    return call_of("LearningService/ListTiltUpdates", request, learning.ListTiltUpdatesResponse, decode, timeout_s)


def propose_tilt_update(*, arm: str = "", timeout_s: float | None = ROUND_TIMEOUT_S) -> Call[TiltUpdate | None]:
    """Run a round of learning now, and return its record; None where there was too little feedback.

    The server runs rounds by itself, too. FailedPreconditionError where learning is off.
    """

    def decode(answer: learning.ProposeTiltUpdateResponse) -> TiltUpdate | None:
        return _update(answer.update) if answer.HasField("update") else None

    request = learning.ProposeTiltUpdateRequest(arm=arm)
    return call_of("LearningService/ProposeTiltUpdate", request, learning.ProposeTiltUpdateResponse, decode, timeout_s)


def revert_tilt_update(*, arm: str = "", timeout_s: float | None = None) -> Call[TiltUpdate]:
    """Go back to the policy before the one in force. FailedPreconditionError where that was not published."""

    def decode(answer: learning.RevertTiltUpdateResponse) -> TiltUpdate:
        return _update(answer.update)

    request = learning.RevertTiltUpdateRequest(arm=arm)
    return call_of("LearningService/RevertTiltUpdate", request, learning.RevertTiltUpdateResponse, decode, timeout_s)


def _policy(message: learning.TiltPolicy) -> TiltPolicy:
    segments = {item.segment: dict(item.probabilities) for item in message.segments}
    return TiltPolicy(message.arm, message.number, segments, message.hybrid_version)


def _update(message: learning.TiltUpdate) -> TiltUpdate:
    evidence = None
    if message.HasField("evidence"):
        given = message.evidence
        evidence = TiltEvidence(
            decision_count=given.decision_count,
            listener_count=given.listener_count,
            before=_estimate(given.before),
            after=_estimate(given.after),
            difference=_estimate(given.difference),
        )
    return TiltUpdate(
        arm=message.arm,
        number=message.number,
        outcome=_outcome(message.outcome),
        created_at=message.created_at.ToDatetime(tzinfo=UTC),
        replaced=message.replaced,
        reason=message.reason,
        evidence=evidence,
        policy=_policy(message.policy),
    )


def _estimate(message: learning.Estimate) -> Estimate:
    return Estimate(message.value, message.low, message.high)


def _outcome(number: int) -> TiltUpdateOutcome:
    """UNKNOWN for one that was added after this client was made."""
    try:
        name = learning.TiltUpdateOutcome.Name(number)
        return TiltUpdateOutcome(name.removeprefix("TILT_UPDATE_OUTCOME_").lower())
    except ValueError:
        return TiltUpdateOutcome.UNKNOWN
