"""`audotics.v1.GroupService`: what happens in sessions goes in, and the sessions come out."""

from __future__ import annotations

import grpc

from audotics.server.services.sessions import SessionService
from audotics.server.transport.codec.sessions import (
    decode_create,
    decode_join,
    decode_leave,
    decode_name,
    decode_play,
    decode_skip,
    decode_vote,
    encode_session,
)
from audotics.v1 import group_service_pb2 as pb
from audotics.v1 import group_service_pb2_grpc as pb_grpc


class GroupServicer(pb_grpc.GroupServiceServicer):
    """Errors are those of the service; the interceptor gives them their status."""

    def __init__(self, *, sessions: SessionService) -> None:
        self._sessions = sessions

    async def CreateSession(  # noqa: N802
        self, request: pb.CreateSessionRequest, context: grpc.aio.ServicerContext
    ) -> pb.CreateSessionResponse:
        session_id, members, strategy, floor = decode_create(request)
        session = await self._sessions.create(session_id, members, strategy=strategy, fairness_floor=floor)
        return pb.CreateSessionResponse(session=encode_session(session))

    async def GetSession(  # noqa: N802
        self, request: pb.GetSessionRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetSessionResponse:
        session_id = decode_name(request)
        session = await self._sessions.get(session_id)
        return pb.GetSessionResponse(session=encode_session(session))

    async def JoinSession(  # noqa: N802
        self, request: pb.JoinSessionRequest, context: grpc.aio.ServicerContext
    ) -> pb.JoinSessionResponse:
        session_id, member = decode_join(request)
        session = await self._sessions.join(session_id, member)
        return pb.JoinSessionResponse(session=encode_session(session))

    async def LeaveSession(  # noqa: N802
        self, request: pb.LeaveSessionRequest, context: grpc.aio.ServicerContext
    ) -> pb.LeaveSessionResponse:
        session_id, user_id = decode_leave(request)
        session = await self._sessions.leave(session_id, user_id)
        return pb.LeaveSessionResponse(session=encode_session(session))

    async def VoteTrack(  # noqa: N802
        self, request: pb.VoteTrackRequest, context: grpc.aio.ServicerContext
    ) -> pb.VoteTrackResponse:
        session_id, vote = decode_vote(request)
        session = await self._sessions.vote(session_id, vote)
        return pb.VoteTrackResponse(session=encode_session(session))

    async def SetNowPlaying(  # noqa: N802
        self, request: pb.SetNowPlayingRequest, context: grpc.aio.ServicerContext
    ) -> pb.SetNowPlayingResponse:
        session_id, track_id = decode_play(request)
        session = await self._sessions.play(session_id, track_id)
        return pb.SetNowPlayingResponse(session=encode_session(session))

    async def SkipTrack(  # noqa: N802
        self, request: pb.SkipTrackRequest, context: grpc.aio.ServicerContext
    ) -> pb.SkipTrackResponse:
        session_id, track_id = decode_skip(request)
        session = await self._sessions.skip(session_id, track_id)
        return pb.SkipTrackResponse(session=encode_session(session))

    async def EndSession(  # noqa: N802
        self, request: pb.EndSessionRequest, context: grpc.aio.ServicerContext
    ) -> pb.EndSessionResponse:
        session_id = decode_name(request)
        session = await self._sessions.end(session_id)
        return pb.EndSessionResponse(session=encode_session(session))
