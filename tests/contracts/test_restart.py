"""A PostgreSQL server that is killed and comes back: what fails says so, and what comes after works at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from audotics.server.app import open_app
from audotics.server.settings import load_settings
from audotics.server.storage.database import Database
from audotics.server.storage.errors import StorageError
from audotics.server.storage.events import EventStore
from audotics.server.types import Event
from audotics.v1 import feedback_service_pb2 as pb
from audotics.v1 import feedback_service_pb2_grpc, recommender_service_pb2, recommender_service_pb2_grpc
from tests.postgres import Postgres
from tests.small_repository import write_repository


@pytest.fixture
def killed(postgres: Postgres) -> Iterator[Callable[[], None]]:
    """Return a function that kills the server; it runs again after the test, whatever happens."""
    yield postgres.kill
    postgres.start()


def play(number: int) -> Event:
    return Event(f"e{number}", "u", f"t{number:03d}", "play", 1.0)


def test_a_store_says_that_it_is_away_and_goes_on_when_it_is_back(
    postgres: Postgres, killed: Callable[[], None]
) -> None:
    with closing(Database.open(postgres.empty())) as database:
        events = EventStore(database)
        assert events.append([play(1)], received_at=1.0) == ["accepted"]
        killed()
        for _ in range(2):
            with pytest.raises(StorageError, match="database cannot be reached; start it or check the URL"):
                events.append([play(2)], received_at=2.0)
        postgres.start()
        assert events.append([play(1), play(2)], received_at=3.0) == ["duplicate", "accepted"]
        assert events.history("u") == [play(1), play(2)]


@pytest.fixture
async def server(postgres: Postgres, tmp_path: Path) -> AsyncIterator[tuple[Any, Any]]:
    """Stubs of a served repository whose state is in PostgreSQL: feedback and recommendations."""
    repository = write_repository(tmp_path / "repository").path
    settings = load_settings(repository=repository, port=0, threads=2, database_url=postgres.empty())
    async with open_app(settings) as app, grpc.aio.insecure_channel(app.address) as channel:
        yield (
            feedback_service_pb2_grpc.FeedbackServiceStub(channel),
            recommender_service_pb2_grpc.RecommenderServiceStub(channel),
        )


async def test_lists_go_on_without_the_database_and_events_do_not(
    server: tuple[Any, Any], postgres: Postgres, killed: Callable[[], None]
) -> None:
    feedback, recommender = server

    async def record(number: int) -> Any:
        event = pb.FeedbackEvent(
            event_id=f"e{number}", user_id="u00", track_id=f"t{number:03d}", type=pb.EVENT_TYPE_PLAY
        )
        return (await feedback.RecordFeedback(pb.RecordFeedbackRequest(events=[event]))).results[0].status

    async def recommend(user_id: str) -> Any:
        subject = recommender_service_pb2.Subject(user_id=user_id)
        return await recommender.Recommend(recommender_service_pb2.RecommendRequest(subject=subject, limit=150))

    assert await record(1) == pb.FEEDBACK_STATUS_ACCEPTED
    await recommend("u00")
    killed()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await record(2)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    # What is not in memory cannot be read, and the answer says so; the training history is there all the same.
    for user_id in ("u00", "u01"):
        answer = await recommend(user_id)
        assert len(answer.tracks) == 150
        assert [part.part for part in answer.degraded] == ["user"]
    postgres.start()
    assert await record(2) == pb.FEEDBACK_STATUS_ACCEPTED
    answer = await recommend("u00")
    assert not answer.degraded
    assert not {"t001", "t002"} & {track.track_id for track in answer.tracks}
