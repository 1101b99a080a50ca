"""`LearningService` messages: arms go in, policies and records go back; and the drawn tilt of a receipt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from audotics.features.hybrid import COMPONENTS
from audotics.server.learning.policy import TiltPolicy
from audotics.server.storage.tilt_updates import StoredUpdate
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import Draw
from audotics.v1 import learning_service_pb2 as pb
from audotics.v1 import recommender_service_pb2

MAX_UPDATES: Final = 1000


def decode_arm(
    request: pb.GetTiltPolicyRequest | pb.ProposeTiltUpdateRequest | pb.RevertTiltUpdateRequest,
) -> str:
    """Raises InvalidRequestError."""
    violations = Violations()
    _check_arm(request.arm, violations)
    violations.raise_if_any()
    return request.arm


def decode_list(request: pb.ListTiltUpdatesRequest) -> tuple[str, int]:
    """The arm and the limit. Raises InvalidRequestError."""
    violations = Violations()
    _check_arm(request.arm, violations)
    violations.check_limit("limit", request.limit, most=MAX_UPDATES)
    violations.raise_if_any()
    return request.arm, request.limit


def encode_policy(policy: TiltPolicy) -> pb.TiltPolicy:
    return _policy(policy.arm, policy.number, policy.hybrid, policy.to_json())


def encode_update(update: StoredUpdate) -> pb.TiltUpdate:
    created_at = Timestamp()
    created_at.FromNanoseconds(int(update.created_at * 1e9))
    message = pb.TiltUpdate(
        arm=update.arm,
        number=update.number,
        outcome=pb.TiltUpdateOutcome.Value(f"TILT_UPDATE_OUTCOME_{update.outcome.upper()}"),
        created_at=created_at,
        replaced=update.replaced,
        reason=update.reason,
        policy=_policy(update.arm, update.number, update.hybrid, update.policy),
    )
    if (evidence := update.evidence) is not None:
        names = ("before", "after", "difference")
        estimates = {
            name: pb.Estimate(value=evidence[name]["estimate"], low=evidence[name]["low"], high=evidence[name]["high"])
            for name in names
        }
        message.evidence.CopyFrom(
            pb.TiltEvidence(decision_count=evidence["decisions"], listener_count=evidence["listeners"], **estimates)
        )
    return message


def encode_draw(draw: Draw) -> recommender_service_pb2.DrawnTilt:
    changed = {name: factor for name, factor in zip(COMPONENTS, draw.factors, strict=True) if factor != 1.0}
    return recommender_service_pb2.DrawnTilt(
        arm=draw.arm,
        policy=draw.policy,
        segment=draw.segment,
        name=draw.tilt,
        propensity=draw.propensity,
        factors=changed,
    )


def _policy(arm: str, number: int, hybrid: int, segments: Mapping[str, Mapping[str, float]]) -> pb.TiltPolicy:
    rows = [pb.TiltSegment(segment=name, probabilities=row) for name, row in segments.items()]
    return pb.TiltPolicy(arm=arm, number=number, segments=rows, hybrid_version=hybrid)


def _check_arm(arm: str, violations: Violations) -> None:
    if arm:
        violations.check_id("arm", arm)
