"""Experiments without a wire: guardrails, clocks that jump, databases that fail, several servers, and reports."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pytest

from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError, RefusedModelError
from audotics.server.experiments.assignment import arm_of
from audotics.server.experiments.experiment import Arm, Plan, Treatment
from audotics.server.experiments.policies import Rule
from audotics.server.pipeline.group_query import GroupMember, GroupQuery
from audotics.server.pipeline.group_recommender import GroupRecommender
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.assigner import Assigner
from audotics.server.services.changes import Changes
from audotics.server.services.clock import SteadyClock
from audotics.server.services.event_log import EventLog
from audotics.server.services.experiment_report import ReportService
from audotics.server.services.experiment_watch import ExperimentWatch
from audotics.server.services.experiments import ExperimentService
from audotics.server.services.listeners import Listeners
from audotics.server.services.models import ModelService
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.services.recommend import RecommendService
from audotics.server.services.recommend_group import RecommendGroupService
from audotics.server.services.sessions import SessionService
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.database import Database
from audotics.server.storage.errors import StorageError
from audotics.server.storage.experiments import ExperimentStore
from audotics.server.storage.exposures import ExposureStore, StoredExposure
from audotics.server.storage.receipts import ReceiptStore
from audotics.server.storage.sessions import SessionStore
from audotics.server.types import Event, Exposure, ModelSelector, RecommendQuery, Subject

HOUR_S = 3600.0


class RepositoryFiles(Protocol):
    store: BundleStore


class Clock:
    """A clock that is set by hand, also back."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@dataclass(frozen=True)
class Server:
    """The services of one server on a database."""

    assigner: Assigner
    experiments: ExperimentService
    reports: ReportService
    watch: ExperimentWatch
    recommend: RecommendService


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(
    registry: Registry,
    database: Database,
    log: EventLog,
    executor: ThreadPoolExecutor,
    uninterrupted: Uninterrupted,
    listeners: Listeners,
    recommender: Recommender,
    receipts: ReceiptWriter,
    clock: Clock,
) -> Callable[[], Server]:
    def starting() -> Server:
        assigner, steady = Assigner(), SteadyClock(clock)
        experiments = ExperimentService(
            registry=registry,
            models=ModelService(registry=registry, uninterrupted=uninterrupted),
            store=ExperimentStore(database),
            log=log,
            assigner=assigner,
            executor=executor,
            uninterrupted=uninterrupted,
            now=steady,
            draw_salt=lambda: "the same in every run",
        )
        exposures = ExposureStore(database)
        return Server(
            assigner,
            experiments,
            ReportService(
                experiments=experiments,
                assigner=assigner,
                exposures=exposures,
                writer=receipts,
                executor=executor,
                now=steady,
            ),
            ExperimentWatch(
                experiments=experiments, assigner=assigner, exposures=exposures, executor=executor, interval_s=60.0
            ),
            RecommendService(registry=registry, listeners=listeners, recommender=recommender, assigner=assigner),
        )

    return starting


@pytest.fixture
def server(start: Callable[[], Server]) -> Server:
    return start()


PLAN = Plan(
    name="x",
    arms=(Arm("a", 0.5), Arm("b", 0.25, Treatment(diversity=0.8)), Arm("c", 0.25, Treatment(diversity=0.1))),
    control="a",
    description="",
    layer="default",
    metric="engagement",
    window_s=HOUR_S,
    smallest_lift=0.2,
)


def observe(
    assigner: Assigner, arm: str, *, requests: int, failed: int = 0, elapsed_s: float = 0.005, members: int = 0
) -> None:
    for number in range(requests):
        shown, took_s = [Exposure("x", arm, 0.5)], elapsed_s * (1 + number % 3 / 10)
        assigner.observe(shown, elapsed_s=took_s, failed=number < failed, members=members)


async def test_while_nothing_runs_a_query_is_left_as_it_is(server: Server) -> None:
    query = RecommendQuery(Subject("user", user_id="u00"), limit=5)
    assert not server.assigner.running
    assert server.assigner.assign(query) is query
    assert (await server.recommend.recommend(query)).exposures == ()
    assert query.arm_key == ""


async def test_learners_are_kept_apart_by_the_key_of_the_arms(server: Server) -> None:
    created = await server.experiments.create(PLAN, traffic_share=1.0)
    query = server.assigner.assign(RecommendQuery(Subject("user", user_id="u00"), limit=5))
    assert query.arm_key == f"x/{arm_of(created, 'u00').name}"


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


async def test_another_server_follows_at_its_next_look(start: Callable[[], Server]) -> None:
    first, second = start(), start()
    await first.experiments.create(PLAN, traffic_share=1.0, overrides=[("u00", "c")])
    assert not second.assigner.running
    await second.watch.check()
    query = second.assigner.assign(RecommendQuery(Subject("user", user_id="u00"), limit=5))
    assert [(each.arm, each.propensity) for each in query.exposures] == [("c", 1.0)]
    await second.experiments.stop("x", "enough")
    await first.watch.check()
    assert not first.assigner.running


