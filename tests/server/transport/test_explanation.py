"""`ExplainRecommendation` over loopback: the receipt of a list, and its scores computed anew."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import pytest

from audotics.v1 import recommender_service_pb2 as pb
from audotics.v1 import track_pb2


async def test_a_list_is_explained_exactly_even_by_the_next_server(
    start: Callable[..., AbstractAsyncContextManager[Any]], repository: Any
) -> None:
    request = pb.RecommendRequest(
        subject=pb.Subject(user_id="u01"), limit=10, context=pb.RequestContext(mood=track_pb2.MOOD_CHILL)
    )
    async with start(repository.path) as server:
        made = await server.recommender.Recommend(request)
    async with start(repository.path) as server:
        explained = await server.recommender.ExplainRecommendation(
            pb.ExplainRecommendationRequest(recommendation_id=made.recommendation_id)
        )
    assert (explained.recommendation_id, explained.index_version) == (made.recommendation_id, made.index_version)
    assert explained.model_versions == made.model_versions
    assert len(explained.listener_digest) == 64
    assert explained.created_at.seconds > 1_700_000_000
    assert (explained.not_replayed_reason, explained.exact) == ("", True)
    assert explained.max_abs_difference <= 1e-6
    listed = explained.candidates[:10]
    assert [(each.track_id, each.rank) for each in listed] == [
        (track.track_id, rank) for rank, track in enumerate(made.tracks, 1)
    ]
    assert [each.recorded_score for each in listed] == [track.score for track in made.tracks]
    assert {each.rank for each in explained.candidates[10:]} == {0}
    for each in explained.candidates:
        assert each.replayed.score == pytest.approx(each.recorded_score, abs=1e-6)
        assert each.replayed.contributions


@pytest.mark.parametrize(
    ("recommendation_id", "code", "message"),
    [
        ("", grpc.StatusCode.INVALID_ARGUMENT, "recommendation_id: has 0 characters; send 1 to 256"),
        ("none", grpc.StatusCode.NOT_FOUND, "receipt not found: 'none'; it has expired, or no such list was made"),
    ],
)
async def test_a_list_that_is_not_known(
    server: Any, recommendation_id: str, code: grpc.StatusCode, message: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.recommender.ExplainRecommendation(
            pb.ExplainRecommendationRequest(recommendation_id=recommendation_id)
        )
    assert (caught.value.code(), caught.value.details()) == (code, message)
