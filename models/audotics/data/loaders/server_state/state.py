"""What a server knew at a time: its database and a time go in, listeners and tracks as they were then come out.

A time counts by arrival: an event that had happened but had not arrived was not known. What was deleted since, by
DeleteUser or by retention, is not there for any time.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from audotics.data.loaders.server_state.connection import Query, reading
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.listener_state import ListenerState
from audotics.features.tracks import UNKNOWN_FLAG, UNKNOWN_YEAR, TagSets, TrackColumns

_FIELDS: Final = "track_id, deleted, title, artist, album, tags, release_year, explicit, duration_ms, popularity, audio"
_TRACKS: Final = (
    f"SELECT {_FIELDS} FROM tracks WHERE updated_at <= ? "
    f"UNION ALL SELECT {_FIELDS} FROM track_history WHERE updated_at <= ? AND replaced_at > ? ORDER BY 1"
)
_EVENTS: Final = "SELECT user_id, track_id, type, occurred_at, rating FROM events WHERE received_at <= ?"
NOW: Final = math.inf


@dataclass(frozen=True, slots=True)
class _Event:
    track_id: str
    type: str
    occurred_at: float
    rating: float | None


@dataclass(frozen=True, slots=True, eq=False)
class KnownTracks:
    """Tracks written since the catalogue was exported, by id, as they stood; and those that were taken out of it."""

    tracks: TrackColumns
    deleted: frozenset[str]

    def over(self, catalogue: TrackColumns) -> TrackColumns:
        """The rows of a catalogue bundle with what was written since, tracks that are new at the end.

        Tracks that were taken out keep their rows. What was played stays counted as in the bundle.
        """
        row_of = {track_id: row for row, track_id in enumerate(catalogue.ids)}
        order = np.arange(len(catalogue))
        new = []
        plays = np.zeros(len(self.tracks), np.float32)
        for place, track_id in enumerate(self.tracks.ids):
            row = row_of.get(track_id)
            if row is None:
                new.append(len(catalogue) + place)
            else:
                order[row] = len(catalogue) + place
                plays[place] = catalogue.plays[row]
        return catalogue.concat(self.tracks.with_plays(plays)).take(np.concatenate([order, np.asarray(new, np.int64)]))


class ServerState:
    """Reads one state of the database. Times are UTC seconds; NOW is everything that is there."""

    def __init__(self, query: Query) -> None:
        self._query = query

    @classmethod
    @contextmanager
    def open(cls, url: str) -> Iterator[ServerState]:
        """Of `sqlite:///path` or `postgresql://…`. Raises DataError."""
        with reading(url) as query:
            yield cls(query)

    def listener(self, user_id: str, *, as_of: float = NOW) -> ListenerState:
        """What the events of a listener said at that time."""
        state = ListenerState()
        for _, *event in self._query(f"{_EVENTS} AND user_id = ? ORDER BY sequence", _until(as_of), user_id):
            state.apply(_Event(*event))
        return state

    def listeners(self, *, as_of: float = NOW) -> Iterator[tuple[str, ListenerState]]:
        """Every listener with an event by then, by id."""
        current, state = None, ListenerState()
        for user_id, *event in self._query(f"{_EVENTS} ORDER BY user_id, sequence", _until(as_of)):
            if user_id != current:
                if current is not None:
                    yield current, state
                current, state = user_id, ListenerState()
            state.apply(_Event(*event))
        if current is not None:
            yield current, state

    def forgotten(self, user_id: str) -> bool:
        """Whether the listener was deleted once, so that what a catalogue holds of them must not count."""
        digest = hashlib.sha256(user_id.encode()).hexdigest()
        return any(True for _ in self._query("SELECT 1 FROM erasures WHERE user_hash = ?", digest))

    def tracks(self, *, as_of: float = NOW) -> KnownTracks:
        """What was written into the catalogue by then. What was never written stands in its bundle as it was."""
        time = _until(as_of)
        rows = list(self._query(_TRACKS, time, time, time))
        live = [row for row in rows if not row[1]]
        return KnownTracks(_columns(live), frozenset(row[0] for row in rows if row[1]))


def _until(as_of: float) -> float:
    """A number that both databases know: the largest stands for ever."""
    return min(as_of, 1e300)


def _columns(rows: list[tuple[Any, ...]]) -> TrackColumns:
    def number(row: tuple[Any, ...], place: int, unknown: float) -> float:
        return unknown if row[place] is None else float(row[place])

    audio = [[math.nan if value is None else value for value in _json(row[10])] for row in rows]
    unknown_audio = [math.nan] * len(AUDIO_FEATURES)
    return TrackColumns.build(
        [row[0] for row in rows],
        titles=[row[2] for row in rows],
        artists=[row[3] for row in rows],
        albums=[row[4] for row in rows],
        tags=TagSets.from_lists([_json(row[5]) for row in rows]),
        audio=np.asarray([each or unknown_audio for each in audio], np.float32).reshape(-1, len(AUDIO_FEATURES)),
        release_years=np.asarray([number(row, 6, UNKNOWN_YEAR) for row in rows]),
        explicit=np.asarray([number(row, 7, UNKNOWN_FLAG) for row in rows]),
        durations_ms=np.asarray([number(row, 8, 0) for row in rows]),
        popularity=np.asarray([number(row, 9, math.nan) for row in rows]),
    )


def _json(value: Any) -> list[Any]:
    """SQLite gives text, PostgreSQL a list."""
    parsed: list[Any] = json.loads(value) if isinstance(value, str) else value
    return parsed
