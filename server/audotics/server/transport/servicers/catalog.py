"""`audotics.v1.CatalogService`: tracks go in and out of the catalogue, and their artists are shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from audotics.server.services.artists import ArtistService
from audotics.server.services.catalog import CatalogService
from audotics.server.transport.codec.artists import decode_list, decode_names, encode_artists, encode_page
from audotics.server.transport.codec.catalog import (
    ImportDecoder,
    decode_track_ids,
    decode_upsert,
    encode_delete,
    encode_import,
    encode_tracks,
    encode_upsert,
)
from audotics.server.transport.streams import guarded_answer
from audotics.v1 import catalog_service_pb2 as pb
from audotics.v1 import catalog_service_pb2_grpc as pb_grpc


class CatalogServicer(pb_grpc.CatalogServiceServicer):
    """Errors are those of the service; the interceptor gives them their status."""

    def __init__(self, *, catalog: CatalogService, artists: ArtistService) -> None:
        self._catalog = catalog
        self._artists = artists

    async def UpsertTracks(  # noqa: N802
        self, request: pb.UpsertTracksRequest, context: grpc.aio.ServicerContext
    ) -> pb.UpsertTracksResponse:
        records = decode_upsert(request)
        count = await self._catalog.upsert(records)
        return encode_upsert(count)

    async def GetTracks(  # noqa: N802
        self, request: pb.GetTracksRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetTracksResponse:
        track_ids = decode_track_ids(request)
        records = self._catalog.get(track_ids)
        return encode_tracks(records)

    async def DeleteTracks(  # noqa: N802
        self, request: pb.DeleteTracksRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeleteTracksResponse:
        track_ids = decode_track_ids(request)
        count = await self._catalog.delete(track_ids)
        return encode_delete(count)

    async def ImportTracks(  # noqa: N802
        self, requests: AsyncIterator[pb.ImportTracksRequest], context: grpc.aio.ServicerContext
    ) -> pb.ImportTracksResponse:
        async def imported() -> pb.ImportTracksResponse:
            decoder = ImportDecoder()
            async for request in requests:
                await asyncio.to_thread(decoder.add, request)  # a thousand tracks take some 20 ms
            count = await self._catalog.upsert(decoder.records)
            return encode_import(count)

        return await guarded_answer(context, imported())

    async def ListArtists(  # noqa: N802
        self, request: pb.ListArtistsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListArtistsResponse:
        query = decode_list(request)
        artists, following = await self._artists.page(prefix=query.prefix, limit=query.limit, after=query.after)
        return encode_page(query, artists, following)

    async def GetArtists(  # noqa: N802
        self, request: pb.GetArtistsRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetArtistsResponse:
        names = decode_names(request)
        artists = await self._artists.get(names)
        return encode_artists(artists)
