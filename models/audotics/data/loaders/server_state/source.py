"""A data set of a server's own database: its events and tracks go in, catalogue and histories come out.

Every listener's history is what the server serves from: tracks that the latest judgement speaks well of, oldest first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audotics.data.dataset import DataError, Dataset, Interactions, LoadReport
from audotics.data.loaders.assemble import nothing_left, with_counts
from audotics.data.loaders.server_state.connection import SQLITE, reading, shown
from audotics.data.loaders.server_state.state import NOW, ServerState
from audotics.features.tracks import TrackColumns

_MARK = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE name IN ('events', 'erasures')",
    "postgresql": "SELECT count(*) FROM pg_catalog.pg_class c WHERE c.oid IN (to_regclass('events'), "
    "to_regclass('erasures')) AND to_regclass('interactions') IS NULL",
}


def is_server_state(url: str) -> bool:
    """Whether the database is one that a server keeps, and holds no table of interactions besides. Raises DataError."""
    with reading(url) as query:
        ((count,),) = query(_MARK["sqlite" if url.startswith(SQLITE) else "postgresql"])
        return bool(count == 2)


def load_server_state(url: str, *, as_of: float = NOW, watch: Callable[[int], object] | None = None) -> Dataset:
    """Read what the server knew at `as_of`, UTC seconds. `watch` is told now and then how many pairs were read.

    Raises DataError, also for a database without a track that anybody liked.
    """
    report = LoadReport(shown(url))
    user_ids: list[str] = []
    users: list[int] = []
    heard: list[str] = []
    times: list[float] = []
    with ServerState.open(url) as state:
        known = state.tracks(as_of=as_of)
        for user_id, listener in state.listeners(as_of=as_of):
            liked = [(track_id, at) for track_id, at in zip(listener.liked, listener.liked_at, strict=True)]
            liked = [pair for pair in liked if pair[0] not in known.deleted]
            report.read["listeners"] += 1
            if not liked:
                report.dropped["listeners who liked nothing"] += 1
                continue
            users += [len(user_ids)] * len(liked)
            heard += [track_id for track_id, _ in liked]
            times += [at for _, at in liked]
            user_ids.append(user_id)
            if watch is not None:
                watch(len(heard))
    report.read["tracks liked"] = len(heard)
    if not heard:
        raise DataError(f"{report.source}: {nothing_left(report)}; serve until listeners have sent events")
    described = set(known.tracks.ids)
    catalogue = known.tracks.concat(TrackColumns.build(sorted(set(heard) - described)))
    row_of = {track_id: row for row, track_id in enumerate(catalogue.ids)}
    pairs = Interactions.build(
        np.asarray(users, np.int32),
        np.asarray([row_of[track_id] for track_id in heard], np.int32),
        timestamps=np.asarray(times).astype(np.int64),
    )
    ids = np.empty(len(user_ids), object)
    ids[:] = user_ids
    return with_counts(Dataset("server-state", catalogue, ids, pairs, report))
