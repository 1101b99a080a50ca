"""`audotics catalog artists` against a server with fixed answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from typer.testing import CliRunner, Result

from audotics.cli.commands import app
from audotics.v1 import catalog_service_pb2 as pb
from audotics.v1 import catalog_service_pb2_grpc as pb_grpc

GENRES = ("rock", "pop", "jazz", "folk")
ARTISTS = [
    pb.Artist(name="Abba", track_count=1200, follower_count=1500, genres=[{"genre": "pop", "track_count": 1200}]),
    pb.Artist(
        name="Björk [Live]",
        track_count=3,
        added_track_count=2,
        follower_count=1,
        genres=[{"genre": genre, "track_count": 1} for genre in GENRES],
        first_added_at={"seconds": 1_700_000_000},
        changed_at={"seconds": 1_700_000_060},
    ),
    pb.Artist(name="Čechomor", track_count=1),
]


class Catalog(pb_grpc.CatalogServiceServicer):
    """Answers with two artists a page at most; a token is the place of the next one."""

    def ListArtists(self, request: pb.ListArtistsRequest, context: object) -> pb.ListArtistsResponse:  # noqa: N802
        found = [artist for artist in ARTISTS if artist.name.casefold().startswith(request.prefix.casefold())]
        first = int(request.page_token or 0)
        following = first + min(request.page_size, 2)
        token = str(following) if following < len(found) else ""
        return pb.ListArtistsResponse(artists=found[first:following], next_page_token=token)


@pytest.fixture
def audotics() -> Iterator[Callable[..., Result]]:
    process = grpc.server(ThreadPoolExecutor(max_workers=2))
    pb_grpc.add_CatalogServiceServicer_to_server(Catalog(), process)
    port = process.add_insecure_port("127.0.0.1:0")
    process.start()

    def run(*arguments: str) -> Result:
        environment = {"AUDOTICS_SERVER": f"127.0.0.1:{port}", "COLUMNS": "120", "NO_COLOR": "1"}
        return CliRunner().invoke(app, ["catalog", *arguments], env=environment)

    yield run
    process.stop(grace=None).wait()


def test_artists_are_listed_over_all_pages(audotics: Callable[..., Result]) -> None:
    lines = [line.split() for line in audotics("artists").stdout.splitlines() if line.strip()]
    assert lines[0] == ["artist", "tracks", "added", "followers", "genres", "first", "added", "(UTC)"]
    assert lines[2:] == [
        ["Abba", "1,200", "0", "1,500", "pop"],
        ["Björk", "[Live]", "3", "2", "1", "rock,", "pop,", "jazz", "2023-11-14", "22:13"],
        ["Čechomor", "1", "0", "0"],
    ]


def test_a_prefix_chooses_and_a_limit_says_that_there_are_more(audotics: Callable[..., Result]) -> None:
    assert "Abba" not in audotics("artists", "--prefix", "bj").stdout
    cut = audotics("artists", "--limit", "1").stdout
    assert "Björk" not in cut
    assert cut.endswith("there are more; --limit 2 shows some of them\n")


def test_artists_as_json(audotics: Callable[..., Result]) -> None:
    listed = json.loads(audotics("artists", "--json").stdout)
    assert [artist["name"] for artist in listed] == ["Abba", "Björk [Live]", "Čechomor"]
    assert listed[1]["genres"] == dict.fromkeys(GENRES, 1)
    assert listed[1]["first_added_at"] == "2023-11-14T22:13:20+00:00"
    assert listed[2]["first_added_at"] is None
