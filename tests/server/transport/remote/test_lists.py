"""Lists by models that lie on another server which has fallen silent: nobody waits longer than their caller."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from audotics.bundle.store import BundleStore
from audotics.server.errors import DeadlineError
from audotics.server.pipeline.group_query import GroupMember, GroupQuery, GroupRecommendation, Strategy
from audotics.server.pipeline.group_recommender import GroupRecommender
from audotics.server.pipeline.options import PipelineOptions
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.runtime.opening import RuntimeOpener
from audotics.server.transport.remote.servers import RemoteServers
from audotics.server.types import DegradationReason, Listener, RankQuery, Recommendation, RecommendQuery, Subject
from tests.far_server import far_server
from tests.server.group_bundles import write_group_model

INFER = "/inference.GRPCInferenceService/ModelInfer"
LATE_S = 0.6


class Between:
    """Passes calls on to another server; while `holding` an inference waits until its caller has gone."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self.holding = False
        self.given_s: list[float] = []
        """How long the callers of held inferences were going to wait."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            if self.holding and details.method == INFER:
                gone = threading.Event()
                self.given_s.append(context.time_remaining())
                if context.add_callback(gone.set):
                    gone.wait(60)
            return self._channel.unary_unary(details.method)(request)

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def between(address: str) -> Iterator[tuple[Between, str]]:
    """Somebody who stands before the server at `address`, and where."""
    with grpc.insecure_channel(address) as channel:
        handler = Between(channel)
        server = grpc.server(ThreadPoolExecutor(8), handlers=[handler])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield handler, f"127.0.0.1:{port}"
        finally:
            server.stop(0).wait()


@dataclass
class Front:
    """Recommenders whose models lie beyond `far`, which holds what it is asked."""

    registry: Registry
    recommender: Recommender
    groups: GroupRecommender
    far: Between

    def listener(self, user_id: str) -> Listener:
        rows = self.registry.snapshot.catalog.history_rows(user_id)
        assert rows is not None
        return Listener(history=rows, seen=rows)

    async def recommend(self, user_id: str) -> Recommendation:
        query = RecommendQuery(Subject("user", user_id), 5, deadline=time.monotonic() + LATE_S)
        return await self.recommender.recommend(self.registry.snapshot, self.listener(user_id), query)

    async def recommend_group(self, *user_ids: str) -> GroupRecommendation:
        members = tuple(GroupMember(user_id) for user_id in user_ids)
        deadline = time.monotonic() + LATE_S
        query = GroupQuery(members, 5, strategy=Strategy.LEARNED_ATTENTION, deadline=deadline)
        listeners = [self.listener(user_id) for user_id in user_ids]
        return await self.groups.recommend(self.registry.snapshot, listeners, query)


OpenFront = Callable[..., Any]


@pytest.fixture
def open_front(repository: Any, tmp_path: Path) -> OpenFront:
    """`open_front(*models)`: these lie on the other server. No list falls back: what was not left out is waited for."""

    @asynccontextmanager
    async def opened(*models: str) -> AsyncIterator[Front]:
        far_repository = shutil.copytree(repository.path, tmp_path / "far-repository")
        with (
            far_server(far_repository, tmp_path / "far") as address,
            between(address) as (far, passed_on),
            ThreadPoolExecutor(4) as executor,
            RemoteServers(max_message_bytes=2**22) as remotes,
        ):
            for model in models:
                choice = {"runtime": "v2", "address": passed_on, "timeout_s": 60, "attempts": 1}
                (repository.path / model / "runtime.json").write_text(json.dumps(choice))
            options = PipelineOptions(fallback_reserve_s=-60.0)
            async with (
                Registry(
                    BundleStore(repository.path), executor=executor, runtimes=RuntimeOpener(remotes=remotes.openers)
                ) as registry,
                Recommender(executor=executor, options=options) as recommender,
            ):
                await registry.start()
                far.holding = True
                groups = GroupRecommender(recommender, executor=executor, options=options)
                yield Front(registry, recommender, groups, far)

    return opened


def late(answer: Any) -> set[str]:
    """Parts that were left out, all of them for want of time."""
    assert {part.reason for part in answer.degraded} == {DegradationReason.DEADLINE}
    return {part.part for part in answer.degraded}


async def test_a_silent_model_is_left_out_of_each_list_when_its_caller_has_no_more_time(
    repository: Any, open_front: OpenFront
) -> None:
    async with open_front("ncf") as front:
        alone = await front.recommend("u01")
        together = await asyncio.gather(*(front.recommend(f"u{number:02d}") for number in range(4, 8)))
        for answer in (alone, *together):
            assert {"ncf"} <= late(answer) <= {"ncf", "hybrid"}
            assert len(answer.tracks) == 5
        assert {track.track_id for track in alone.tracks} <= repository.ids_of_taste(1)
        # One after the first goes on without its caller, to find out whether the server is only slow.
        assert front.far.given_s[0] < LATE_S
        assert sum(given_s > LATE_S for given_s in front.far.given_s) <= 1
        front.far.holding = False
        assert not (await front.recommend("u01")).degraded


@pytest.mark.parametrize("model", ["collaborative", "hybrid"])
async def test_any_model_of_a_list_may_be_silent(open_front: OpenFront, model: str) -> None:
    async with open_front(model) as front:
        answer = await front.recommend("u01")
        assert model in late(answer)
        assert len(answer.tracks) == 5
        assert [given_s < LATE_S for given_s in front.far.given_s] == [True]


@pytest.mark.parametrize("model", ["ncf", "group"])
async def test_a_silent_model_is_left_out_of_a_groups_list(repository: Any, open_front: OpenFront, model: str) -> None:
    write_group_model(repository)
    async with open_front(model) as front:
        answer = await front.recommend_group("u01", "u05")
        assert model in late(answer)
        assert len(answer.tracks) == 5
        assert answer.strategy is (Strategy.AVERAGE if "group" in late(answer) else Strategy.LEARNED_ATTENTION)
        # One after the first goes on without its caller, to find out whether the server is only slow.
        assert front.far.given_s[0] < LATE_S
        assert sum(given_s > LATE_S for given_s in front.far.given_s) <= 1


async def test_a_ranking_waits_no_longer_than_its_caller(open_front: OpenFront) -> None:
    async with open_front("ncf") as front:
        query = RankQuery(Subject("user", "u01"), ("t001",), deadline=time.monotonic() + LATE_S)
        with contextlib.suppress(DeadlineError):  # there may be no time left even to put them in order
            rows = np.asarray([1, 2, 3])
            await front.recommender.rank(front.registry.snapshot, front.listener("u01"), rows, query)
        assert [given_s < LATE_S for given_s in front.far.given_s] == [True]
