"""`WatchRecommendations`: a query goes in, its list comes out, and again each time that something has changed it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace

from audotics.server.errors import IdleSessionError
from audotics.server.pipeline.group_query import GroupQuery, GroupRecommendation, GroupTrack
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
        shown: tuple[str, ...] | None = None
        with self._changes.subscribe() as subscription:
            while True:
                # Before the list is made: what changes meanwhile makes another one.
                subscription.watch(listener_topic(user_id) for user_id in user_ids)
                answer = await self._recommend.recommend(replace(query, shown=shown))
                if (tracks := _ids(answer.tracks)) != shown:
                    shown = tracks
                    yield answer
                await subscription.changed()

    async def watch_group(self, query: GroupQuery) -> AsyncGenerator[GroupRecommendation, None]:
        """As `watch`, for a group; who joins or leaves its session is followed, too, and its end is the end.

        While nobody is left in the session, nothing comes.
        """
        session = [session_name(query.session_id)] if query.session_id else []
        shown: tuple[str, ...] | None = None
        with self._changes.subscribe() as subscription:
            while True:
                user_ids = await self._recommend_group.members(query)
                subscription.watch([*session, *(listener_topic(user_id) for user_id in user_ids)])
                try:
                    made = await self._recommend_group.listen(replace(query, shown=shown))
                except IdleSessionError:
                    if shown is None:
                        raise
                    await subscription.changed()
                    continue
                if set(made.user_ids) != set(user_ids):
                    continue  # once more, so that nothing which the newcomers did meanwhile is missed
                if (tracks := _ids(made.answer.tracks)) != shown:
                    shown = tracks
                    yield made.answer
                if made.ended:
                    return
                await subscription.changed()


def _ids(tracks: Iterable[RankedTrack | GroupTrack]) -> tuple[str, ...]:
    return tuple(track.track_id for track in tracks)
