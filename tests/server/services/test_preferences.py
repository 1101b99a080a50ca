"""Preferences: what a listener says holds for the next list."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.registry import Registry
from audotics.server.services.event_log import EventLog
from audotics.server.services.listeners import Listeners
from audotics.server.services.picks import in_context
from audotics.server.services.preferences import PreferenceService
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.users import UserStore
from audotics.server.types import Context, Event, Listener, Preferences, RankQuery, RecommendQuery, Subject

ALL = ("liked_genres", "liked_artists", "liked_moods", "blocked_tracks", "blocked_artists")


@pytest.fixture
def preferences(
    users: UserStore, log: EventLog, listeners: Listeners, executor: ThreadPoolExecutor, uninterrupted: Uninterrupted
) -> PreferenceService:
    return PreferenceService(users=users, log=log, listeners=listeners, executor=executor, uninterrupted=uninterrupted)


@pytest.fixture
def catalog(registry: Registry) -> Catalog:
    return registry.snapshot.catalog


def user(user_id: str) -> Subject:
    return Subject("user", user_id=user_id)


def ids(catalog: Catalog, listener: Listener) -> list[str]:
    return list(catalog.columns.ids[listener.history])


async def test_a_field_that_is_not_named_stays(preferences: PreferenceService) -> None:
    assert await preferences.get("u") == Preferences()
    await preferences.update("u", Preferences(liked_genres=("rock",), liked_moods=("chill",)), fields=ALL)
    changed = await preferences.update("u", Preferences(liked_genres=("jazz",)), fields=["liked_genres"])
    assert changed == await preferences.get("u") == Preferences(liked_genres=("jazz",), liked_moods=("chill",))


async def test_what_is_blocked_is_neither_listed_nor_liked(
    preferences: PreferenceService, listeners: Listeners, catalog: Catalog
) -> None:
    before, _ = await listeners.resolve(user("u00"), catalog)
    track = int(before.history[0])
    artist = str(catalog.columns.artists[before.history[-1]])
    blocked = Preferences(blocked_tracks=(str(catalog.columns.ids[track]), "unknown"), blocked_artists=(artist,))
    await preferences.update("u00", blocked, fields=ALL)
    after, _ = await listeners.resolve(user("u00"), catalog)
    of_artist = {row for row in range(len(catalog)) if catalog.columns.artists[row] == artist}
    assert {track, *of_artist} <= set(after.seen)
    assert list(after.history) == [row for row in before.history if row != track and row not in of_artist]


async def test_picks_stand_in_for_a_history_that_is_still_short(
    preferences: PreferenceService, listeners: Listeners, log: EventLog, catalog: Catalog
) -> None:
    picks = Preferences(
        liked_artists=("Artist 01", "nobody", "Artist 02"), liked_genres=("jazz",), liked_moods=("chill", "party")
    )
    await preferences.update("new", picks, fields=ALL)
    await log.append([Event("e1", "new", "t199", "play", 1.0)], received_at=1.0)
    listener, degraded = await listeners.resolve(user("new"), catalog)
    assert degraded == ()
    picked, plays = listener.history[:-1], catalog.columns.plays
    assert [catalog.columns.artists[row] for row in picked] == ["Artist 01"] * 3 + ["Artist 02"] * 3
    for artist in ("Artist 01", "Artist 02"):
        of_artist = sorted(plays[row] for row in range(len(catalog)) if catalog.columns.artists[row] == artist)
        assert sorted(plays[row] for row in picked if catalog.columns.artists[row] == artist) == of_artist[-3:]
    assert ids(catalog, listener)[-1] == "t199"
    assert not set(picked) & set(listener.seen)
    assert listener.context == Context("chill", ("jazz",))

    more = [Event(f"x{number}", "new", f"t{number:03d}", "play", 2.0) for number in range(60, 80)]
    await log.append(more, received_at=2.0)
    settled, _ = await listeners.resolve(user("new"), catalog)
    assert ids(catalog, settled) == ["t199", *(event.track_id for event in more)]
    assert settled.context == Context()


async def test_picks_lead_to_their_taste(
    preferences: PreferenceService, listeners: Listeners, registry: Registry, executor: ThreadPoolExecutor
) -> None:
    """Artist 01 and Artist 05 play jazz, the second of the four tastes."""
    await preferences.update("new", Preferences(liked_artists=("Artist 01", "Artist 05")), fields=ALL)
    snapshot = registry.snapshot
    listener, _ = await listeners.resolve(user("new"), snapshot.catalog)
    async with Recommender(executor=executor) as recommender:
        answer = await recommender.recommend(snapshot, listener, RecommendQuery(user("new"), limit=10, diversity=0.0))
    of_taste = sum(int(track.track_id[1:]) % 4 == 1 for track in answer.tracks)
    assert of_taste >= 8


def test_a_context_of_the_request_goes_before_that_of_the_listener() -> None:
    nothing = np.empty(0, np.int64)
    listener = Listener(nothing, nothing, context=Context("chill", ("jazz",)))
    bare = RecommendQuery(user("u"), limit=1)
    assert in_context(bare, listener).context == Context("chill", ("jazz",))
    asked = RankQuery(user("u"), ("t001",), context=Context("party"))
    assert in_context(asked, listener) is asked
