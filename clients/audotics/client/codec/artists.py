"""Artists from messages."""

from __future__ import annotations

from datetime import UTC

from audotics.client.results.catalog import Artist, ArtistPage
from audotics.v1 import catalog_service_pb2 as catalog


def decode_artist_page(message: catalog.ListArtistsResponse) -> ArtistPage:
    return ArtistPage(tuple(_artist(item) for item in message.artists), message.next_page_token)


def decode_artists(message: catalog.GetArtistsResponse) -> tuple[Artist, ...]:
    return tuple(_artist(item) for item in message.artists)


def _artist(message: catalog.Artist) -> Artist:
    return Artist(
        name=message.name,
        track_count=message.track_count,
        added_track_count=message.added_track_count,
        follower_count=message.follower_count,
        genres={item.genre: item.track_count for item in message.genres},
        first_added_at=message.first_added_at.ToDatetime(tzinfo=UTC) if message.HasField("first_added_at") else None,
        changed_at=message.changed_at.ToDatetime(tzinfo=UTC) if message.HasField("changed_at") else None,
    )
