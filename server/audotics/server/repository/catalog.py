"""The catalogue in service: a bundle's columns and callers' changes go in, immutable columns and look-ups come out.

A track keeps its row for as long as the catalogue lives: an update replaces the row's columns, a new track is appended,
and a deleted one stays in its row, marked as deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.catalog import Histories
from audotics.features.audio import AudioScaler
from audotics.features.genres import genre_fits, genre_matrix
from audotics.features.growing import with_room, with_rows
from audotics.features.moods import mood_scores
from audotics.features.tracks import TrackColumns
from audotics.server.repository.records import columns_of, record_of
from audotics.server.repository.signals import Signals
from audotics.server.types import TrackRecord

_K = TypeVar("_K")
_V = TypeVar("_V")

UNKNOWN_ARTIST: Final = -1

_MOST_NEW: Final = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """n tracks as columns, and what is derived from them. Make one with `build`."""

    version: int
    generation: int
    """Differs between any two catalogues of a process, so that it can stand for one in a cache key."""
    fingerprint: str
    """`TrackColumns.fingerprint()` of the tracks in the bundle."""
    base_size: int
    """Number of tracks in the bundle; theirs are the first rows."""
    columns: TrackColumns
    deleted: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    """Rows whose columns are not those of the bundle: updated or appended since."""
    moods: NDArray[np.float32]
    """(n, 8), by `mood_scores` with the statistics of the bundle's tracks."""
    genres: NDArray[np.bool_]
    """(n, 10), by `genre_matrix`."""
    genre_fits: NDArray[np.float32]
    """(n, 10), by the function of that name with the statistics of the bundle's tracks."""
    artist_codes: NDArray[np.int32]
    """(n,): tracks of one artist share a number; UNKNOWN_ARTIST where there is no name."""
    signals: Signals
    bundle_digest: str
    """`Manifest.digest` of the bundle."""
    _scaler: AudioScaler
    _histories: Histories
    _user_numbers: Mapping[str, int]
    _row_of: Mapping[str, int]
    _row_of_new: Mapping[str, int]
    """Of tracks that came lately: to copy what is known of a million takes 25 ms."""
    _artist_numbers: Mapping[str, int]
    _artist_names: Mapping[int, str]

    @classmethod
    def build(
        cls, tracks: TrackColumns, histories: Histories, *, version: int, generation: int, bundle_digest: str = ""
    ) -> Catalog:
        """Derive everything from the columns of a bundle."""
        scaler, genres = AudioScaler.fit(tracks.audio), genre_matrix(tracks.tags)
        artist_codes, artist_numbers = _artist_codes(tracks.artists, {})
        columns, artist_codes = tracks.with_room(), with_room(artist_codes)
        return cls(
            version=version,
            generation=generation,
            fingerprint=tracks.fingerprint(),
            base_size=len(tracks),
            columns=columns,
            deleted=np.zeros(len(tracks), np.bool_),
            changed=with_room(np.zeros(len(tracks), np.bool_)),
            moods=with_room(mood_scores(tracks.audio, scaler)),
            genres=with_room(genres),
            genre_fits=with_room(genre_fits(genres, tracks.audio, scaler)),
            artist_codes=artist_codes,
            signals=Signals.measure(columns, artist_codes),
            bundle_digest=bundle_digest,
            _scaler=scaler,
            _histories=histories,
            _user_numbers={user_id: number for number, user_id in enumerate(histories.user_ids)},
            _row_of={track_id: row for row, track_id in enumerate(tracks.ids)},
            _row_of_new={},
            _artist_numbers=artist_numbers,
            _artist_names={number: name for name, number in artist_numbers.items()},
        )

    def __len__(self) -> int:
        """Rows, those of deleted tracks included."""
        return len(self.columns)

    @property
    def live_count(self) -> int:
        """Tracks that are not deleted."""
        return len(self) - int(np.count_nonzero(self.deleted))

    def row_of(self, track_id: str) -> int:
        """The track's row, -1 when there is none or it is deleted."""
        row = self._row_of.get(track_id, -1)
        row = self._row_of_new.get(track_id, -1) if row < 0 else row
        return -1 if row >= 0 and self.deleted[row] else row

    def rows_of(self, track_ids: Sequence[str]) -> NDArray[np.int64]:
        """Rows of the tracks, int64 (n,); -1 for a track that is unknown or deleted."""
        rows = self.all_rows_of(track_ids)
        rows[self.deleted[rows] & (rows >= 0)] = -1
        return rows

    def all_rows_of(self, track_ids: Sequence[str] | NDArray[np.object_]) -> NDArray[np.int64]:
        """As `rows_of`, but a deleted track still has its row: a model may know it."""
        lookup = self._row_of.get
        rows = np.fromiter((lookup(track_id, -1) for track_id in track_ids), np.int64, len(track_ids))
        if self._row_of_new:
            for place in np.flatnonzero(rows < 0).tolist():
                rows[place] = self._row_of_new.get(track_ids[place], -1)
        return rows

    def history_rows(self, user_id: str) -> NDArray[np.int64] | None:
        """What a listener of the training data heard, oldest first; None for anybody else."""
        number = self._user_numbers.get(user_id)
        if number is None:
            return None
        start, end = self._histories.offsets[number : number + 2]
        return self._histories.rows[start:end].astype(np.int64)

    def listeners(self, n: int) -> list[str]:
        """Up to `n` listeners of the training data."""
        return list(self._user_numbers)[:n]

    def artist_codes_of(self, artists: Iterable[str]) -> NDArray[np.int32]:
        """Numbers of the artists that the catalogue has; others are left out."""
        known = (self._artist_numbers.get(artist) for artist in artists)
        return np.asarray([code for code in known if code is not None], np.int32)

    def content_digest(self) -> str:
        """Names the rows and what is known of them, on every server: what the bundle says, and what has changed."""
        changed = np.flatnonzero(self.changed | self.deleted)
        digest = hashlib.blake2b(f"{self.bundle_digest} {self.fingerprint}".encode(), digest_size=16)
        digest.update(changed.astype("<i8").tobytes() + self.deleted[changed].tobytes())
        digest.update(self.columns.take(changed).content_digest().encode())
        return digest.hexdigest()

    def standard_audio(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Audio features (n, 11) of `rows` (n,) in standard deviations from the bundle's means, NaN where unknown."""
        audio = self.columns.audio[rows]
        return np.where(np.isnan(audio), np.float32(np.nan), self._scaler.transform(audio)[:, : audio.shape[1]])

    @property
    def mean_audio(self) -> NDArray[np.float32]:
        """float32 (11,): the means of the bundle's tracks."""
        return self._scaler.mean

    def artist_name(self, code: int) -> str:
        """The artist of that number. Raises KeyError for one that the catalogue does not have."""
        return self._artist_names[code]

    def record(self, row: int) -> TrackRecord:
        """The track as a caller reads it."""
        return record_of(self.columns, row)

    def changes(self) -> tuple[list[TrackRecord], list[str]]:
        """Upserts and deletes that lead from the bundle to this catalogue."""
        upserts = [self.record(int(row)) for row in np.flatnonzero(self.changed & ~self.deleted)]
        return upserts, list(self.columns.ids[self.deleted])

    def with_changes(
        self, *, upserts: Sequence[TrackRecord] = (), deletes: Sequence[str] = (), generation: int | None = None
    ) -> Catalog:
        """The catalogue after `deletes` and then `upserts`. The last record of a track counts; unknown deletes do not.

        `generation` names the new catalogue, by default with the number after this one's.
        """
        records = list({record.track_id: record for record in upserts}.values())
        n = len(self)
        rows = self.all_rows_of([record.track_id for record in records])
        updates = rows >= 0
        rows[~updates] = np.arange(n, n + np.count_nonzero(~updates))
        removed = self.all_rows_of(deletes)
        deleted = self.deleted.copy()
        deleted[removed[removed >= 0]] = True
        deleted = with_rows(deleted, rows, np.zeros(len(rows), np.bool_))
        generation = self.generation + 1 if generation is None else generation
        if not records:
            return replace(self, generation=generation, deleted=deleted)

        fresh = columns_of(records)
        fresh.plays[updates] = self.columns.plays[rows[updates]]
        columns = self.columns.with_rows(rows, fresh)
        fresh_genres = genre_matrix(fresh.tags)
        fresh_codes, artist_numbers = _artist_codes(fresh.artists, self._artist_numbers)
        new_names = {artist_numbers[name]: name for name in fresh.artists if name and name not in self._artist_numbers}
        artist_codes = with_rows(self.artist_codes, rows, fresh_codes)
        row_of_new = _extended(self._row_of_new, {fresh.ids[i]: int(rows[i]) for i in np.flatnonzero(~updates)})
        fits = genre_fits(fresh_genres, fresh.audio, self._scaler)
        return replace(
            self,
            generation=generation,
            columns=columns,
            deleted=deleted,
            changed=with_rows(self.changed, rows, np.ones(len(rows), np.bool_)),
            moods=with_rows(self.moods, rows, mood_scores(fresh.audio, self._scaler)),
            genres=with_rows(self.genres, rows, fresh_genres),
            genre_fits=with_rows(self.genre_fits, rows, fits),
            artist_codes=artist_codes,
            signals=self.signals.after(rows, columns, artist_codes),
            _row_of=_extended(self._row_of, row_of_new) if len(row_of_new) > _MOST_NEW else self._row_of,
            _row_of_new={} if len(row_of_new) > _MOST_NEW else row_of_new,
            _artist_numbers=artist_numbers,
            _artist_names=_extended(self._artist_names, new_names),
        )


def _artist_codes(
    artists: NDArray[np.object_], known: Mapping[str, int]
) -> tuple[NDArray[np.int32], Mapping[str, int]]:
    new = dict.fromkeys(artist for artist in artists if artist and artist not in known)
    numbers = _extended(known, {artist: len(known) + place for place, artist in enumerate(new)})
    codes = (numbers[artist] if artist else UNKNOWN_ARTIST for artist in artists)
    return np.fromiter(codes, np.int32, len(artists)), numbers


def _extended(known: Mapping[_K, _V], more: Mapping[_K, _V]) -> Mapping[_K, _V]:
    """Both; `known` itself where there is no more."""
    return {**known, **more} if more else known
