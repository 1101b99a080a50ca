"""The catalogue as columns: one row a track, in the order every model's rows refer to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.growing import with_room, with_rows

UNKNOWN_YEAR = 0
UNKNOWN_FLAG = -1


@dataclass(frozen=True, slots=True)
class TagSets:
    """Ragged tag sets in compressed sparse rows: row i has the names `names[codes[offsets[i]:offsets[i + 1]]]`."""

    names: tuple[str, ...]
    offsets: NDArray[np.int64]
    codes: NDArray[np.int32]

    @classmethod
    def from_lists(cls, rows: Iterable[Sequence[str]]) -> TagSets:
        """Build from one sequence of tag names a track; blanks are dropped, repeats kept once, names lower-cased."""
        vocabulary: dict[str, int] = {}
        offsets = [0]
        codes: list[int] = []
        for row in rows:
            cleaned = dict.fromkeys(name.strip().lower() for name in row)
            codes.extend(vocabulary.setdefault(name, len(vocabulary)) for name in cleaned if name)
            offsets.append(len(codes))
        return cls(tuple(vocabulary), np.asarray(offsets, np.int64), np.asarray(codes, np.int32))

    @classmethod
    def empty(cls, n_rows: int) -> TagSets:
        return cls((), np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> list[str]:
        return [self.names[code] for code in self.codes[self.offsets[index] : self.offsets[index + 1]]]

    def row_indices(self) -> NDArray[np.int64]:
        """Row number of each entry of `codes`."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def counts(self) -> NDArray[np.int64]:
        """Number of tracks that carry each tag, in the order of `names`."""
        return np.bincount(self.codes, minlength=len(self.names))

    def mask(self, wanted: Iterable[str]) -> NDArray[np.bool_]:
        """Rows that carry at least one of `wanted` (case does not matter)."""
        names = {name.strip().lower() for name in wanted}
        chosen = np.asarray([name in names for name in self.names], np.bool_)
        result = np.zeros(len(self), np.bool_)
        if chosen.any():
            result[self.row_indices()[chosen[self.codes]]] = True
        return result

    def matrix(self, vocabulary: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (n, len(vocabulary)): 1 where the track carries the tag."""
        column_of = {name: column for column, name in enumerate(vocabulary)}
        columns = np.asarray([column_of.get(name, -1) for name in self.names], np.int64)
        result = np.zeros((len(self), len(vocabulary)), np.float32)
        if len(self.codes):
            entry_columns = columns[self.codes]
            kept = entry_columns >= 0
            result[self.row_indices()[kept], entry_columns[kept]] = 1.0
        return result

    def take(self, rows: NDArray[np.integer]) -> TagSets:
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        source = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return TagSets(self.names, offsets, self.codes[source])

    def concat(self, other: TagSets) -> TagSets:
        names, codes = self._joined(other)
        offsets = np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]])
        return TagSets(names, offsets, np.concatenate([self.codes, codes]).astype(np.int32))

    def with_room(self) -> TagSets:
        """The same sets, which can be added to at once."""
        return TagSets(self.names, with_room(self.offsets), with_room(self.codes))

    def with_rows(self, rows: NDArray[np.int64], other: TagSets) -> TagSets:
        """As `with_rows` of arrays: the sets of `rows` (m,) are those of `other`."""
        n = len(self)
        if all(row < n and self.row(row) == other.row(place) for place, row in enumerate(rows.tolist())):
            return self
        names, codes = self._joined(other)
        if np.array_equal(rows, np.arange(n, n + len(rows))):
            places = np.arange(len(self.codes), len(self.codes) + len(codes))
            offsets = with_rows(self.offsets, rows + 1, other.offsets[1:] + self.offsets[-1])
            return TagSets(names, offsets, with_rows(self.codes, places, codes))
        lengths = with_rows(np.diff(self.offsets), rows, np.diff(other.offsets))
        pieces, copied = [], 0
        for place in np.argsort(rows).tolist():
            row = min(int(rows[place]), n)
            pieces.append(self.codes[self.offsets[copied] : self.offsets[row]])
            pieces.append(codes[other.offsets[place] : other.offsets[place + 1]])
            copied = min(row + 1, n)
        pieces.append(self.codes[self.offsets[copied] :])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return TagSets(names, offsets, np.concatenate(pieces).astype(np.int32, copy=False))

    def _joined(self, other: TagSets) -> tuple[tuple[str, ...], NDArray[np.int32]]:
        """Names of both, and the codes of `other` among them."""
        vocabulary = {name: code for code, name in enumerate(self.names)}
        renamed = np.asarray([vocabulary.setdefault(name, len(vocabulary)) for name in other.names], np.int32)
        return tuple(vocabulary), renamed[other.codes] if len(other.codes) else other.codes


@dataclass(frozen=True, slots=True)
class TrackColumns:
    """What is known of n tracks. Strings are object arrays of shape (n,); unknown text is the empty string."""

    ids: NDArray[np.object_]
    titles: NDArray[np.object_]
    artists: NDArray[np.object_]
    albums: NDArray[np.object_]
    tags: TagSets
    audio: NDArray[np.float32]  # (n, 11) in the order of AUDIO_FEATURES, NaN where unknown
    release_years: NDArray[np.int16]  # UNKNOWN_YEAR where unknown
    explicit: NDArray[np.int8]  # 0, 1, or UNKNOWN_FLAG
    durations_ms: NDArray[np.int32]  # 0 where unknown
    popularity: NDArray[np.float32]  # 0..1 as the source gives it, NaN where unknown
    plays: NDArray[np.float32]  # interactions in the training data, >= 0

    @classmethod
    def build(
        cls,
        ids: Sequence[str] | NDArray[np.object_],
        *,
        titles: Sequence[str] | NDArray[np.object_] | None = None,
        artists: Sequence[str] | NDArray[np.object_] | None = None,
        albums: Sequence[str] | NDArray[np.object_] | None = None,
        tags: TagSets | None = None,
        audio: NDArray[np.floating] | None = None,
        release_years: NDArray[np.integer] | None = None,
        explicit: NDArray[np.integer] | None = None,
        durations_ms: NDArray[np.integer] | None = None,
        popularity: NDArray[np.floating] | None = None,
        plays: NDArray[np.floating] | None = None,
    ) -> TrackColumns:
        """Make the columns from what a source has; what it lacks is unknown everywhere.

        Raises ValueError when a column's length is not that of `ids`.
        """
        n = len(ids)

        def text(values: Sequence[str] | NDArray[np.object_] | None) -> NDArray[np.object_]:
            column = np.empty(n, object)
            column[:] = "" if values is None else values
            return column

        columns = cls(
            ids=text(ids),
            titles=text(titles),
            artists=text(artists),
            albums=text(albums),
            tags=TagSets.empty(n) if tags is None else tags,
            audio=np.full((n, len(AUDIO_FEATURES)), np.nan, np.float32) if audio is None else audio.astype(np.float32),
            release_years=np.zeros(n, np.int16) if release_years is None else release_years.astype(np.int16),
            explicit=np.full(n, UNKNOWN_FLAG, np.int8) if explicit is None else explicit.astype(np.int8),
            durations_ms=np.zeros(n, np.int32) if durations_ms is None else durations_ms.astype(np.int32),
            popularity=np.full(n, np.nan, np.float32) if popularity is None else popularity.astype(np.float32),
            plays=np.zeros(n, np.float32) if plays is None else plays.astype(np.float32),
        )
        for field in fields(cls):
            length = len(getattr(columns, field.name))
            if length != n:
                raise ValueError(f"column {field.name!r} has {length} rows, but there are {n} track ids")
        return columns

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.integer]) -> TrackColumns:
        columns: dict[str, Any] = {
            f.name: value.take(rows) if isinstance(value := getattr(self, f.name), TagSets) else value[rows]
            for f in fields(self)
        }
        return TrackColumns(**columns)

    def concat(self, other: TrackColumns) -> TrackColumns:
        columns: dict[str, Any] = {
            f.name: value.concat(getattr(other, f.name))
            if isinstance(value := getattr(self, f.name), TagSets)
            else np.concatenate([value, getattr(other, f.name)])
            for f in fields(self)
        }
        return TrackColumns(**columns)

    def with_room(self) -> TrackColumns:
        """A copy, which can be added to at once."""
        columns: dict[str, Any] = {
            f.name: value.with_room() if isinstance(value := getattr(self, f.name), TagSets) else with_room(value)
            for f in fields(self)
        }
        return TrackColumns(**columns)

    def with_rows(self, rows: NDArray[np.int64], other: TrackColumns) -> TrackColumns:
        """As `with_rows` of arrays: the tracks in `rows` (m,) are those of `other`."""
        columns: dict[str, Any] = {
            f.name: value.with_rows(rows, getattr(other, f.name))
            if isinstance(value := getattr(self, f.name), TagSets)
            else with_rows(value, rows, getattr(other, f.name))
            for f in fields(self)
        }
        return TrackColumns(**columns)

    def with_plays(self, plays: NDArray[np.float32]) -> TrackColumns:
        """The same tracks with interactions counted elsewhere."""
        return replace(self, plays=plays)

    def content_digest(self) -> str:
        """Hex BLAKE2b of everything that is known of the tracks, in order."""
        digest = hashlib.blake2b(digest_size=16)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, TagSets):
                digest.update("\0".join(value.names).encode())
                digest.update(value.offsets.tobytes() + value.codes.tobytes())
            elif value.dtype == object:
                digest.update("\0".join(value.tolist()).encode())
            else:
                digest.update(value.tobytes())
            digest.update(b"\0\0")
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """Hex SHA-256 of the ids in order: two catalogues with the same fingerprint share row numbers."""
        digest = hashlib.sha256()
        for track_id in self.ids:
            digest.update(track_id.encode())
            digest.update(b"\0")
        return digest.hexdigest()
