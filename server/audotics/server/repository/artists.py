"""Artists of a catalogue: its columns go in, artists by name with the rows of their tracks come out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audotics.features.genres import GENRES
from audotics.server.repository.catalog import UNKNOWN_ARTIST, Catalog


@dataclass(frozen=True, slots=True, eq=False)
class ArtistTracks:
    """An artist with the rows of the tracks that can be served, at least one."""

    name: str
    rows: NDArray[np.int64]


class ArtistIndex:
    """The artists of one catalogue who have tracks that can be served. It keeps nothing of the catalogue alive."""

    def __init__(self, catalog: Catalog) -> None:
        self.generation = catalog.generation
        codes = np.where(catalog.deleted, UNKNOWN_ARTIST, catalog.artist_codes)
        rows = np.argsort(codes, kind="stable")
        self._rows = rows[np.searchsorted(codes[rows], 0) :]  # without those of nobody
        found, starts = np.unique(codes[self._rows], return_index=True)
        self._starts = np.append(starts, len(self._rows))
        self._places = {catalog.artist_name(code): place for place, code in enumerate(found.tolist())}
        # As people look names up, whatever their case.
        self._names = sorted((name.casefold(), name) for name in self._places)

    def find(self, name: str) -> ArtistTracks | None:
        """The artist of exactly this name."""
        place = self._places.get(name)
        return None if place is None else ArtistTracks(name, self._rows[self._starts[place] : self._starts[place + 1]])

    def page(self, *, prefix: str, limit: int, after: str | None) -> tuple[list[ArtistTracks], str | None]:
        """Up to `limit` artists by name, and the name after which the next ones come; None when there are no more.

        `prefix` is what their names begin with, in any case; `after` is where an earlier page ended.
        """
        wanted = prefix.casefold()
        start = bisect_left(self._names, (wanted, ""))
        if after is not None:
            start = max(start, bisect_right(self._names, (after.casefold(), after)))
        end = start
        while end < len(self._names) and end - start <= limit and self._names[end][0].startswith(wanted):
            end += 1
        names = [name for _, name in self._names[start:end]]
        found = [artist for name in names[:limit] if (artist := self.find(name)) is not None]
        return found, names[limit - 1] if len(names) > limit else None


def genre_counts(catalog: Catalog, rows: NDArray[np.int64]) -> Sequence[tuple[str, int]]:
    """Genres that tags name, with how many of the tracks are of them, the most frequent first."""
    counts = np.count_nonzero(catalog.genres[rows], axis=0)
    order = np.argsort(-counts, kind="stable")
    return [(GENRES[place], int(counts[place])) for place in order if counts[place]]
