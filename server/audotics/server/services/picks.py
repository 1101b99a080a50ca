"""What a listener said: preferences go in, and what they mean for the rows of a catalogue comes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from audotics.server.repository.catalog import Catalog
from audotics.server.types import Context, Listener, Preferences, RankQuery, RecommendQuery

QueryT = TypeVar("QueryT", RecommendQuery, RankQuery)

_SETTLED_TRACKS: Final = 20
"""From a history of so many tracks on, what somebody hears says more than what they once picked."""
_TRACKS_OF_ARTIST: Final = 3
_MOST_PICKED: Final = 30


def with_preferences(listener: Listener, preferences: Preferences, catalog: Catalog) -> Listener:
    """Take what is blocked out of the history and of every list, and let picks stand in for a history still short.

    The most played tracks of liked artists then come before the history; they may be recommended. Liked genres, and the
    first liked mood, become the context of requests that have none.
    """
    blocked = _blocked(preferences, catalog)
    history = listener.history[~np.isin(listener.history, blocked)]
    seen = np.union1d(listener.seen, blocked)
    if len(history) >= _SETTLED_TRACKS:
        return replace(listener, history=history, seen=seen)
    picked = _picked(preferences, catalog)
    picked = picked[~np.isin(picked, np.concatenate([history, seen]))]
    mood = preferences.liked_moods[0] if preferences.liked_moods else None
    context = Context(mood, preferences.liked_genres)
    return replace(listener, history=np.concatenate([picked, history]), seen=seen, context=context)


def in_context(query: QueryT, listener: Listener) -> QueryT:
    """The query, in the listener's own context when it asks for none."""
    if listener.context.asks and not query.context.asks:
        return replace(query, context=replace(listener.context, day_part=query.context.day_part))
    return query


def _blocked(preferences: Preferences, catalog: Catalog) -> NDArray[np.int64]:
    tracks = catalog.rows_of(preferences.blocked_tracks)
    tracks = tracks[tracks >= 0]
    if not preferences.blocked_artists:
        return tracks
    codes = catalog.artist_codes_of(preferences.blocked_artists)
    return np.union1d(tracks, np.flatnonzero(np.isin(catalog.artist_codes, codes)))


def _picked(preferences: Preferences, catalog: Catalog) -> NDArray[np.int64]:
    """The most played tracks of each liked artist, those of the artist named last at the end."""
    rows = []
    for code in catalog.artist_codes_of(preferences.liked_artists):
        of_artist = np.flatnonzero((catalog.artist_codes == code) & ~catalog.deleted)
        most_played = np.argsort(-catalog.columns.plays[of_artist], kind="stable")[:_TRACKS_OF_ARTIST]
        rows.append(of_artist[most_played])
    return np.concatenate(rows)[-_MOST_PICKED:] if rows else np.empty(0, np.int64)
