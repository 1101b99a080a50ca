"""Guardrails without a wire: what stops an arm, and what does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from audotics.server.experiments.assignment import arm_of
from audotics.server.pipeline.group_query import GroupMember, GroupQuery
from audotics.server.pipeline.group_recommender import GroupRecommender
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.assigner import Assigner
from audotics.server.services.changes import Changes
from audotics.server.services.event_log import EventLog
from audotics.server.services.listeners import Listeners
from audotics.server.services.recommend_group import RecommendGroupService
from audotics.server.services.sessions import SessionService
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.database import Database
from audotics.server.storage.exposures import StoredExposure
from audotics.server.storage.receipts import ReceiptStore
from audotics.server.storage.sessions import SessionStore
from audotics.server.types import Exposure, RecommendQuery, Subject
from tests.server.services.experiments.one_server import PLAN, Server


def observe(
    assigner: Assigner, arm: str, *, requests: int, failed: int = 0, elapsed_s: float = 0.005, members: int = 0
) -> None:
    for number in range(requests):
        shown, took_s = [Exposure("x", arm, 0.5)], elapsed_s * (1 + number % 3 / 10)
        assigner.observe(shown, elapsed_s=took_s, failed=number < failed, members=members)


async def test_a_guardrail_stops_an_arm_says_why_and_moves_nobody(server: Server) -> None:
    created = await server.experiments.create(PLAN, traffic_share=1.0)
    for arm in ("a", "c"):
        observe(server.assigner, arm, requests=300)
    observe(server.assigner, "b", requests=300, failed=60)
    await server.watch.check()
    stopped = await server.experiments.experiment("x")
    assert stopped.state == "running"
    assert set(stopped.stopped_arms) == {"b"}
    assert "60 of 300 requests failed, and 0 of 300 of the control" in stopped.stopped_arms["b"].detail
    assert server.watch.stops == {("x", "b"): 1}
    for number in range(100):
        user_id = f"l{number}"
        query = server.assigner.assign(RecommendQuery(Subject("user", user_id=user_id), limit=5))
        drawn = arm_of(created, user_id).name
        assert [each.arm for each in query.exposures] == ([] if drawn == "b" else [drawn])
    report = await server.reports.report("x")
    assert any(note.startswith("a guardrail stopped b: 60 of 300") for note in report.notes)


async def test_requests_of_groups_are_counted_by_their_size(
    server: Server,
    registry: Registry,
    listeners: Listeners,
    recommender: Recommender,
    database: Database,
    log: EventLog,
    executor: ThreadPoolExecutor,
    uninterrupted: Uninterrupted,
) -> None:
    created = await server.experiments.create(PLAN, traffic_share=1.0)
    async with Changes(limit=1) as changes:
        service = RecommendGroupService(
            registry=registry,
            listeners=listeners,
            recommender=GroupRecommender(recommender, executor=executor),
            sessions=SessionService(
                sessions=SessionStore(database),
                registry=registry,
                log=log,
                changes=changes,
                executor=executor,
                uninterrupted=uninterrupted,
                now=lambda: 1.0,
            ),
            assigner=server.assigner,
        )
        for size in (1, 2, 6):
            query = GroupQuery(tuple(GroupMember(f"u{number:02d}") for number in range(size)), 5)
            assert (await service.recommend(query)).exposures
    counted = {
        band: each.count
        for arm in created.plan.arms
        for band, each in server.assigner.health("x", arm.name).requests.items()
    }
    assert counted == {1: 1, 2: 1, 3: 1}


async def test_an_arm_that_gets_more_groups_goes_on(server: Server, database: Database) -> None:
    await server.experiments.create(PLAN, traffic_share=1.0)
    for arm, groups in (("a", 30), ("b", 600), ("c", 30)):
        observe(server.assigner, arm, requests=200)
        observe(server.assigner, arm, requests=groups, elapsed_s=0.05, members=5)
    rows = [
        StoredExposure(f"{arm}{n}", "x", arm, 0.25, "" if group else f"u{n}", 1.0, 3, "", diversity, group)
        for arm, groups in (("a", 30), ("b", 300), ("c", 30))
        for n in range(400)
        for group, diversity in [("sessions/s", 0.2 + n % 7 / 100) if n < groups else ("", 0.6 + n % 7 / 100)]
    ]
    ReceiptStore(database).write([], exposures=rows)
    await server.watch.check()
    assert not (await server.experiments.experiment("x")).stopped_arms


async def test_an_experiment_ends_when_only_the_control_is_left(server: Server) -> None:
    await server.experiments.create(PLAN, traffic_share=1.0)
    observe(server.assigner, "a", requests=300)
    for arm in ("b", "c"):
        observe(server.assigner, arm, requests=300, elapsed_s=0.05)
    await server.watch.check()
    ended = await server.experiments.experiment("x")
    assert ended.state == "stopped"
    assert [record.event for record in ended.records] == ["created", "arm_stopped", "arm_stopped", "stopped"]
    assert not server.assigner.running


async def test_lists_that_are_all_alike_stop_their_arm(server: Server, database: Database) -> None:
    await server.experiments.create(PLAN, traffic_share=1.0)
    rows = [
        StoredExposure(f"{arm}{n}", "x", arm, 0.25, f"u{n}", 1.0, 3, "", diversity + n % 7 / 100)
        for arm, diversity in (("a", 0.6), ("b", 0.58), ("c", 0.1))
        for n in range(200)
    ]
    ReceiptStore(database).write([], exposures=rows)
    await server.watch.check()
    stopped = (await server.experiments.experiment("x")).stopped_arms
    assert set(stopped) == {"c"}
    assert "diversity of lists" in stopped["c"].detail
