"""Reports without a wire: on listeners whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.server.experiments.assignment import arm_of
from audotics.server.experiments.policies import Rule
from audotics.server.services.event_log import EventLog
from audotics.server.storage.database import Database
from audotics.server.storage.exposures import StoredExposure
from audotics.server.storage.receipts import ReceiptStore
from audotics.server.types import Event
from tests.server.services.experiments.one_server import HOUR_S, PLAN, Clock, Server


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