async def test_a_clock_that_is_set_back_undoes_nothing(server: Server, clock: Clock) -> None:
    await server.experiments.create(PLAN, traffic_share=1.0)
    clock.time -= 7 * 24 * HOUR_S
    stopped = await server.experiments.stop("x", "enough")
    assert stopped.stopped_at == stopped.created_at
    times = [record.at for record in stopped.records]
    assert times == sorted(times)


async def test_a_database_that_fails_starts_and_ends_nothing(server: Server, database: Database) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE experiment_records RENAME TO elsewhere")
    with pytest.raises(StorageError):
        await server.experiments.create(PLAN, traffic_share=1.0)
    assert not server.assigner.running
    with database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO experiment_records")
    assert await server.experiments.experiments() == []
    await server.experiments.create(PLAN, traffic_share=1.0)
    assert server.assigner.running


async def test_a_full_disk_says_so_and_nothing_is_half_there(server: Server, database: Database) -> None:
    """The database may take no page more than it has."""
    with database.transaction() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    overrides = [(f"listener-{number:04d}" * 8, "b") for number in range(1000)]
    with pytest.raises(StorageError, match="disk is full"):
        await server.experiments.create(PLAN, traffic_share=1.0, overrides=overrides)
    assert await server.experiments.experiments() == []
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM experiment_overrides").scalar() == 0


async def test_a_promotion_that_fails_leaves_every_label_where_it_was(
    server: Server, registry: Registry, repository: RepositoryFiles
) -> None:
    before = registry.snapshot.model_versions
    models = ModelSelector(versions=(("hybrid", 1), ("ncf", 1)))
    plan = replace(PLAN, arms=(Arm("a", 0.5), Arm("b", 0.5, Treatment(models=models))))
    await server.experiments.create(plan, traffic_share=1.0)
    await registry.unload_version("ncf", 1)
    (repository.store.root / "ncf" / "1" / "model.onnx").write_bytes(b"altered")
    with pytest.raises((RefusedModelError, NotFoundError)):
        await server.experiments.promote("x", "b", label="winner")
    assert (await server.experiments.experiment("x")).state == "running"
    assert registry.model("hybrid").labels == {}
    assert dict(registry.snapshot.model_versions)["hybrid"] == dict(before)["hybrid"]


async def test_a_promotion_that_cannot_be_recorded_is_taken_back(
    server: Server,
    registry: Registry,
    repository: RepositoryFiles,
    make_repository: Callable[..., object],
    database: Database,
) -> None:
    make_repository(repository.store.root)
    await registry.load_beside("hybrid", 2)
    before = registry.snapshot.model_versions
    models = ModelSelector(versions=(("hybrid", 2),))
    await server.experiments.create(
        replace(PLAN, arms=(Arm("a", 0.5), Arm("b", 0.5, Treatment(models=models)))), traffic_share=1.0
    )
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON experiment_records BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    with pytest.raises(StorageError):
        await server.experiments.promote("x", "b")
    assert registry.model("hybrid").labels == {}
    assert registry.snapshot.model_versions == before
    assert (await server.experiments.experiment("x")).state == "running"
    with database.transaction() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")
    promoted = await server.experiments.promote("x", "b")
    assert promoted.promoted == (("hybrid", 2),)
    assert registry.model("hybrid").labels == {"stable": 2}
    assert dict(registry.snapshot.model_versions)["hybrid"] == 2


async def test_arms_remember_lists_apart_so_that_none_is_faster_for_what_was_known_before(
    server: Server, recommender: Recommender
) -> None:
    query = RecommendQuery(Subject("user", user_id="u00"), limit=5)
    await server.recommend.recommend(query)
    await server.experiments.create(PLAN, traffic_share=1.0, overrides=[("u00", "a")])
    for _ in range(2):
        await server.recommend.recommend(query)
    assert await recommender.forget("u00") == 2


async def test_a_tilt_is_applied_once_however_often_a_list_is_asked_for(server: Server) -> None:
    tilts = Treatment(tilt=(4.0, 0.25, 1.0, 1.0, 2.0, 1.0))
    await server.experiments.create(
        replace(PLAN, arms=(Arm("a", 0.5), Arm("b", 0.5, tilts))), traffic_share=1.0, overrides=[("u00", "b")]
    )
    query = RecommendQuery(Subject("user", user_id="u00"), limit=5)
    first, *others = [await server.recommend.recommend(query) for _ in range(3)]
    scores = [track.score for track in first.tracks]
    assert [[track.score for track in answer.tracks] for answer in others] == [scores, scores]
    assert [track.track_id for track in others[1].tracks] == [track.track_id for track in first.tracks]


