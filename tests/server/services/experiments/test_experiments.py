"""Experiments without a wire: clocks that jump, databases that fail, several servers, and promotions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import pytest

from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError, RefusedModelError
from audotics.server.experiments.assignment import arm_of
from audotics.server.experiments.experiment import Arm, Treatment
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.storage.database import Database
from audotics.server.storage.errors import StorageError
from audotics.server.types import ModelSelector, RecommendQuery, Subject
from tests.server.services.experiments.one_server import HOUR_S, PLAN, Clock, Server


class RepositoryFiles(Protocol):
    store: BundleStore


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
    assert (await registry.model("hybrid")).labels == {}
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
    assert (await registry.model("hybrid")).labels == {}
    assert registry.snapshot.model_versions == before
    assert (await server.experiments.experiment("x")).state == "running"
    with database.transaction() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")
    promoted = await server.experiments.promote("x", "b")
    assert promoted.promoted == (("hybrid", 2),)
    assert (await registry.model("hybrid")).labels == {"stable": 2}
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
