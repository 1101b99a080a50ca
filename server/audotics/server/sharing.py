"""What servers share beside a database: settings go in; a cache of lists in Redis and the feed of news come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from audotics.server.pipeline.list_memory import ListMemory
from audotics.server.services.changes import Changes
from audotics.server.services.listeners import Listeners
from audotics.server.settings import Settings
from audotics.server.storage.cache.feed import NewsFeed
from audotics.server.storage.cache.redis import RedisCache

LISTENERS: Final = "listeners"
SESSIONS: Final = "sessions"
"""What servers that share a Redis tell each other of."""


def shared_cache(settings: Settings) -> RedisCache:
    """Raises CacheError for a malformed URL."""
    return RedisCache(settings.cache_url or "", ttl_s=settings.cache_ttl_s, timeout_s=settings.cache_timeout_ms / 1000)


def news_feed(settings: Settings, listeners: Listeners, memory: ListMemory, changes: Changes) -> NewsFeed:
    """What others tell is read anew, and lists that are watched are made again. Raises CacheError as above."""

    def hear(user_ids: Sequence[str]) -> None:
        listeners.hear(user_ids)
        memory.let_go(user_ids)

    def hear_of_all() -> None:
        listeners.hear_of_all()
        changes.publish_all()

    return NewsFeed(settings.cache_url or "", hearers={LISTENERS: hear, SESSIONS: changes.publish}, on_gap=hear_of_all)
