"""`audotics.v1.LearningService`: what is learned from feedback is shown and steered."""

from __future__ import annotations

import grpc

from audotics.server.services.tilts import TiltService
from audotics.server.transport.codec.learning import decode_arm, decode_list, encode_policy, encode_update
from audotics.v1 import learning_service_pb2 as pb
from audotics.v1 import learning_service_pb2_grpc as pb_grpc


class LearningServicer(pb_grpc.LearningServiceServicer):
    """Errors are those of the service; the interceptor gives them their status."""

    def __init__(self, *, tilts: TiltService) -> None:
        self._tilts = tilts

    async def GetTiltPolicy(  # noqa: N802
        self, request: pb.GetTiltPolicyRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetTiltPolicyResponse:
        policy = self._tilts.policy(decode_arm(request))
        return pb.GetTiltPolicyResponse(
            learning=policy is not None, policy=None if policy is None else encode_policy(policy)
        )

    async def ListTiltUpdates(  # noqa: N802
        self, request: pb.ListTiltUpdatesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListTiltUpdatesResponse:
        arm, limit = decode_list(request)
        updates = await self._tilts.updates(arm, limit=limit)
        return pb.ListTiltUpdatesResponse(updates=[encode_update(update) for update in updates])

    async def ProposeTiltUpdate(  # noqa: N802
        self, request: pb.ProposeTiltUpdateRequest, context: grpc.aio.ServicerContext
    ) -> pb.ProposeTiltUpdateResponse:
        update = await self._tilts.propose(decode_arm(request))
        return pb.ProposeTiltUpdateResponse(update=None if update is None else encode_update(update))

    async def RevertTiltUpdate(  # noqa: N802
        self, request: pb.RevertTiltUpdateRequest, context: grpc.aio.ServicerContext
    ) -> pb.RevertTiltUpdateResponse:
        update = await self._tilts.revert(decode_arm(request))
        return pb.RevertTiltUpdateResponse(update=encode_update(update))
