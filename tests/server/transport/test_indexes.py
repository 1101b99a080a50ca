"""Vector indexes of a running server: listed, rebuilt, and measured, over a real channel and at the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from audotics.cli.commands import app
from audotics.exporters.indexing.goal import Goal
from audotics.exporters.indexing.reindex import reindex
from audotics.training.progress import Quiet
from audotics.v1 import catalog_service_pb2 as catalog_pb
from audotics.v1 import model_service_pb2 as pb
from audotics.v1 import recommender_service_pb2 as recommender_pb
from audotics.v1 import track_pb2
from tests.far_server import far_server

Start = Callable[..., AbstractAsyncContextManager[Any]]


def with_measured_index(repository: Any) -> None:
    """Give `content` a second version, labelled canary, whose index came with held-out queries."""
    reindex(repository.store, "content", None, Goal(10, 0.9), progress=Quiet(), threads=1)
    repository.store.set_label("content", "canary", 2)


async def test_indexes_are_listed_with_what_changed(server: Any) -> None:
    tracks = [track_pb2.Track(track_id=f"new{number}", title="New") for number in range(3)]
    await server.catalog.UpsertTracks(catalog_pb.UpsertTracksRequest(tracks=tracks))
    await server.catalog.DeleteTracks(catalog_pb.DeleteTracksRequest(track_ids=["t003"]))
    collaborative, content = (await server.models.ListIndexes(pb.ListIndexesRequest())).indexes
    assert (collaborative.name, collaborative.version, collaborative.in_service) == ("collaborative", 1, True)
    assert (content.name, content.kind, content.metric, content.dimension) == ("content", "hnsw", "inner_product", 16)
    assert content.settings.startswith("hnsw links 16")
    assert (content.vector_count, content.changed_count, content.deleted_count) == (202, 3, 1)
    assert not content.HasField("built")


async def test_a_rebuild_takes_up_what_changed(server: Any) -> None:
    tracks = [track_pb2.Track(track_id=f"new{number}", title="New") for number in range(3)]
    await server.catalog.UpsertTracks(catalog_pb.UpsertTracksRequest(tracks=tracks))
    similar = recommender_pb.SimilarTracksRequest(track_id="new1", limit=20)
    before = await server.recommender.SimilarTracks(similar)
    for retrain in (False, True):
        index = (await server.models.RebuildIndex(pb.RebuildIndexRequest(name="content", retrain=retrain))).index
        assert (index.name, index.version, index.in_service) == ("content", 1, True)
        assert (index.vector_count, index.changed_count) == (203, 0)
        after = await server.recommender.SimilarTracks(similar)
        assert {track.track_id for track in after.tracks} == {track.track_id for track in before.tracks}
    assert (await server.models.RebuildIndex(pb.RebuildIndexRequest(name="collaborative"))).index.vector_count == 200


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (pb.RebuildIndexRequest(), grpc.StatusCode.INVALID_ARGUMENT, "name"),
        (pb.RebuildIndexRequest(name="content", version=-1), grpc.StatusCode.INVALID_ARGUMENT, "version: is -1"),
        (pb.RebuildIndexRequest(name="ncf"), grpc.StatusCode.NOT_FOUND, "there are those of: collaborative/1"),
        (pb.RebuildIndexRequest(name="content", version=7), grpc.StatusCode.NOT_FOUND, "'content/7'"),
    ],
)
async def test_what_has_no_index_is_named(server: Any, request_: Any, code: grpc.StatusCode, words: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await server.models.RebuildIndex(request_)
    assert failure.value.code() is code
    assert words in failure.value.details()


async def test_recall_is_measured_when_built_now_and_on_live_searches(start: Start, repository: Any) -> None:
    with_measured_index(repository)
    async with start(repository.path, recall_sample_share=1.0) as server:
        report = await server.models.GetRecallReport(pb.GetRecallReportRequest())
        assert report.sample_share == 1.0
        assert [(index.name, index.version) for index in report.indexes] == [
            ("collaborative", 1),
            ("content", 1),
            ("content", 2),
        ]
        assert not any(index.HasField("live") or index.HasField("held_out") for index in report.indexes)
        built = report.indexes[2].built
        assert (built.k, built.target) == (10, pytest.approx(0.9))
        assert built.measured >= 0.9
        assert built.query_count > 0

        await server.recommender.SimilarTracks(recommender_pb.SimilarTracksRequest(track_id="t001", limit=10))
        while not report.indexes[1].live_count:
            report = await server.models.GetRecallReport(pb.GetRecallReportRequest(measure=True))
            await asyncio.sleep(0)
        assert report.sampled_count >= report.indexes[1].live_count
        assert 0.9 <= report.indexes[1].live <= 1.0
        assert not report.indexes[2].HasField("live")
        assert report.indexes[2].held_out == pytest.approx(built.measured, abs=0.05)
        assert not report.indexes[1].HasField("held_out")


def test_the_command_line_shows_and_rebuilds_them(repository: Any, tmp_path: Path) -> None:
    with_measured_index(repository)
    with far_server(repository.path, tmp_path / "state") as address:

        def run(*arguments: str) -> str:
            done = CliRunner().invoke(
                app, ["index", *arguments], env={"AUDOTICS_SERVER": address, "COLUMNS": "120", "NO_COLOR": "1"}
            )
            assert done.exit_code == 0, done.output
            return done.stdout

        lines = [line.split() for line in run("list").splitlines() if "/" in line]
        assert [line[0] for line in lines] == ["collaborative/1", "content/1", "content/2"]
        assert lines[1][-5:] == ["200", "0", "0", "in", "service"]
        assert lines[2][-3:] == ["200", "0", "0"]
        assert [index["version"] for index in json.loads(run("list", "--json"))] == [1, 1, 2]
        assert run("rebuild", "content").startswith("content/1: hnsw links 16")
        assert "200 vectors, 0 of them beside the index" in run("rebuild", "content", "2", "--retrain")
        (row,) = [line.split() for line in run("recall", "--measure").splitlines() if "content/2" in line]
        assert row[1:3] == ["10", "0.900"]
        assert float(row[4]) >= 0.85
        assert json.loads(run("recall", "--json"))["sample_share"] == 0.001
