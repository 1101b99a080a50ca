"""`ListArtists` and `GetArtists` over a real channel: those of the catalogue's bundle and those that came later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from audotics.v1 import catalog_service_pb2 as pb
from audotics.v1 import feedback_service_pb2 as feedback_pb
from audotics.v1 import track_pb2


async def artist(server: Any, name: str) -> pb.Artist:
    answer = await server.catalog.GetArtists(pb.GetArtistsRequest(names=[name]))
    return answer.artists[0]


async def upsert(server: Any, *tracks: track_pb2.Track) -> None:
    await server.catalog.UpsertTracks(pb.UpsertTracksRequest(tracks=tracks))


async def follow(server: Any, user_id: str, track_id: str) -> None:
    event = feedback_pb.FeedbackEvent(
        event_id=f"{user_id}-{track_id}",
        user_id=user_id,
        track_id=track_id,
        type=feedback_pb.EVENT_TYPE_FOLLOW_ARTIST,
    )
    answer = await server.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(events=[event]))
    assert answer.results[0].status == feedback_pb.FEEDBACK_STATUS_ACCEPTED


async def test_artists_of_the_bundle_are_there_without_a_date(server: Any) -> None:
    tracks = await server.catalog.GetTracks(pb.GetTracksRequest(track_ids=["t000"]))
    known = await artist(server, tracks.tracks[0].artist)
    assert known.track_count == 5
    assert (known.added_track_count, known.follower_count) == (0, 0)
    assert not known.HasField("first_added_at")
    assert not known.HasField("changed_at")
    assert sum(genre.track_count for genre in known.genres) > 0


async def test_tracks_that_come_go_and_change_hands_are_counted(server: Any) -> None:
    started = time.time()
    tracks = [track_pb2.Track(track_id=f"new{number}", artist="Björk", tags=["jazz"]) for number in range(3)]
    await upsert(server, *tracks)
    new = await artist(server, "Björk")
    assert (new.track_count, new.added_track_count) == (3, 3)
    assert list(new.genres) == [pb.ArtistGenre(genre="jazz", track_count=3)]
    assert started - 60 < new.first_added_at.ToSeconds() <= time.time()
    assert new.changed_at == new.first_added_at

    old = (await server.catalog.GetTracks(pb.GetTracksRequest(track_ids=["t000"]))).tracks[0].artist
    await upsert(server, track_pb2.Track(track_id="t000", artist="Björk"), track_pb2.Track(track_id="new0", artist=old))
    await server.catalog.DeleteTracks(pb.DeleteTracksRequest(track_ids=["new1"]))
    new, before = await artist(server, "Björk"), await artist(server, old)
    assert (new.track_count, new.added_track_count) == (2, 2)
    assert (before.track_count, before.added_track_count) == (5, 1)
    assert new.changed_at.ToNanoseconds() > new.first_added_at.ToNanoseconds()


async def test_an_import_is_counted_too(server: Any) -> None:
    async def requests() -> Any:
        for start in range(0, 600, 200):
            tracks = [
                track_pb2.Track(track_id=f"i{number}", artist=f"Imported {number % 3}")
                for number in range(start, start + 200)
            ]
            yield pb.ImportTracksRequest(tracks=tracks)

    await server.catalog.ImportTracks(requests())
    answer = await server.catalog.ListArtists(pb.ListArtistsRequest(prefix="imported"))
    assert [(each.name, each.track_count, each.added_track_count) for each in answer.artists] == [
        (f"Imported {number}", 200, 200) for number in range(3)
    ]


async def test_an_artist_without_tracks_is_not_there(server: Any, details: Callable[..., list[Any]]) -> None:
    await upsert(server, track_pb2.Track(track_id="new", artist="Gone"))
    await server.catalog.DeleteTracks(pb.DeleteTracksRequest(track_ids=["new"]))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.catalog.GetArtists(pb.GetArtistsRequest(names=["Artist 00", "Gone", "artist 00", "Gone"]))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    infos = details(caught.value, error_details_pb2.ResourceInfo)
    assert [info.resource_name for info in infos] == ["Gone", "artist 00"]


async def test_followers_follow_the_track_and_leave_with_their_deletion(server: Any) -> None:
    names = {
        track.track_id: track.artist
        for track in (await server.catalog.GetTracks(pb.GetTracksRequest(track_ids=["t000", "t001"]))).tracks
    }
    await follow(server, "ann", "t000")
    await follow(server, "bob", "t000")
    await follow(server, "ann", "t001")
    assert (await artist(server, names["t000"])).follower_count == 2
    await upsert(server, track_pb2.Track(track_id="t000", artist="Björk"))
    assert (await artist(server, names["t000"])).follower_count == 0
    assert (await artist(server, "Björk")).follower_count == 2
    deleted = await server.feedback.DeleteUser(feedback_pb.DeleteUserRequest(user_id="ann"))
    assert deleted.remaining == 0
    assert (await artist(server, "Björk")).follower_count == 1
    assert (await artist(server, names["t001"])).follower_count == 0


async def test_artists_are_the_same_after_a_restart(start: Any, repository: Any) -> None:
    async with start(repository.path) as first:
        await upsert(first, track_pb2.Track(track_id="new", artist="Björk"), track_pb2.Track(track_id="t000"))
        await server_follow(first)
        before = await first.catalog.ListArtists(pb.ListArtistsRequest(page_size=1000))
    async with start(repository.path) as second:
        after = await second.catalog.ListArtists(pb.ListArtistsRequest(page_size=1000))
    assert after == before
    assert len(before.artists) == 41
    assert max(each.follower_count for each in before.artists) == 1


async def server_follow(server: Any) -> None:
    await follow(server, "ann", "new")


async def test_pages_hold_each_artist_once_by_name(server: Any) -> None:
    whole = await server.catalog.ListArtists(pb.ListArtistsRequest(page_size=1000))
    assert whole.next_page_token == ""
    assert [each.name for each in whole.artists] == [f"Artist {number:02d}" for number in range(40)]
    assert len((await server.catalog.ListArtists(pb.ListArtistsRequest())).artists) == 40
    found: list[Any] = []
    request = pb.ListArtistsRequest(prefix="ARTIST 1", page_size=3)
    while True:
        answer = await server.catalog.ListArtists(request)
        found += answer.artists
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert found == list(whole.artists[10:20])


async def test_what_is_wrong_with_a_request_is_named(server: Any, details: Callable[..., list[Any]]) -> None:
    async def fields(method: str, request: Any) -> list[str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await getattr(server.catalog, method)(request)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        (bad,) = details(caught.value, error_details_pb2.BadRequest)
        return [violation.field for violation in bad.field_violations]

    assert await fields("ListArtists", pb.ListArtistsRequest(prefix="x" * 1001, page_size=-1)) == [
        "prefix",
        "page_size",
    ]
    first = await server.catalog.ListArtists(pb.ListArtistsRequest(page_size=1))
    other = pb.ListArtistsRequest(prefix="A", page_token=first.next_page_token)
    assert await fields("ListArtists", other) == ["page_token"]
    assert await fields("GetArtists", pb.GetArtistsRequest()) == ["names"]
    assert await fields("GetArtists", pb.GetArtistsRequest(names=["a"] * 1001)) == ["names"]
    assert await fields("GetArtists", pb.GetArtistsRequest(names=["a", " ", "b\0"])) == ["names[1]", "names[2]"]
