"""Shortlists that were made before: a question goes in, and its shortlist comes out, as long as nothing has changed.

What is remembered stands under the question: versions of the models and the catalogue, context, filter, length. So
nothing that another model or catalogue made is ever found. It says of which listener, as they were known then, it was
made: after an event or another preference it no longer answers, and is what is left when time is short.

Lists of this process are remembered as they are. A cache that servers share is asked for what is not here, and told of
what was made here; there, names are digests of content, which are the same on all servers.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from audotics.server.pipeline.lru import LruCache
from audotics.server.pipeline.shortlist import Shortlist
from audotics.server.pipeline.shortlist_bytes import shortlist_from_bytes, shortlist_to_bytes
from audotics.server.repository.snapshot import Snapshot
from audotics.server.storage.cache.cache import Cache
from audotics.server.storage.cache.local import LocalCache
from audotics.server.types import Context, Listener, PipelineSettings, RecommendQuery, TrackFilter

DEFAULT_BYTES: Final = 64 * 2**20
DAY_S: Final = 24 * 3600.0
_SHORT_LIMIT: Final = 50
"""Lists up to this long are made from the same candidates."""

_DIGEST_BYTES: Final = 16
_OVERHEAD_BYTES: Final = 1024
_NAMED_SNAPSHOTS: Final = 64
_LATE_S: Final = 60.0
"""How long after a deletion a list of that listener may still be under way."""


@dataclass(frozen=True, slots=True)
class _Question:
    model_versions: tuple[tuple[str, int], ...]
    index_version: str
    limit: int
    context: Context
    filter: TrackFilter
    pipeline: PipelineSettings | None = None
    arms: str = ""
    """Arms of experiments remember apart, even those that set nothing: else the lists of the control alone would be
    known from before, and it would look faster than the others."""
    listener: bytes = b""
    """The digest of a listener without a name: equal ones share what is remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where the shortlist of a query stands. `owner` is the user's id, "" for listeners without anything their own."""

    snapshot: Snapshot
    listener: Listener
    owner: str
    question: _Question
    exact: bool
    """Whether what stands there is an answer to the query; else it is a start, with tracks that are excluded now."""

    @classmethod
    def of(cls, snapshot: Snapshot, listener: Listener, query: RecommendQuery) -> Self:
        personal = query.subject.kind == "user" and (len(listener.history) > 0 or len(listener.seen) > 0)
        question = _Question(
            snapshot.model_versions,
            snapshot.index_version,
            max(query.limit, _SHORT_LIMIT),
            query.context,
            query.filter,
            query.pipeline,
            query.arm_key,
            b"" if personal else digest_of(listener),
        )
        return cls(snapshot, listener, query.subject.user_id if personal else "", question, not query.excluded)


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """A shortlist, the listener it was made for, and when, in UTC seconds."""

    listener: Listener | None
    listener_digest: bytes
    made_at: float
    shortlist: Shortlist

    def answers(self, place: Place) -> bool:
        if self.listener is place.listener:
            return place.exact
        return place.exact and self.listener_digest == digest_of(place.listener)


class ListMemory:
    """Remembers shortlists here and, where there is one, in a cache that servers share. For the event loop alone."""

    def __init__(
        self,
        *,
        budget_bytes: int = DEFAULT_BYTES,
        ttl_s: float = DAY_S,
        shared: Cache[str, bytes] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._here: LocalCache[_Question, Remembered] = LocalCache(
            budget_bytes=budget_bytes, ttl_s=ttl_s, size_of=lambda kept: kept.shortlist.size_bytes + _OVERHEAD_BYTES
        )
        self._shared = shared
        self._now = now
        self._forgotten: dict[str, float] = {}
        self._names: LruCache[tuple[object, ...], str] = LruCache(_NAMED_SNAPSHOTS)

    @property
    def shares(self) -> bool:
        """Whether there is a cache to `ask`."""
        return self._shared is not None

    @property
    def here(self) -> LocalCache[_Question, Remembered]:
        """What is remembered in this process."""
        return self._here

    def age_s(self, remembered: Remembered) -> float:
        """How long ago it was made."""
        return max(0.0, self._now() - remembered.made_at)

    def recall(self, place: Place) -> Remembered | None:
        """What is remembered in this process, whether it still answers or not."""
        return self._here.find_now(place.owner, place.question)

    async def ask(self, place: Place) -> Remembered | None:
        """What other servers made, whether it still answers or not; None while the cache they share is away."""
        if self._shared is None:
            return None
        content = await self._shared.find(_group(place), self._field(place))
        if content is None or len(content) < _DIGEST_BYTES + 8:
            return None
        made_at = float(np.frombuffer(content, "<f8", 1, _DIGEST_BYTES)[0])
        shortlist = shortlist_from_bytes(content[_DIGEST_BYTES + 8 :], n_tracks=len(place.snapshot.catalog))
        if shortlist is None:
            return None
        digest = content[:_DIGEST_BYTES]
        same = digest == digest_of(place.listener)
        found = Remembered(place.listener if same else None, digest, made_at, shortlist)
        if same:
            self._here.put(place.owner, place.question, found, cost_s=0.0)
        return found

    def keep(self, place: Place, shortlist: Shortlist, *, cost_s: float) -> None:
        """Remember what took `cost_s` seconds to make; nothing of a listener who was deleted meanwhile."""
        now = self._now()
        if now - self._forgotten.get(place.owner, -_LATE_S) < _LATE_S:
            return
        kept = Remembered(place.listener, digest_of(place.listener), now, shortlist)
        self._here.put(place.owner, place.question, kept, cost_s=cost_s)
        if self._shared is not None:
            head = kept.listener_digest + np.float64(now).astype("<f8").tobytes()
            self._shared.put(_group(place), self._field(place), head + shortlist_to_bytes(shortlist), cost_s=cost_s)

    def let_go(self, user_ids: Iterable[str]) -> None:
        """Drop what is remembered here of listeners whom another server knows better."""
        for user_id in user_ids:
            self._here.drop_now(user_id)

    async def forget(self, user_id: str) -> int:
        """Drop everything made for a listener, here and in the shared cache, and say how many shortlists it was.

        Raises CacheError when some may be left in the shared cache.
        """
        now = self._now()
        self._forgotten = {name: time_s for name, time_s in self._forgotten.items() if now - time_s < _LATE_S}
        self._forgotten[user_id] = now
        dropped = self._here.drop_now(user_id)
        if self._shared is None:
            return dropped
        return max(dropped, await self._shared.drop(_user_group(user_id)))  # what is here stands there, too

    def _field(self, place: Place) -> str:
        """The name of a question on all servers: versions stand in it by the content of their bundles."""
        snapshot, question = place.snapshot, place.question
        served = self._names.get(
            (question.model_versions, question.index_version),
            lambda: f"{snapshot.catalog.content_digest()} {' '.join(snapshot.bundle_digests)}",
        )
        asked = (question.limit, question.context, question.filter, question.pipeline, question.arms)
        text = repr((served, question.model_versions, *asked))
        return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def digest_of(listener: Listener) -> bytes:
    """What is known of a listener: equal digests get equal lists from equal models on the same rows."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for rows in (listener.history, listener.seen):
        digest.update(len(rows).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(rows, "<i8").tobytes())
    return digest.digest()


def _group(place: Place) -> str:
    return _user_group(place.owner) if place.owner else f"anybody:{place.question.listener.hex()}"


def _user_group(user_id: str) -> str:
    return f"user:{hashlib.sha256(user_id.encode()).hexdigest()}"
