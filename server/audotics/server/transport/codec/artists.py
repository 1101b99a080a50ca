"""`CatalogService` messages of artists: names and prefixes go in, artists go back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from audotics.server.services.artists import Artist
from audotics.server.transport.codec.catalog import MAX_TRACKS
from audotics.server.transport.codec.paging import page_size, read_token, write_token
from audotics.server.transport.codec.violations import Violations
from audotics.v1 import catalog_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class ArtistsQuery:
    """A checked `ListArtists` request; `after` is the last name of the page before."""

    prefix: str
    limit: int
    after: str | None


def decode_list(request: pb.ListArtistsRequest) -> ArtistsQuery:
    """Raises InvalidRequestError."""
    violations = Violations()
    violations.check_text("prefix", request.prefix)
    limit = page_size(request.page_size, violations)
    place = read_token(request.page_token, [request.prefix], (str,), violations)
    violations.raise_if_any()
    return ArtistsQuery(request.prefix, limit, None if place is None else place[0])


def decode_names(request: pb.GetArtistsRequest) -> list[str]:
    """Raises InvalidRequestError."""
    violations = Violations()
    if not request.names:
        violations.add("names", f"has 0 entries; send 1 to {MAX_TRACKS}")
    violations.check_names("names", request.names, most=MAX_TRACKS)
    violations.raise_if_any()
    return list(request.names)


def encode_page(query: ArtistsQuery, artists: Sequence[Artist], following: str | None) -> pb.ListArtistsResponse:
    place = None if following is None else [following]
    return pb.ListArtistsResponse(
        artists=[_encode(artist) for artist in artists], next_page_token=write_token([query.prefix], place)
    )


def encode_artists(artists: Sequence[Artist]) -> pb.GetArtistsResponse:
    return pb.GetArtistsResponse(artists=[_encode(artist) for artist in artists])


def _encode(artist: Artist) -> pb.Artist:
    return pb.Artist(
        name=artist.name,
        track_count=artist.track_count,
        added_track_count=artist.added_count,
        follower_count=artist.follower_count,
        genres=[pb.ArtistGenre(genre=genre, track_count=count) for genre, count in artist.genres],
        first_added_at=_time(artist.first_added_at),
        changed_at=_time(artist.changed_at),
    )


def _time(seconds: float | None) -> Timestamp | None:
    if seconds is None:
        return None
    time = Timestamp()
    time.FromNanoseconds(int(seconds * 1e9))
    return time
