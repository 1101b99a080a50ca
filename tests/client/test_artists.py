"""Artists through both clients: what arrives at the server, and what the caller gets back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from audotics.client import Artist, ArtistPage
from audotics.v1 import catalog_service_pb2

MESSAGE = catalog_service_pb2.Artist(
    name="Björk",
    track_count=5,
    added_track_count=2,
    follower_count=7,
    genres=[{"genre": "pop", "track_count": 4}, {"genre": "electronic", "track_count": 1}],
    first_added_at={"seconds": 1_700_000_000},
    changed_at={"seconds": 1_700_000_060},
)
ARTIST = Artist(
    name="Björk",
    track_count=5,
    added_track_count=2,
    follower_count=7,
    genres={"pop": 4, "electronic": 1},
    first_added_at=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    changed_at=datetime(2023, 11, 14, 22, 14, 20, tzinfo=UTC),
)


def test_pages_of_artists_follow_each_other(client, server):
    answer = catalog_service_pb2.ListArtistsResponse(artists=[MESSAGE], next_page_token="next")
    server.script("ListArtists", answer, catalog_service_pb2.ListArtistsResponse())

    page = client.list_artists("bj", page_size=1)
    assert page == ArtistPage((ARTIST,), "next")
    assert list(page.artists[0].genres) == ["pop", "electronic"]
    assert client.list_artists("bj", page_token=page.next_page_token) == ArtistPage(())
    assert server.requests == [
        catalog_service_pb2.ListArtistsRequest(prefix="bj", page_size=1),
        catalog_service_pb2.ListArtistsRequest(prefix="bj", page_size=50, page_token="next"),
    ]


def test_artists_by_name(client, server):
    nobody = catalog_service_pb2.Artist(name="A", track_count=1)
    server.script("GetArtists", catalog_service_pb2.GetArtistsResponse(artists=[MESSAGE, nobody]))

    assert client.get_artists(["Björk", "A"]) == (ARTIST, Artist("A", 1))
    assert server.requests == [catalog_service_pb2.GetArtistsRequest(names=["Björk", "A"])]
    with pytest.raises(TypeError, match=r"names takes several strings, such as \['A'\]"):
        client.get_artists("A")
