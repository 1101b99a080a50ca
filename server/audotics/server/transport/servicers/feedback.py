"""`audotics.v1.FeedbackService`: what listeners did and said goes in, and what became of it comes out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from audotics.server.services.features import FeatureService
from audotics.server.services.feedback import FeedbackService
from audotics.server.services.preferences import PreferenceService
from audotics.server.services.privacy import PrivacyService
from audotics.server.transport.codec.features import encode_features
from audotics.server.transport.codec.feedback import decode_feedback, encode_feedback, encode_stream_feedback
from audotics.server.transport.codec.preferences import (
    decode_preferences,
    decode_user_id,
    encode_deletion,
    encode_preferences,
)
from audotics.server.transport.streams import answered_in_order
from audotics.v1 import feedback_service_pb2 as pb
from audotics.v1 import feedback_service_pb2_grpc as pb_grpc


class FeedbackServicer(pb_grpc.FeedbackServiceServicer):
    """Errors are those of the service; the interceptor gives them their status."""

    def __init__(
        self,
        *,
        feedback: FeedbackService,
        preferences: PreferenceService,
        privacy: PrivacyService,
        features: FeatureService,
    ) -> None:
        self._feedback = feedback
        self._preferences = preferences
        self._privacy = privacy
        self._features = features

    async def RecordFeedback(  # noqa: N802
        self, request: pb.RecordFeedbackRequest, context: grpc.aio.ServicerContext
    ) -> pb.RecordFeedbackResponse:
        events = decode_feedback(request)
        results = await self._feedback.record(events)
        return encode_feedback(results)

    async def StreamFeedback(  # noqa: N802
        self, requests: AsyncIterator[pb.StreamFeedbackRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.StreamFeedbackResponse]:
        async def answer(request: pb.StreamFeedbackRequest) -> pb.StreamFeedbackResponse:
            events = decode_feedback(request)
            results = await self._feedback.record(events)
            return encode_stream_feedback(results)

        async for response in answered_in_order(requests, answer):
            yield response

    async def UpdatePreferences(  # noqa: N802
        self, request: pb.UpdatePreferencesRequest, context: grpc.aio.ServicerContext
    ) -> pb.UpdatePreferencesResponse:
        user_id, preferences, fields = decode_preferences(request)
        stored = await self._preferences.update(user_id, preferences, fields=fields)
        return pb.UpdatePreferencesResponse(preferences=encode_preferences(stored))

    async def GetPreferences(  # noqa: N802
        self, request: pb.GetPreferencesRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetPreferencesResponse:
        user_id = decode_user_id(request)
        stored = await self._preferences.get(user_id)
        return pb.GetPreferencesResponse(preferences=encode_preferences(stored))

    async def DeleteUser(  # noqa: N802
        self, request: pb.DeleteUserRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeleteUserResponse:
        user_id = decode_user_id(request)
        deletion = await self._privacy.delete(user_id)
        return encode_deletion(deletion)

    async def GetListenerFeatures(  # noqa: N802
        self, request: pb.GetListenerFeaturesRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetListenerFeaturesResponse:
        user_id = decode_user_id(request)
        features = await self._features.features(user_id)
        return encode_features(features)
