"""`ImportTracks` over real gRPC: a stream is stored and served whole or not at all; and `audotics catalog import`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from typer.testing import CliRunner

from audotics.cli.catalog import app as catalog_app
from audotics.server.app import open_app
from audotics.server.settings import load_settings
from audotics.v1 import catalog_service_pb2 as pb
from audotics.v1 import catalog_service_pb2_grpc, track_pb2

Served = tuple[str, Any]


@pytest.fixture
async def served(repository: Any, tmp_path: Path) -> AsyncIterator[Served]:
    settings = load_settings(repository=repository.path, port=0, threads=2, state_dir=tmp_path / "state")
    async with open_app(settings) as app, grpc.aio.insecure_channel(app.address) as channel:
        yield app.address, catalog_service_pb2_grpc.CatalogServiceStub(channel)


def requests(ids: Iterable[str], size: int = 400) -> Iterator[pb.ImportTracksRequest]:
    tracks = [track_pb2.Track(track_id=track_id, title=f"Title of {track_id}") for track_id in ids]
    for start in range(0, len(tracks), size):
        yield pb.ImportTracksRequest(tracks=tracks[start : start + size])


async def titles(stub: Any, *ids: str) -> list[str]:
    answer = await stub.GetTracks(pb.GetTracksRequest(track_ids=ids))
    return [track.title for track in answer.tracks]


async def refusal(stub: Any, sent: Iterable[pb.ImportTracksRequest]) -> list[tuple[str, str]]:
    """The field violations that end the stream."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ImportTracks(iter(sent))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    found = error_details_pb2.BadRequest()
    assert any(detail.Unpack(found) for detail in rpc_status.from_call(caught.value).details)
    return [(violation.field, violation.description) for violation in found.field_violations]


async def test_all_tracks_of_a_stream_are_served_when_it_returns(served: Served) -> None:
    _, stub = served
    ids = ["t000", *(f"new{number}" for number in range(1500)), "t001"]
    answer = await stub.ImportTracks(requests(ids))
    assert (answer.created_count, answer.updated_count) == (1500, 2)
    assert await titles(stub, "t001", "new1499", "new0") == ["Title of t001", "Title of new1499", "Title of new0"]
    again = await stub.ImportTracks(requests(["new3"]))
    assert (again.created_count, again.updated_count) == (0, 1)
    empty = await stub.ImportTracks(iter([]))
    assert (empty.created_count, empty.updated_count) == (0, 0)


async def test_a_wrong_track_is_named_by_its_place_and_nothing_is_stored(served: Served) -> None:
    _, stub = served
    good = list(requests(f"new{number}" for number in range(800)))
    bad = pb.ImportTracksRequest(tracks=[track_pb2.Track(track_id="x", popularity=7.0), track_pb2.Track()])
    assert [field for field, _ in await refusal(stub, [*good, bad])] == [
        "tracks[800].popularity",
        "tracks[801].track_id",
    ]
    assert await refusal(stub, [*good, *requests(["y", "new3"])]) == [
        ("tracks[801].track_id", "repeats tracks[3]; send each track once")
    ]
    assert await refusal(stub, [pb.ImportTracksRequest()]) == [("tracks", "a request has 0 entries; send 1 to 1000")]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await titles(stub, "new0")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_caller_who_leaves_changes_nothing(served: Served) -> None:
    _, stub = served
    call = stub.ImportTracks()
    await call.write(next(requests(["new0"])))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await titles(stub, "new0")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_command_imports_a_file(served: Served, tmp_path: Path) -> None:
    address, stub = served
    file = tmp_path / "tracks.csv"
    file.write_text("id,title,artist,year\nt000,First,Somebody,1999\nnew,Second,,\nnew,Again,,\n")

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(catalog_app, ["import", str(file), "--server", address, *arguments])

    result = await asyncio.to_thread(run)
    assert result.exit_code == 0, result.output
    assert "1 added, 1 replaced" in result.output
    assert "left out: 1 repeated rows of the track table" in result.output
    assert await titles(stub, "t000", "new") == ["First", "Second"]
    result = await asyncio.to_thread(run, "--json")
    assert json.loads(result.stdout) == {"created": 0, "updated": 2, "dropped": {"repeated rows of the track table": 1}}
    file.write_text("id,energy\nother,0.1\nx,seven\n")
    result = await asyncio.to_thread(run)
    assert result.exit_code == 1
    assert "tracks.csv:3: energy is not a number" in result.output
    with pytest.raises(grpc.aio.AioRpcError):
        await titles(stub, "other")
