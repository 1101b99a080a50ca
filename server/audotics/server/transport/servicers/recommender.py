"""`audotics.v1.RecommenderService`: requests go in, ranked lists come out."""

from __future__ import annotations

import grpc

from audotics.server.services.classify import ClassifyService
from audotics.server.services.explain import ExplainService
from audotics.server.services.rank import RankService
from audotics.server.services.recommend import RecommendService
from audotics.server.services.similar import SimilarService
from audotics.server.transport.caller import caller_of
from audotics.server.transport.codec.classification import decode_classify, encode_classification
from audotics.server.transport.codec.explanations import decode_explain, encode_explained
from audotics.server.transport.codec.recommendations import (
    decode_rank,
    decode_recommend,
    decode_similar,
    encode_ranking,
    encode_recommendation,
    encode_similarity,
)
from audotics.server.transport.deadline import deadline_of
from audotics.v1 import recommender_service_pb2 as pb
from audotics.v1 import recommender_service_pb2_grpc as pb_grpc


class RecommenderServicer(pb_grpc.RecommenderServiceServicer):
    """Errors are those of the services; the interceptor gives them their status."""

    def __init__(
        self,
        *,
        recommend: RecommendService,
        rank: RankService,
        similar: SimilarService,
        classify: ClassifyService,
        explain: ExplainService,
    ) -> None:
        self._recommend = recommend
        self._rank = rank
        self._similar = similar
        self._classify = classify
        self._explain = explain

    async def Recommend(  # noqa: N802
        self, request: pb.RecommendRequest, context: grpc.aio.ServicerContext
    ) -> pb.RecommendResponse:
        query = decode_recommend(request, deadline=deadline_of(context), caller=caller_of(context))
        answer = await self._recommend.recommend(query)
        return encode_recommendation(answer)

    async def RankTracks(  # noqa: N802
        self, request: pb.RankTracksRequest, context: grpc.aio.ServicerContext
    ) -> pb.RankTracksResponse:
        query = decode_rank(request, deadline=deadline_of(context), caller=caller_of(context))
        answer = await self._rank.rank(query)
        return encode_ranking(answer)

    async def SimilarTracks(  # noqa: N802
        self, request: pb.SimilarTracksRequest, context: grpc.aio.ServicerContext
    ) -> pb.SimilarTracksResponse:
        query = decode_similar(request, deadline=deadline_of(context))
        answer = await self._similar.similar(query)
        return encode_similarity(answer)

    async def ClassifyTracks(  # noqa: N802
        self, request: pb.ClassifyTracksRequest, context: grpc.aio.ServicerContext
    ) -> pb.ClassifyTracksResponse:
        query = decode_classify(request)
        answer = await self._classify.classify(query)
        return encode_classification(answer)

    async def ExplainRecommendation(  # noqa: N802
        self, request: pb.ExplainRecommendationRequest, context: grpc.aio.ServicerContext
    ) -> pb.ExplainRecommendationResponse:
        recommendation_id = decode_explain(request)
        explained = await self._explain.explain(recommendation_id, deadline=deadline_of(context))
        return encode_explained(explained)
