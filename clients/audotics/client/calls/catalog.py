"""Calls of CatalogService."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from audotics.client.arguments import Track
from audotics.client.calls.call import Call, call_of, check_timeout
from audotics.client.codec.artists import decode_artist_page, decode_artists
from audotics.client.codec.scalars import strings
from audotics.client.codec.tracks import decode_tracks, encode_track
from audotics.client.results.catalog import Artist, ArtistPage, DeleteResult, UpsertResult
from audotics.v1 import catalog_service_pb2 as catalog

TRACKS_A_REQUEST: Final = 500


def upsert_tracks(tracks: Iterable[Track], *, timeout_s: float | None = None) -> Call[UpsertResult]:
    """Add 1 to 1,000 tracks or replace them whole: all of them or, when one is invalid, none."""

    def decode(answer: catalog.UpsertTracksResponse) -> UpsertResult:
        return UpsertResult(created_count=answer.created_count, updated_count=answer.updated_count)

    request = catalog.UpsertTracksRequest(tracks=[encode_track(track) for track in tracks])
    return call_of("CatalogService/UpsertTracks", request, catalog.UpsertTracksResponse, decode, timeout_s)


def get_tracks(track_ids: Iterable[str], *, timeout_s: float | None = None) -> Call[tuple[Track, ...]]:
    """1 to 1,000 tracks, in the order of `track_ids`. NotFoundError names every track that is missing."""
    request = catalog.GetTracksRequest(track_ids=strings("track_ids", track_ids))
    return call_of("CatalogService/GetTracks", request, catalog.GetTracksResponse, decode_tracks, timeout_s)


def delete_tracks(track_ids: Iterable[str], *, timeout_s: float | None = None) -> Call[DeleteResult]:
    """Take 1 to 1,000 tracks out of the catalogue and every list from now on. Unknown ones are counted, not refused."""

    def decode(answer: catalog.DeleteTracksResponse) -> DeleteResult:
        return DeleteResult(deleted_count=answer.deleted_count, unknown_count=answer.unknown_count)

    request = catalog.DeleteTracksRequest(track_ids=strings("track_ids", track_ids))
    return call_of("CatalogService/DeleteTracks", request, catalog.DeleteTracksResponse, decode, timeout_s)


def list_artists(
    prefix: str = "", *, page_size: int = 50, page_token: str = "", timeout_s: float | None = None
) -> Call[ArtistPage]:
    """The artists of tracks that can be recommended, by name; `prefix` is what names begin with, in any case.

    Pass the `next_page_token` of a page as `page_token` for the one after it.
    """
    request = catalog.ListArtistsRequest(prefix=prefix, page_size=page_size, page_token=page_token)
    return call_of("CatalogService/ListArtists", request, catalog.ListArtistsResponse, decode_artist_page, timeout_s)


def get_artists(names: Iterable[str], *, timeout_s: float | None = None) -> Call[tuple[Artist, ...]]:
    """1 to 1,000 artists, in the order of `names`. NotFoundError names every artist who has no track."""
    request = catalog.GetArtistsRequest(names=strings("names", names))
    return call_of("CatalogService/GetArtists", request, catalog.GetArtistsResponse, decode_artists, timeout_s)


@dataclass(frozen=True, slots=True)
class Import:
    """One import: its path, the requests that go over the wire, and how to read the answer."""

    path: str
    timeout_s: float | None

    def __post_init__(self) -> None:
        if self.timeout_s is not None:
            check_timeout(self.timeout_s)

    def requests(self, tracks: Iterable[Track]) -> Iterator[bytes]:
        """Some hundreds of tracks each."""
        messages = (encode_track(track) for track in tracks)
        while part := list(islice(messages, TRACKS_A_REQUEST)):
            yield catalog.ImportTracksRequest(tracks=part).SerializeToString()

    def read(self, answer: bytes) -> UpsertResult:
        """Raises InternalError when `answer` is not what the method returns."""

        def decode(data: bytes) -> UpsertResult:
            message = catalog.ImportTracksResponse.FromString(data)
            return UpsertResult(created_count=message.created_count, updated_count=message.updated_count)

        return Call(self.path, b"", decode).read(answer)


def import_tracks(*, timeout_s: float | None = None) -> Import:
    """The call behind both clients' `import_tracks`; None sets no limit, since it depends on how many they are."""
    return Import("/audotics.v1.CatalogService/ImportTracks", timeout_s)
