"""`FeedbackService` messages: events as sent go in, and what became of each goes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from audotics.server.services.feedback import EVENT_TYPES, FeedbackResult, SubmittedEvent
from audotics.server.transport.codec.violations import Violations
from audotics.v1 import feedback_service_pb2 as pb

MAX_EVENTS: Final = 1000


def decode_feedback(request: pb.RecordFeedbackRequest) -> list[SubmittedEvent]:
    """Raises InvalidRequestError for a wrong number of events only: each event is judged on its own."""
    violations = Violations()
    if not 1 <= len(request.events) <= MAX_EVENTS:
        violations.add("events", f"has {len(request.events)} entries; send 1 to {MAX_EVENTS}")
    violations.raise_if_any()
    names = {pb.EventType.Value(f"EVENT_TYPE_{name.upper()}"): name for name in EVENT_TYPES}
    return [
        SubmittedEvent(
            event_id=event.event_id,
            user_id=event.user_id,
            track_id=event.track_id,
            type=names.get(event.type, ""),
            occurred_at=event.occurred_at.seconds + event.occurred_at.nanos / 1e9
            if event.HasField("occurred_at")
            else None,
            recommendation_id=event.recommendation_id,
            rating=event.rating if event.HasField("rating") else None,
        )
        for event in request.events
    ]


def encode_feedback(results: Sequence[FeedbackResult]) -> pb.RecordFeedbackResponse:
    return pb.RecordFeedbackResponse(
        results=[
            pb.FeedbackResult(
                event_id=result.event_id,
                status=pb.FeedbackStatus.Value(f"FEEDBACK_STATUS_{result.status.upper()}"),
                reason=result.reason,
            )
            for result in results
        ]
    )
