"""`import_tracks` of both clients, against a server that takes a stream of tracks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from audotics.client import (
    AsyncRecommenderClient,
    InvalidArgumentError,
    RecommenderClient,
    Track,
    UnavailableError,
    UpsertResult,
)
from audotics.v1 import catalog_service_pb2 as pb
from audotics.v1 import catalog_service_pb2_grpc


class Catalog(catalog_service_pb2_grpc.CatalogServiceServicer):
    """Counts tracks, and refuses a stream at the track "bad"."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.complete = 0

    def ImportTracks(  # noqa: N802
        self, requests: Iterator[pb.ImportTracksRequest], context: grpc.ServicerContext
    ) -> pb.ImportTracksResponse:
        self.requests = []
        for request in requests:
            self.requests.append([track.track_id for track in request.tracks])
            if "bad" in self.requests[-1]:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "tracks[1].track_id: bad")
        self.complete += 1
        count = sum(map(len, self.requests))
        return pb.ImportTracksResponse(created_count=count - 1, updated_count=1)


@pytest.fixture
def servicer() -> Catalog:
    return Catalog()


@pytest.fixture
def target(servicer: Catalog) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(grace=None).wait()


@pytest.fixture(params=["sync", "aio"])
def import_tracks(request: pytest.FixtureRequest, target: str) -> Callable[..., UpsertResult]:
    def blocking(tracks: Any) -> UpsertResult:
        with RecommenderClient(target) as client:
            return client.import_tracks(tracks)

    def awaited(tracks: Any) -> UpsertResult:
        async def call() -> UpsertResult:
            async with AsyncRecommenderClient(target) as client:
                return await client.import_tracks(tracks)

        return asyncio.run(call())

    return blocking if request.param == "sync" else awaited


def test_tracks_go_in_requests_of_some_hundreds_in_order(import_tracks: Callable, servicer: Catalog) -> None:
    ids = [f"t{number}" for number in range(1201)]
    assert import_tracks(Track(track_id) for track_id in ids) == UpsertResult(created_count=1200, updated_count=1)
    assert [len(request) for request in servicer.requests] == [500, 500, 201]
    assert [track_id for request in servicer.requests for track_id in request] == ids


def test_the_first_wrong_track_ends_it(import_tracks: Callable, servicer: Catalog) -> None:
    with pytest.raises(InvalidArgumentError, match="tracks\\[1\\]"):
        import_tracks([Track("t0"), Track("bad")])
    with pytest.raises(InvalidArgumentError):
        import_tracks(Track("bad" if number == 600 else f"t{number}") for number in range(50_000))
    assert servicer.complete == 0


def test_a_source_that_fails_ends_it_and_its_error_comes_out(import_tracks: Callable, servicer: Catalog) -> None:
    def failing() -> Iterator[Track]:
        for number in range(700):
            yield Track(f"t{number}")
        raise ValueError("line 701")

    with pytest.raises(ValueError, match="line 701"):
        import_tracks(failing())
    assert servicer.complete == 0


async def test_the_asyncio_client_takes_asynchronous_sources(target: str, servicer: Catalog) -> None:
    async def source() -> AsyncIterator[Track]:
        for number in range(501):
            yield Track(f"t{number}")
            await asyncio.sleep(0)

    async with AsyncRecommenderClient(target) as client:
        assert await client.import_tracks(source()) == UpsertResult(created_count=500, updated_count=1)
    assert [len(request) for request in servicer.requests] == [500, 1]


async def test_without_a_server_it_is_unavailable() -> None:
    async with AsyncRecommenderClient("127.0.0.1:1") as client:
        with pytest.raises(UnavailableError):
            await client.import_tracks([Track("t0")])
    with RecommenderClient("127.0.0.1:1") as client, pytest.raises(UnavailableError):
        client.import_tracks([Track("t0")])
