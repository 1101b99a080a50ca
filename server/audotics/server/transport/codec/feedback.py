"""`FeedbackService` messages: events as sent go in, and what became of each goes back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from audotics.server.services.feedback import EVENT_TYPES, FeedbackResult, SubmittedEvent
from audotics.server.transport.codec.violations import Violations
from audotics.v1 import feedback_service_pb2 as pb

MAX_EVENTS: Final = 1000
_TYPES: Final = {pb.EventType.Value(f"EVENT_TYPE_{name.upper()}"): name for name in sorted(EVENT_TYPES)}
_STATUSES: Final = {
    name: pb.FeedbackStatus.Value(f"FEEDBACK_STATUS_{name.upper()}") for name in ("accepted", "duplicate", "rejected")
}


def decode_feedback(request: pb.RecordFeedbackRequest | pb.StreamFeedbackRequest) -> list[SubmittedEvent]:
    """Raises InvalidRequestError for a wrong number of events only: each event is judged on its own."""
    violations = Violations()
    if not 1 <= len(request.events) <= MAX_EVENTS:
        violations.add("events", f"has {len(request.events)} entries; send 1 to {MAX_EVENTS}")
    violations.raise_if_any()
    return [
        SubmittedEvent(
            event_id=event.event_id,
            user_id=event.user_id,
            track_id=event.track_id,
            type=_TYPES.get(event.type, ""),
            occurred_at=_seconds(event.occurred_at) if event.HasField("occurred_at") else None,
            recommendation_id=event.recommendation_id,
            rating=event.rating if event.HasField("rating") else None,
            utc_offset_minutes=event.utc_offset_minutes if event.HasField("utc_offset_minutes") else None,
        )
        for event in request.events
    ]


def encode_feedback(results: Sequence[FeedbackResult]) -> pb.RecordFeedbackResponse:
    return pb.RecordFeedbackResponse(results=_encode(results))


def encode_stream_feedback(results: Sequence[FeedbackResult]) -> pb.StreamFeedbackResponse:
    return pb.StreamFeedbackResponse(results=_encode(results))


def _seconds(timestamp: Timestamp) -> float:
    """UTC seconds; NaN, which no event takes, where the nanoseconds are none of a second's."""
    return timestamp.seconds + timestamp.nanos / 1e9 if 0 <= timestamp.nanos < 10**9 else math.nan


def _encode(results: Sequence[FeedbackResult]) -> list[pb.FeedbackResult]:
    return [
        pb.FeedbackResult(event_id=result.event_id, status=_STATUSES[result.status], reason=result.reason)
        for result in results
    ]
