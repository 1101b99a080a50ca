"""`AnalyzeTaste`: a listener goes in; genres, moods, sound, hours, trends and what stands out come out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.genres import GENRES
from audotics.features.history import is_positive
from audotics.features.moods import MOODS
from audotics.features.profile import TasteProfile, diversity, genre_shares, mood_shares
from audotics.server.pipeline.profiles import StrangersCache, profile_of
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.registry import Registry
from audotics.server.services.factors import Kind
from audotics.server.services.insights import Seen, insights
from audotics.server.services.listeners import Listeners
from audotics.server.storage.users import UserStore
from audotics.server.types import Degradation, Event, Subject

_TOP_ARTISTS: Final = 10
_FEWEST_FOR_TRENDS: Final = 30
_RECENT_PART: Final = 3
_SURE: Final = 3.0
"""Standard errors by which two shares have to differ: chance alone gets there in three of a thousand comparisons."""
_LEAST_CHANGE: Final = 0.1

Shares = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class AudioTrait:
    """A feature of a listener's tracks beside the catalogue's; `deviation` is in its standard deviations."""

    feature: str
    mean: float
    standard_deviation: float
    catalog_mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Pattern:
    """Counts of events by hour, from midnight, and by weekday, from Monday; local where that is known."""

    event_count: int
    local_event_count: int
    hours: tuple[int, ...]
    weekdays: tuple[int, ...]

    @classmethod
    def of(cls, events: Sequence[Event]) -> Pattern:
        """Of the events that say a listener heard something and did not mind."""
        heard = [event for event in events if is_positive(event.type, event.rating)]
        hours, weekdays = np.zeros(24, int), np.zeros(7, int)
        for event in heard:
            moment = time.gmtime(event.occurred_at + 60 * (event.utc_offset_minutes or 0))
            hours[moment.tm_hour] += 1
            weekdays[moment.tm_wday] += 1
        local = sum(event.utc_offset_minutes is not None for event in heard)
        return cls(len(heard), local, tuple(hours.tolist()), tuple(weekdays.tolist()))


@dataclass(frozen=True, slots=True)
class Trend:
    """A share that has changed."""

    kind: Kind
    name: str
    earlier_share: float
    recent_share: float


@dataclass(frozen=True, slots=True)
class TasteAnalysis:
    """The answer to `AnalyzeTaste`; a diversity is None where nothing of the kind is known."""

    user_id: str
    track_count: int
    genres: Shares
    moods: Shares
    artists: Shares
    genre_diversity: float | None
    mood_diversity: float | None
    audio: tuple[AudioTrait, ...]
    pattern: Pattern
    trends: tuple[Trend, ...]
    insights: tuple[str, ...]
    degraded: tuple[Degradation, ...]


class TasteService:
    """Reads a listener's history and events, and looks at them on one catalogue."""

    def __init__(
        self,
        *,
        registry: Registry,
        listeners: Listeners,
        users: UserStore,
        strangers: StrangersCache,
        reading: Executor,
        executor: Executor,
    ) -> None:
        self._registry = registry
        self._listeners = listeners
        self._users = users
        self._strangers = strangers
        self._reading = reading
        self._executor = executor

    async def analyze(self, user_id: str) -> TasteAnalysis:
        """Of a stranger there is nothing to say, and `degraded` says so. Raises NotReadyError, StorageError."""
        catalog = self._registry.snapshot.catalog
        listener, degraded = await self._listeners.resolve(Subject("user", user_id=user_id), catalog)
        loop = asyncio.get_running_loop()
        stored = await loop.run_in_executor(self._reading, self._users.read, user_id)
        return await loop.run_in_executor(
            self._executor, self._analyze, catalog, user_id, listener.history, stored.events, degraded
        )

    def _analyze(
        self,
        catalog: Catalog,
        user_id: str,
        history: NDArray[np.int64],
        events: Sequence[Event],
        degraded: tuple[Degradation, ...],
    ) -> TasteAnalysis:
        profile = profile_of(catalog, history)
        audio, pattern, trends = _audio(catalog, history, profile), Pattern.of(events), _trends(catalog, history)
        artists = tuple(
            (catalog.artist_name(code), share)
            for code, share in zip(
                profile.artists[:_TOP_ARTISTS].tolist(), profile.artist_shares[:_TOP_ARTISTS].tolist(), strict=True
            )
        )
        genres, moods = _ranked(GENRES, profile.genres), _ranked(MOODS, profile.moods)
        varieties = diversity(profile.genres), diversity(profile.moods)
        seen = Seen(
            n_tracks=len(history),
            genres=genres,
            catalog_genres=dict(zip(GENRES, genre_shares(catalog.genres[~catalog.deleted]).tolist(), strict=True)),
            moods=moods,
            catalog_moods=dict(zip(MOODS, mood_shares(catalog.moods[~catalog.deleted]).tolist(), strict=True)),
            artists=artists,
            genre_diversity=varieties[0],
            strangers=self._strangers.of(catalog).genre_diversity,
            audio=[(trait.feature, trait.mean, trait.catalog_mean, trait.deviation) for trait in audio],
            hours=pattern.hours,
            weekdays=pattern.weekdays,
            is_local=pattern.local_event_count == pattern.event_count,
            trends=[(trend.name, trend.earlier_share, trend.recent_share) for trend in trends],
        )
        return TasteAnalysis(
            user_id=user_id,
            track_count=len(history),
            genres=genres,
            moods=moods,
            artists=artists,
            genre_diversity=varieties[0],
            mood_diversity=varieties[1],
            audio=audio,
            pattern=pattern,
            trends=trends,
            insights=insights(seen),
            degraded=degraded,
        )