async def simulate(server: Server, database: Database, log: EventLog, clock: Clock, *, listeners: int) -> None:
    """Lists of all arms, half an hour long, of which b engages more and c as the control does."""
    experiment = await server.experiments.experiment("x")
    rng = np.random.default_rng(0)
    shown, events = [], []
    chances = {"a": 0.2, "b": 0.5, "c": 0.2}
    for number in range(listeners):
        user_id = f"l{number}"
        arm = arm_of(experiment, user_id)
        for turn in range(2):
            list_id = f"{user_id}-{turn}"
            made_at = clock.time + number / listeners + turn
            shown.append(StoredExposure(list_id, "x", arm.name, arm.share, user_id, made_at, number % 50, "", 0.5))
            if rng.random() < chances[arm.name]:
                events.append(Event(list_id, user_id, "t001", "play", made_at, list_id))
    ReceiptStore(database).write([], exposures=shown)
    await log.append(events, received_at=clock.time + 10)


async def test_a_report_names_the_winner_once_it_is_certain(
    server: Server, database: Database, log: EventLog, clock: Clock
) -> None:
    await server.experiments.create(PLAN, traffic_share=1.0)
    await simulate(server, database, log, clock, listeners=1200)
    early = await server.reports.report("x")
    assert [arm.observed_listeners for arm in early.arms] == [0, 0, 0]
    assert "1200 listeners are within their first 1 h and count later" in early.notes
    clock.time += 2 * HOUR_S
    report = await server.reports.report("x")
    assert sum(arm.observed_listeners for arm in report.arms) == 1200
    values = {arm.arm: dict(arm.metrics)["engagement"] for arm in report.arms}
    assert values == pytest.approx({"a": 0.2, "b": 0.5, "c": 0.2}, abs=0.06)
    lifts = {each.arm: each.lift for each in report.comparisons if each.metric == "engagement"}
    assert lifts["b"] is not None
    assert lifts["c"] is not None
    assert lifts["b"].low > 0.5
    assert lifts["c"].low < 0 < lifts["c"].high
    assert report.winner == "b"
    assert not report.sample_ratio.alarm

    estimates = await server.reports.evaluate("x", [Rule({"b": 1.0})], metric="engagement", clip=0.0)
    assert estimates.snips.estimate == pytest.approx(values["b"])
    assert estimates.ips.low < 0.5 < estimates.ips.high


async def test_a_policy_is_judged_by_what_was_logged_while_every_arm_was_served(
    server: Server, database: Database, log: EventLog, clock: Clock
) -> None:
    """Afterwards the stopped arm's listeners are missing, and the others would weigh too much."""
    created = await server.experiments.create(PLAN, traffic_share=1.0)
    await simulate(server, database, log, clock, listeners=600)
    clock.time += 60
    await server.experiments.stop_arm("x", "b", "slow")
    late = [f"late{number}" for number in range(600)]
    arms = {user_id: arm_of(created, user_id) for user_id in late}
    shown = [
        StoredExposure(user_id, "x", arm.name, arm.share, user_id, clock.time + 60, 3, "", 0.5)
        for user_id, arm in arms.items()
        if arm.name != "b"
    ]
    ReceiptStore(database).write([], exposures=shown)
    clock.time += 2 * HOUR_S
    estimates = await server.reports.evaluate("x", [Rule({"a": 1.0})], metric="engagement", clip=0.0)
    assert (estimates.lists, estimates.listeners) == (1200, 600)
    assert not (await server.reports.report("x")).sample_ratio.alarm


async def test_missing_listeners_raise_an_alarm_and_there_is_no_winner(
    server: Server, database: Database, log: EventLog, clock: Clock
) -> None:
    await server.experiments.create(PLAN, traffic_share=1.0)
    await simulate(server, database, log, clock, listeners=1200)
    with database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM exposures WHERE arm = 'b' AND user_id LIKE '%3-%' OR user_id LIKE '%7'")
        connection.exec_driver_sql("DELETE FROM exposures WHERE arm = 'b' AND history_length < 20")
    clock.time += 2 * HOUR_S
    report = await server.reports.report("x")
    assert report.sample_ratio.alarm
    assert report.winner == ""
    assert any("no comparison means anything" in note for note in report.notes)


async def test_what_comes_after_the_end_does_not_count(
    server: Server, database: Database, log: EventLog, clock: Clock
) -> None:
    await server.experiments.create(PLAN, traffic_share=1.0)
    await simulate(server, database, log, clock, listeners=50)
    clock.time += HOUR_S / 2
    await server.experiments.stop("x", "too early")
    clock.time += 24 * HOUR_S
    report = await server.reports.report("x")
    assert [arm.observed_listeners for arm in report.arms] == [0, 0, 0]
