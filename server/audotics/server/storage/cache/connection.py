"""Connections to Redis: a URL goes in, a client that connects when it is used comes out, and how it says it cannot."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from audotics.server.storage.cache.cache import CacheError

_EXPECTED: Final = "expected redis://[:password@]host[:port][/database], rediss:// for TLS, or unix:///path/to/socket"


def connect(url: str, *, timeout_s: float) -> tuple[Any, tuple[type[Exception], ...]]:
    """A client, and the errors by which it says that Redis is away. Raises CacheError for a malformed URL."""
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
    except ImportError as error:
        raise CacheError("a cache in Redis needs the extra `redis`: pip install 'audotics[redis]'") from error
    try:
        client = Redis.from_url(url, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0))
    except ValueError as error:
        raise CacheError(f"{without_password(url)!r} is not the URL of a cache; {_EXPECTED}") from error
    return client, (RedisError, OSError, TimeoutError)


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)