def _audio(catalog: Catalog, history: NDArray[np.int64], profile: TasteProfile) -> tuple[AudioTrait, ...]:
    audio = catalog.columns.audio[history].astype(np.float64)
    traits = []
    for place, feature in enumerate(AUDIO_FEATURES):
        known = audio[~np.isnan(audio[:, place]), place]
        if len(known):
            mean = float(catalog.mean_audio[place])
            traits.append(
                AudioTrait(feature, float(known.mean()), float(known.std()), mean, float(profile.sound[place]))
            )
    return tuple(traits)


def _trends(catalog: Catalog, history: NDArray[np.int64]) -> tuple[Trend, ...]:
    """Shares that differ between the latest third and what came before by a two-proportion z-test, pooled variance."""
    if len(history) < _FEWEST_FOR_TRENDS:
        return ()
    earlier, recent = np.split(history, [len(history) - len(history) // _RECENT_PART])
    trends: list[Trend] = []
    parts: tuple[tuple[Kind, tuple[str, ...], NDArray[np.float64], NDArray[np.float64]], ...] = (
        ("genre", GENRES, genre_shares(catalog.genres[earlier]), genre_shares(catalog.genres[recent])),
        ("mood", MOODS, mood_shares(catalog.moods[earlier]), mood_shares(catalog.moods[recent])),
    )
    for kind, names, before, after in parts:
        pooled = (before * len(earlier) + after * len(recent)) / len(history)
        error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / len(earlier) + 1.0 / len(recent)))
        change = after - before
        sure = (np.abs(change) >= _LEAST_CHANGE) & (np.abs(change) >= _SURE * error) & before.any() & after.any()
        trends += [
            Trend(kind, names[place], float(before[place]), float(after[place])) for place in np.flatnonzero(sure)
        ]
    return tuple(sorted(trends, key=lambda trend: -abs(trend.recent_share - trend.earlier_share)))


def _ranked(names: Sequence[str], shares: NDArray[np.float64]) -> Shares:
    order = np.argsort(-shares, kind="stable")
    return tuple((names[place], float(shares[place])) for place in order.tolist() if shares[place] > 0)
