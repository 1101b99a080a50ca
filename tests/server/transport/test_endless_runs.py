"""Models in service that loop for ever on some input: callers, the batcher's threads, rollbacks and the end of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray

from audotics.server.transport.compat.stubs import inference_pb2 as pb
from audotics.server.transport.compat.v2.codec import decode_outputs, encode_request
from audotics.v1 import model_service_pb2 as models_pb
from audotics.v1 import recommender_service_pb2 as pb2
from tests.counting_model import FOR_EVER, hang_on, numbers, write_counting_model

Start = Callable[..., AbstractAsyncContextManager[Any]]
Feeds = dict[str, NDArray[Any]]
METHOD = "/inference.GRPCInferenceService/ModelInfer"
UNLUCKY = 150
"""The row of a track on which models hang that were altered so. None of the recorded inputs has it."""

HOURS = 3600.0


async def infer(server: Any, feeds: Feeds, *, model: str = "counting", timeout_s: float | None = None) -> Any:
    method = server.channel.unary_unary(
        METHOD, pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString
    )
    request = encode_request(model, "", feeds, ["counted" if model == "counting" else "logit"])
    answer = await method(request, timeout=timeout_s)
    return next(iter(decode_outputs(answer).values())).tolist()


def asking(*, limit: int = 500, **subject: Any) -> pb2.RecommendRequest:
    return pb2.RecommendRequest(subject=pb2.Subject(**subject), limit=limit)


async def until_served(server: Any, *, times: int) -> None:
    """Until the event loop has answered so often, so that it has taken what was sent before."""
    health = health_pb2_grpc.HealthStub(server.channel)
    for _ in range(times):
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def failure(work: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await work
    return failed.value


def pairs(*tracks: int) -> Feeds:
    return {
        "history": np.asarray([[0, 4]]),
        "user_index": np.zeros(len(tracks), np.int64),
        "track": np.asarray(tracks, np.int64),
    }


@pytest.fixture
def unlucky(repository: Any, sign_again: Callable[..., None]) -> Callable[..., None]:
    """`unlucky(name, version)`: alter a version of NCF or the collaborative model so that it hangs."""

    def alter(name: str, version: int = 1) -> None:
        bundle: Path = repository.path / name / str(version)
        given, output = {"ncf": ("track", "logit"), "collaborative": ("history", "user_vector")}[name]
        hang_on(bundle / "model.onnx", given, UNLUCKY, output=output)
        sign_again(bundle)

    return alter


async def test_a_run_that_takes_too_long_is_an_error_and_the_model_goes_on(
    repository: Any, start: Start, details: Callable[..., list[Any]]
) -> None:
    write_counting_model(repository.store)
    async with start(repository.path, run_limit_s=0.4) as server:
        error = await failure(infer(server, numbers(FOR_EVER)))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert str(error.details()).startswith("counting/1: the model did not finish within 0.")
        assert details(error, error_details_pb2.ErrorInfo)[0].reason == "MODEL_UNFINISHED"
        assert await infer(server, numbers(2, 5)) == [2, 5]


async def test_threads_come_back_after_the_deadlines_of_all_who_waited(repository: Any, start: Start) -> None:
    """More runs hang than there are threads."""
    write_counting_model(repository.store)
    async with start(repository.path, run_limit_s=HOURS) as server:
        for _ in range(2):
            hung = [failure(infer(server, numbers(FOR_EVER, row), timeout_s=0.2)) for row in range(4)]
            assert {error.code() for error in await asyncio.gather(*hung)} == {grpc.StatusCode.DEADLINE_EXCEEDED}
            assert await infer(server, numbers(3), timeout_s=60.0) == [3]
        assert await infer(server, pairs(1, 2), model="ncf", timeout_s=60.0)


async def test_a_run_on_the_event_loop_goes_on_elsewhere(repository: Any, start: Start) -> None:
    """By what was measured it takes no time, so it runs where all else waits for it; then it does not end."""
    write_counting_model(repository.store)
    async with start(repository.path, run_limit_s=HOURS) as server:
        for _ in range(20):
            assert await infer(server, numbers(1)) == [1]
        hung = asyncio.ensure_future(failure(infer(server, numbers(FOR_EVER), timeout_s=60.0)))
        await until_served(server, times=10)
        for _ in range(3):
            await server.recommender.Recommend(asking(user_id="u00", limit=5))
        assert not hung.done()
        hung.cancel()
        await asyncio.wait([hung])


async def test_callers_of_the_same_batch_get_their_own(repository: Any, start: Start) -> None:
    write_counting_model(repository.store)
    async with start(repository.path, run_limit_s=0.3) as server:
        hung = asyncio.ensure_future(failure(infer(server, numbers(FOR_EVER))))
        others = await asyncio.gather(*(infer(server, numbers(row)) for row in range(8)))
        assert others == [[row] for row in range(8)]
        assert (await hung).code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("name", ["ncf", "collaborative"])
async def test_a_list_is_made_without_a_model_that_hangs(
    repository: Any, start: Start, unlucky: Callable[..., None], name: str
) -> None:
    unlucky(name)
    asked = asking(session=pb2.AnonymousSession(track_ids=[f"t{UNLUCKY:03d}"]))
    if name == "ncf":
        asked = asking(user_id="u00")  # all tracks are candidates
    async with start(repository.path, run_limit_s=0.3) as server:
        answer = await server.recommender.Recommend(asked)
        assert answer.tracks
        assert f"{name}/1: the model did not finish within" in " ".join(part.detail for part in answer.degraded)


async def test_a_rollback_waits_for_no_run_and_lists_are_whole_again(
    repository: Any, make_repository: Any, start: Start, unlucky: Callable[..., None]
) -> None:
    make_repository(repository.path)
    unlucky("ncf", 2)
    asked = asking(user_id="u00")
    async with start(repository.path, run_limit_s=HOURS, probation_s=0) as server:
        hung = asyncio.ensure_future(server.recommender.Recommend(asked))
        await until_served(server, times=10)
        await server.models.Rollback(models_pb.RollbackRequest(name="hybrid"))
        hung.cancel()
        answer = await server.recommender.Recommend(asked, timeout=60.0)
        assert not [part for part in answer.degraded if part.part == "ncf"]
        assert 1 in [made.version for made in answer.model_versions if made.model == "ncf"]


async def test_a_server_stops_while_runs_hang(repository: Any, start: Start) -> None:
    write_counting_model(repository.store)
    async with start(repository.path, run_limit_s=HOURS, drain_s=0.1) as server:
        hung = [asyncio.ensure_future(failure(infer(server, numbers(FOR_EVER, row)))) for row in range(3)]
        await until_served(server, times=10)
    await asyncio.wait(hung)


async def test_the_gate_asks_for_no_more_lists_than_one_that_takes_too_long(
    repository: Any, make_repository: Any, start: Start, unlucky: Callable[..., None]
) -> None:
    make_repository(repository.path)
    unlucky("ncf", 2)
    golden = [{"session_tracks": [f"t{UNLUCKY:03d}"], "limit": 500, "expected": ["t000"]}] * 100
    (repository.path / "golden.json").write_text(json.dumps(golden))
    async with start(repository.path, version_policy="1", run_limit_s=0.5) as server:
        error = await failure(
            server.models.SetLabel(models_pb.SetLabelRequest(name="hybrid", label="stable", version=2))
        )
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "hybrid/2 does not pass the promotion gate: a list is not made within 0.5 s. It stays" in str(
            error.details()
        )
