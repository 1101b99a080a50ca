"""A run's data and what a server has taken in since: a run and a database go in, a data set that has both comes out.

A track that a listener liked is an interaction, in the order in which they did; what they disliked later is none. What
the run holds of a listener stays, but for listeners who were deleted: an update cannot take them out of its run, and
says so, while a collection for a training anew leaves them out.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import make_url

from audotics.data.dataset import Dataset, Interactions, LoadReport
from audotics.features.history import is_positive
from audotics.features.tracks import TrackColumns
from audotics.server.repository.records import columns_of
from audotics.server.storage.database import Database
from audotics.server.storage.events import EventStore
from audotics.server.storage.tracks import TrackStore
from audotics.server.storage.users import UserStore
from audotics.server.types import Event, TrackRecord
from audotics.training.run import Run


@dataclass(frozen=True, slots=True)
class Collected:
    """The data set, how many events it was made from, and the listeners of the run who were deleted from the server."""

    dataset: Dataset
    events: int
    erased: tuple[str, ...]

    def new_interactions(self, run: Run) -> int:
        """How many interactions the run does not have."""
        return len(self.dataset.interactions) - int(run.counts["interactions"])


def collect(run: Run, database_url: str, *, keep_erased: bool) -> Collected:
    """Add to the data of `run` what the server of the database has taken in. Raises StorageError, RunError.

    With `keep_erased`, listeners who were deleted keep what the run holds of them, as an update needs it.
    """
    histories = run.histories()
    with closing(Database.open(database_url)) as database:
        tracks = _with_changes(run.tracks(), TrackStore(database).read().upserts)
        row_of = {track_id: row for row, track_id in enumerate(tracks.ids)}
        erased = UserStore(database).erased_among(histories.user_ids)
        user_ids = [str(user_id) for user_id in histories.user_ids]
        number_of = {user_id: number for number, user_id in enumerate(user_ids)}
        users = [np.repeat(np.arange(len(user_ids)), np.diff(histories.offsets))]
        heard = [histories.rows.astype(np.int64)]
        # The run knows an order and no times: any of the server's times is later than these.
        times = [np.arange(len(histories.rows)) - histories.offsets[:-1].repeat(np.diff(histories.offsets))]
        if erased and not keep_erased:
            kept = ~np.isin(histories.user_ids[users[0]].astype(str), sorted(erased))
            users, heard, times = [users[0][kept]], [heard[0][kept]], [times[0][kept]]
        count = 0
        for user_id, events in EventStore(database).by_listener():
            count += len(events)
            liked = _liked(events, row_of)
            if liked:
                number = number_of.setdefault(user_id, len(number_of))
                users.append(np.full(len(liked), number))
                heard.append(np.asarray([row for row, _ in liked], np.int64))
                times.append(np.asarray([time for _, time in liked], np.int64))
    user, track, time = (np.concatenate(parts) for parts in (users, heard, times))
    known = np.asarray([*number_of], object)
    if erased and not keep_erased:
        user, known = _without_empty(user, known)
    shown = make_url(database_url).render_as_string(hide_password=True)
    report = LoadReport(f"{run.name} and {shown}")
    report.read.update({"events": count, "listeners": len(known), "tracks": len(tracks)})
    dataset = Dataset(run.name, tracks, known, Interactions.build(user, track, timestamps=time), report)
    return Collected(dataset.with_interactions(dataset.interactions), count, tuple(sorted(erased)))


def _liked(events: list[Event], row_of: dict[str, int]) -> list[tuple[int, int]]:
    """Rows that the last judgement speaks well of, with its time in seconds, whatever order the events came in."""
    judged: dict[str, tuple[float, bool]] = {}
    for event in events:
        liked = is_positive(event.type, event.rating)
        if not liked and event.type not in ("dislike", "rating"):
            continue
        earlier = judged.get(event.track_id)
        if earlier is None or event.occurred_at >= earlier[0]:
            judged[event.track_id] = (event.occurred_at, liked)
    found = [(row_of[name], int(time)) for name, (time, liked) in judged.items() if liked and name in row_of]
    return sorted(found, key=lambda item: item[1])


def _with_changes(tracks: TrackColumns, records: tuple[TrackRecord, ...]) -> TrackColumns:
    """The tracks with those that the server was sent: known ones in their place, others at the end."""
    if not records:
        return tracks
    row_of = {track_id: row for row, track_id in enumerate(tracks.ids)}
    order = np.arange(len(tracks) + sum(record.track_id not in row_of for record in records))
    end = len(tracks)
    for place, record in enumerate(records):
        row = row_of.get(record.track_id)
        if row is None:
            row, end = end, end + 1
        order[row] = len(tracks) + place
    return tracks.concat(columns_of(records)).take(order)


def _without_empty(user: NDArray[Any], known: NDArray[np.object_]) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Numbers of listeners who have something left, without gaps."""
    left, numbers = np.unique(user, return_inverse=True)
    return numbers.astype(np.int64), known[left]
