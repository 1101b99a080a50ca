"""`audotics.v1.RecommenderService`: requests go in, ranked lists come out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from audotics.server.pipeline.group_query import GroupQuery
from audotics.server.services.classify import ClassifyService
from audotics.server.services.compatibility import CompatibilityService
from audotics.server.services.explain import ExplainService
from audotics.server.services.rank import RankService
from audotics.server.services.recommend import RecommendService
from audotics.server.services.recommend_group import RecommendGroupService
from audotics.server.services.similar import SimilarService
from audotics.server.services.taste import TasteService
from audotics.server.services.watch import WatchService
from audotics.server.transport.caller import caller_of
from audotics.server.transport.codec.classification import decode_classify, encode_classification
from audotics.server.transport.codec.explanations import decode_explain, encode_explained
from audotics.server.transport.codec.groups import (
    decode_recommend_group,
    decode_watch,
    encode_group,
    encode_watched_group,
)
from audotics.server.transport.codec.recommendations import (
    decode_rank,
    decode_recommend,
    decode_similar,
    encode_ranking,
    encode_recommendation,
    encode_similarity,
    encode_watched,
)
from audotics.server.transport.codec.tastes import (
    decode_compatibility,
    decode_taste,
    encode_compatibility,
    encode_taste,
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
        recommend_group: RecommendGroupService,
        compatibility: CompatibilityService,
        taste: TasteService,
        watch: WatchService,
        rank: RankService,
        similar: SimilarService,
        classify: ClassifyService,
        explain: ExplainService,
    ) -> None:
        self._recommend = recommend
        self._recommend_group = recommend_group
        self._compatibility = compatibility
        self._taste = taste
        self._watch = watch
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

    async def RecommendGroup(  # noqa: N802
        self, request: pb.RecommendGroupRequest, context: grpc.aio.ServicerContext
    ) -> pb.RecommendGroupResponse:
        query = decode_recommend_group(request, deadline=deadline_of(context), caller=caller_of(context))
        answer = await self._recommend_group.recommend(query)
        return encode_group(answer)

    async def ScoreCompatibility(  # noqa: N802
        self, request: pb.ScoreCompatibilityRequest, context: grpc.aio.ServicerContext
    ) -> pb.ScoreCompatibilityResponse:
        user_ids, models = decode_compatibility(request)
        answer = await self._compatibility.score(user_ids, models=models, deadline=deadline_of(context))
        return encode_compatibility(answer)

    async def AnalyzeTaste(  # noqa: N802
        self, request: pb.AnalyzeTasteRequest, context: grpc.aio.ServicerContext
    ) -> pb.AnalyzeTasteResponse:
        user_id = decode_taste(request)
        analysis = await self._taste.analyze(user_id)
        return encode_taste(analysis)

    async def WatchRecommendations(  # noqa: N802
        self, request: pb.WatchRecommendationsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchRecommendationsResponse]:
        query = decode_watch(request, caller=caller_of(context))
        if isinstance(query, GroupQuery):
            async with aclosing(self._watch.watch_group(query)) as group_lists:
                async for group_list in group_lists:
                    yield encode_watched_group(group_list)
            return
        async with aclosing(self._watch.watch(query)) as own_lists:
            async for own_list in own_lists:
                yield encode_watched(own_list)

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
        query = decode_classify(request, deadline=deadline_of(context))
        answer = await self._classify.classify(query)
        return encode_classification(answer)

    async def ExplainRecommendation(  # noqa: N802
        self, request: pb.ExplainRecommendationRequest, context: grpc.aio.ServicerContext
    ) -> pb.ExplainRecommendationResponse:
        recommendation_id = decode_explain(request)
        explained = await self._explain.explain(recommendation_id, deadline=deadline_of(context))
        return encode_explained(explained)
