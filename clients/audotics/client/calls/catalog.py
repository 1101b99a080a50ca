"""Calls of CatalogService."""

from __future__ import annotations

from collections.abc import Iterable

from audotics.client import codec
from audotics.client.arguments import Track
from audotics.client.calls.call import Call, call_of
from audotics.client.results import DeleteResult, UpsertResult
from audotics.v1 import catalog_service_pb2 as catalog


def upsert_tracks(tracks: Iterable[Track], *, timeout_s: float | None = None) -> Call[UpsertResult]:
    """Add 1 to 1,000 tracks or replace them whole: all of them or, when one is invalid, none."""

    def decode(answer: catalog.UpsertTracksResponse) -> UpsertResult:
        return UpsertResult(created_count=answer.created_count, updated_count=answer.updated_count)

    request = catalog.UpsertTracksRequest(tracks=[codec.encode_track(track) for track in tracks])
    return call_of("CatalogService/UpsertTracks", request, catalog.UpsertTracksResponse, decode, timeout_s)


def get_tracks(track_ids: Iterable[str], *, timeout_s: float | None = None) -> Call[tuple[Track, ...]]:
    """1 to 1,000 tracks, in the order of `track_ids`. NotFoundError names every track that is missing."""
    request = catalog.GetTracksRequest(track_ids=codec.strings("track_ids", track_ids))
    return call_of("CatalogService/GetTracks", request, catalog.GetTracksResponse, codec.decode_tracks, timeout_s)


def delete_tracks(track_ids: Iterable[str], *, timeout_s: float | None = None) -> Call[DeleteResult]:
    """Take 1 to 1,000 tracks out of the catalogue and every list from now on. Unknown ones are counted, not refused."""

    def decode(answer: catalog.DeleteTracksResponse) -> DeleteResult:
        return DeleteResult(deleted_count=answer.deleted_count, unknown_count=answer.unknown_count)

    request = catalog.DeleteTracksRequest(track_ids=codec.strings("track_ids", track_ids))
    return call_of("CatalogService/DeleteTracks", request, catalog.DeleteTracksResponse, decode, timeout_s)
