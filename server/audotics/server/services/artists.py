"""Artists of the catalogue: names or the beginning of them go in; tracks, genres, followers and times come out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from audotics.server.errors import NotFoundError
from audotics.server.repository.artists import ArtistIndex, ArtistTracks, genre_counts
from audotics.server.repository.catalog import Catalog
from audotics.server.repository.registry import Registry
from audotics.server.storage.artists import ArtistStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Artist:
    """An artist of at least one track that can be recommended.

    Of the `track_count` tracks, `added_count` were written to the server since the catalogue was exported; times, in
    UTC seconds, are of the first and the latest change of such a track, None without any. `genres` counts the tracks of
    each genre, the most frequent first.
    """

    name: str
    track_count: int
    added_count: int
    follower_count: int
    genres: tuple[tuple[str, int], ...]
    first_added_at: float | None
    changed_at: float | None


class ArtistService:
    """Tracks and genres are those of the catalogue in service; the rest is read from the database."""

    def __init__(self, *, registry: Registry, artists: ArtistStore, executor: Executor) -> None:
        """`executor` sorts the artists of a catalogue, which may take long, and reads."""
        self._registry = registry
        self._artists = artists
        self._executor = executor
        self._index: ArtistIndex | None = None

    async def page(self, *, prefix: str, limit: int, after: str | None) -> tuple[list[Artist], str | None]:
        """Up to `limit` artists by name, and the name after which the next ones come. Raises StorageError."""
        catalog = self._registry.snapshot.catalog

        def read() -> tuple[list[Artist], str | None]:
            index = self._index_of(catalog)
            found, following = index.page(prefix=prefix, limit=limit, after=after)
            return self._described(catalog, found), following

        return await self._off_loop(read)

    async def get(self, names: Sequence[str]) -> list[Artist]:
        """In the order of their names. Raises NotFoundError that names the missing ones, or StorageError."""
        catalog = self._registry.snapshot.catalog

        def read() -> list[Artist]:
            index = self._index_of(catalog)
            found = [index.find(name) for name in names]
            if None in found:
                missing = (name for name, artist in zip(names, found, strict=True) if artist is None)
                raise NotFoundError("artist", list(dict.fromkeys(missing)))
            return self._described(catalog, [artist for artist in found if artist is not None])

        return await self._off_loop(read)

    def _index_of(self, catalog: Catalog) -> ArtistIndex:
        """The last one is kept: pages of one list ask for it again."""
        index = self._index
        if index is None or index.generation != catalog.generation:
            index = self._index = ArtistIndex(catalog)
        return index

    def _described(self, catalog: Catalog, found: Sequence[ArtistTracks]) -> list[Artist]:
        stored = self._artists.read(artist.name for artist in found)
        followers = self._artists.followers([list(catalog.columns.ids[artist.rows]) for artist in found])
        described = []
        for artist, follower_count in zip(found, followers, strict=True):
            added = stored.get(artist.name)
            described.append(
                Artist(
                    name=artist.name,
                    track_count=len(artist.rows),
                    added_count=0 if added is None else added.track_count,
                    follower_count=follower_count,
                    genres=tuple(genre_counts(catalog, artist.rows)),
                    first_added_at=None if added is None else added.first_added_at,
                    changed_at=None if added is None else added.changed_at,
                )
            )
        return described

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
