"""Lists that are watched: the call for one list goes in, and comes out as a stream of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

from audotics.client.calls import groups, recommender
from audotics.client.calls.call import Call
from audotics.client.codec.groups import decode_group
from audotics.client.codec.recommendations import decode_recommendation
from audotics.client.results.groups import GroupRecommendation
from audotics.client.results.recommendations import Recommendation
from audotics.v1 import recommender_service_pb2 as pb

_P = ParamSpec("_P")
ResultT = TypeVar("ResultT")
_PATH = "/audotics.v1.RecommenderService/WatchRecommendations"


@dataclass(frozen=True, slots=True)
class Watch(Generic[ResultT]):
    """A stream as a value: its path, its only request, how to read an answer, and when it ends; None sets no limit."""

    path: str
    request: bytes
    call: Call[ResultT]
    timeout_s: float | None

    def read(self, answer: bytes) -> ResultT:
        """Raises InternalError when `answer` is not what the method returns."""
        return self.call.read(answer)


def _watched(
    build: Callable[_P, Call[ResultT]],
    wrap: Callable[[bytes], pb.WatchRecommendationsRequest],
    decode: Callable[[pb.WatchRecommendationsResponse], ResultT],
    about: str,
) -> Callable[_P, Watch[ResultT]]:
    @functools.wraps(build)
    def watch(*args: _P.args, **kwargs: _P.kwargs) -> Watch[ResultT]:
        once = build(*args, **kwargs)
        call = Call(_PATH, b"", lambda data: decode(pb.WatchRecommendationsResponse.FromString(data)))
        return Watch(_PATH, wrap(once.request).SerializeToString(), call, once.timeout_s)

    watch.__doc__ = about
    return watch


watch_recommendations: Callable[..., Watch[Recommendation]] = _watched(
    recommender.recommend,
    lambda request: pb.WatchRecommendationsRequest(recommend=pb.RecommendRequest.FromString(request)),
    lambda answer: decode_recommendation(answer.recommendation),
    """A list at once, and a new one each time that feedback or preferences of the listener have changed it.

    The arguments are those of `recommend`, but `timeout_s` is when the stream ends; None sets no limit. A stream is not
    retried. It ends with `UnavailableError` when the server stops: watch again then.
    """,
)
watch_group: Callable[..., Watch[GroupRecommendation]] = _watched(
    groups.recommend_group,
    lambda request: pb.WatchRecommendationsRequest(recommend_group=pb.RecommendGroupRequest.FromString(request)),
    lambda answer: decode_group(answer.group_recommendation),
    """As `watch_recommendations` for a group: what its members or its session do changes the list.

    The arguments are those of `recommend_group`, but `timeout_s` is when the stream ends; None sets no limit.
    """,
)
