"""`audotics.v1.FeedbackService`: events go in, and what became of each comes out."""

from __future__ import annotations

import grpc

from audotics.server.services.feedback import FeedbackService
from audotics.server.transport.codec.feedback import decode_feedback, encode_feedback
from audotics.v1 import feedback_service_pb2 as pb
from audotics.v1 import feedback_service_pb2_grpc as pb_grpc


class FeedbackServicer(pb_grpc.FeedbackServiceServicer):
    """Errors are those of the service; the interceptor gives them their status."""

    def __init__(self, *, feedback: FeedbackService) -> None:
        self._feedback = feedback

    async def RecordFeedback(  # noqa: N802
        self, request: pb.RecordFeedbackRequest, context: grpc.aio.ServicerContext
    ) -> pb.RecordFeedbackResponse:
        events = decode_feedback(request)
        results = await self._feedback.record(events)
        return encode_feedback(results)
