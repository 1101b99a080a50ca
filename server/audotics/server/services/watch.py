"""`WatchRecommendations`: a query goes in, its list comes out, and again each time that something has changed it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

from audotics.server.pipeline.group_query import GroupQuery, GroupRecommendation
from audotics.server.services.changes import Changes, listener_topic
from audotics.server.services.recommend import RecommendService
from audotics.server.services.recommend_group import RecommendGroupService
from audotics.server.services.sessions import session_name
from audotics.server.types import RankedTrack, Recommendation, RecommendQuery


class WatchService:
    """Makes a list anew when its listeners or its session have changed, and passes it on when its tracks differ."""

    def __init__(
        self, *, changes: Changes, recommend: RecommendService, recommend_group: RecommendGroupService
    ) -> None:
        self._changes = changes
        self._recommend = recommend
        self._recommend_group = recommend_group

    async def watch(self, query: RecommendQuery) -> AsyncGenerator[Recommendation, None]:
        """Never ends by itself. Raises as `RecommendService` does, OverloadedError when too many watch, and
        NotReadyError when the server stops."""
        user_ids = [query.subject.user_id] if query.subject.user_id else []
        shown: list[str] | None = None
        with self._changes.subscribe() as subscription:
            while True:
                # Before the list is made: what changes meanwhile makes another one.
                subscription.watch(listener_topic(user_id) for user_id in user_ids)
                answer = await self._recommend.recommend(query)
                if (tracks := _ids(answer.tracks)) != shown:
                    shown = tracks
                    yield answer
                await subscription.changed()

    async def watch_group(self, query: GroupQuery) -> AsyncGenerator[GroupRecommendation, None]:
        """As `watch`, for a group; who joins or leaves its session is followed, too."""
        session = [session_name(query.session_id)] if query.session_id else []
        user_ids = tuple(member.user_id for member in query.members)
        shown: list[str] | None = None
        with self._changes.subscribe() as subscription:
            while True:
                subscription.watch([*session, *(listener_topic(user_id) for user_id in user_ids)])
                answer, members = await self._recommend_group.recommend_members(query)
                if set(members) != set(user_ids):
                    user_ids = members
                    continue  # once more, so that nothing which the newcomers did meanwhile is missed
                if (tracks := [track.track_id for track in answer.tracks]) != shown:
                    shown = tracks
                    yield answer
                await subscription.changed()


def _ids(tracks: Iterable[RankedTrack]) -> list[str]:
    return [track.track_id for track in tracks]
