"""Learning while serving: lists are drawn, what they earn is settled, and policies come and go with their records."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from audotics.features.tilts import AS_TRAINED, TILTS
from audotics.server.errors import RefusedChangeError
from audotics.server.learning.credit import Overlap
from audotics.server.learning.judgement import Logged
from audotics.server.learning.proposal import StepLimits
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.event_log import EventLog
from audotics.server.services.explain import ExplainService
from audotics.server.services.learning import Learning, LearningLimits
from audotics.server.services.listeners import Listeners
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.services.recommend import RecommendService
from audotics.server.storage.database import Database
from audotics.server.storage.decisions import DecisionStore, StoredDecision
from audotics.server.storage.events import EventStore
from audotics.server.storage.receipts import ReceiptStore, StoredReceipt
from audotics.server.storage.sessions import SessionStore, StoredMember, StoredSession
from audotics.server.storage.tilt_updates import TiltUpdateStore
from audotics.server.types import Context, Event, Listener, ModelSelector, RecommendQuery, Subject

GOOD = "more content"
STRANGER = Listener(np.empty(0, np.int64), np.empty(0, np.int64))
LIMITS = LearningLimits(
    step=StepLimits(exploration=0.5, max_step=0.4), window_s=10.0, min_decisions=1000, watch_decisions=200
)


@dataclass
class Clock:
    """UTC seconds, moved by hand."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """Lists with their feedback, straight into the database: a list earns 1 or 0, by `mean` of its tilt."""

    database: Database
    clock: Clock
    mean: Callable[[str], float]
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    made: int = 0

    def live(self, learning: Learning, *, lists: int, arm: str = "", hybrid: int = 1) -> None:
        events, decisions = [], []
        for _ in range(lists):
            self.made += 1
            self.clock.now += 1.0
            user_id, list_id = f"u{self.made % 600}", f"r{self.made}"
            draw = learning.draw(Subject("user", user_id=user_id), STRANGER, Context(), arm=arm, hybrid=hybrid)
            decisions.append(
                StoredDecision(
                    list_id,
                    user_id,
                    self.clock.now,
                    arm,
                    draw.segment,
                    draw.tilt,
                    draw.propensity,
                    draw.policy,
                    hybrid=hybrid,
                )
            )
            if self.random.random() < self.mean(draw.tilt):
                events.append(Event(f"e{self.made}", user_id, "t1", "like", self.clock.now, list_id))
        receipts = [StoredReceipt(one.recommendation_id, one.user_id, one.created_at, b"") for one in decisions]
        ReceiptStore(self.database).write(receipts, decisions=decisions)
        rows = [
            {"event_id": e.event_id, "user_id": e.user_id, "track_id": e.track_id, "type": e.type}
            | {"occurred_at": e.occurred_at, "received_at": e.occurred_at, "recommendation_id": e.recommendation_id}
            for e in events
        ]
        from audotics.server.storage.schema import EVENTS

        with self.database.transaction() as connection:
            connection.execute(EVENTS.insert(), rows)
        self.clock.now += 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(database: Database, clock: Clock) -> World:
    return World(database, clock, lambda tilt: 0.7 if tilt == GOOD else 0.3)


@pytest.fixture
async def learning(
    database: Database, log: EventLog, executor: ThreadPoolExecutor, clock: Clock
) -> AsyncIterator[Learning]:
    async with open_learning(database, log, executor, clock) as opened:
        yield opened


def open_learning(database: Database, log: EventLog, executor: ThreadPoolExecutor, clock: Clock) -> Learning:
    return Learning(
        updates=TiltUpdateStore(database),
        decisions=DecisionStore(database),
        log=log,
        executor=executor,
        limits=LIMITS,
        now=clock,
    )


async def test_a_better_policy_is_published_and_a_worse_one_gone_back_from(
    learning: Learning,
    world: World,
    database: Database,
    log: EventLog,
    executor: ThreadPoolExecutor,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await learning.learn() is None
    world.live(learning, lists=999)
    assert await learning.learn() is None  # one list too few
    world.live(learning, lists=3000)
    with caplog.at_level(logging.INFO):
        published = await learning.learn()
    assert published is not None
    assert (published.number, published.outcome, published.replaced) == (1, "published", 0)
    assert published.evidence is not None
    assert published.evidence["decisions"] == 1200
    assert published.evidence["difference"]["low"] > 0
    assert caplog.records[-1].message.startswith("learning: number 1 is published: on 1200 lists held back")
    assert learning.policy().number == 1
    assert learning.policy().to_json()["new"][GOOD] > 0.3
    assert await learning.learn() is None  # nothing more to learn from yet

    async with open_learning(database, log, executor, clock) as next_server:
        assert next_server.policy().to_json() == learning.policy().to_json()

    world.mean = lambda tilt: 0.05 if tilt == GOOD else 0.3
    world.live(learning, lists=400)
    reverted = await learning.learn()
    assert reverted is not None
    assert (reverted.number, reverted.outcome, reverted.replaced) == (2, "reverted", 1)
    assert "number 0 would have earned +" in reverted.reason
    assert learning.policy().number == 2
    assert learning.policy().to_json()["new"][AS_TRAINED] == pytest.approx(0.5 + 0.5 / len(TILTS))
    assert [(one.number, one.outcome) for one in await learning.updates(limit=9)] == [(2, "reverted"), (1, "published")]
    assert learning.outcomes == {"published": 1, "dropped": 0, "reverted": 1, "restarted": 0}


async def test_a_clock_that_was_ahead_holds_nothing_up(learning: Learning, world: World, clock: Clock) -> None:
    world.live(learning, lists=4000)
    clock.now += 24 * 3600.0
    published = await learning.learn()
    assert published is not None
    assert published.outcome == "published"
    clock.now -= 24 * 3600.0
    world.mean = lambda tilt: 0.05 if tilt == GOOD else 0.3
    world.live(learning, lists=400)
    reverted = await learning.learn()  # not only when the clock says what it said then
    assert reverted is not None
    assert reverted.outcome == "reverted"
    world.live(learning, lists=1200)
    assert await learning.learn() is not None


async def test_what_is_learned_belongs_to_a_version_of_the_hybrid(
    learning: Learning, world: World, database: Database, log: EventLog, executor: ThreadPoolExecutor, clock: Clock
) -> None:
    world.live(learning, lists=4000)
    published = await learning.learn()
    assert published is not None
    assert (published.outcome, published.hybrid) == ("published", 1)
    learned = learning.policy().to_json()

    world.live(learning, lists=200, hybrid=2)
    assert (learning.policy().number, learning.policy().hybrid) == (0, 2)  # at once, not with the next round
    assert learning.policy().to_json()["new"][AS_TRAINED] == pytest.approx(0.5 + 0.5 / len(TILTS))
    begun = await learning.learn()
    assert begun is not None
    assert (begun.number, begun.outcome, begun.replaced, begun.hybrid) == (2, "restarted", 1, 2)
    assert begun.reason == "hybrid/2 makes the lists in place of hybrid/1: learning begins anew"
    assert await learning.learn() is None  # 200 lists are too few, and those of the other version do not count
    with pytest.raises(RefusedChangeError, match="number 2 is where learning began"):
        await learning.revert()

    async with open_learning(database, log, executor, clock) as next_server:
        assert (next_server.policy().number, next_server.policy().hybrid) == (2, 2)
        world.live(next_server, lists=10)
        assert next_server.policy().to_json() == learned  # rolled back: what was learned is there again
        resumed = await next_server.learn()
        assert resumed is not None
        assert (resumed.number, resumed.outcome, resumed.replaced, resumed.hybrid) == (3, "restarted", 2, 1)
        assert resumed.reason == "hybrid/1 makes the lists in place of hybrid/2: number 1 is in force again"
        assert next_server.policy().to_json() == learned
        assert next_server.policy().number == 3


async def test_where_nothing_matters_the_proposal_is_dropped_and_recorded(learning: Learning, world: World) -> None:
    world.mean = lambda tilt: 0.3
    world.live(learning, lists=1000)
    dropped = await learning.learn()
    assert dropped is not None
    assert dropped.outcome == "dropped"
    assert "is not above 0" in dropped.reason
    assert learning.policy().number == 0
    assert await learning.learn() is None
    with pytest.raises(RefusedChangeError, match="no published policy is in force for the arm ''; number 0"):
        await learning.revert()


async def test_arms_learn_apart_and_an_operator_may_go_back(learning: Learning, world: World) -> None:
    world.live(learning, lists=4000, arm="b")
    assert await learning.learn() is None
    published = await learning.learn("b")
    assert published is not None
    assert (published.arm, published.outcome) == ("b", "published")
    assert (learning.policy().number, learning.policy("b").number) == (0, 1)
    back = await learning.revert("b")
    assert (back.outcome, back.reason, back.evidence) == ("reverted", "an operator asked for it", None)
    assert learning.policy("b").probabilities == pytest.approx(learning.policy().probabilities)
    with pytest.raises(RefusedChangeError, match="number 2 is where learning began or what was gone back to"):
        await learning.revert("b")


async def test_a_slower_server_takes_over_what_the_faster_one_found(
    learning: Learning, world: World, database: Database, log: EventLog, executor: ThreadPoolExecutor, clock: Clock
) -> None:
    async with open_learning(database, log, executor, clock) as other:
        world.live(learning, lists=4000)
        assert await other.learn() is not None
        assert learning.policy().number == 0
        assert await learning.learn() is None
        assert learning.policy().to_json() == other.policy().to_json()


async def test_members_give_the_reward_of_their_list_together(
    learning: Learning, database: Database, clock: Clock
) -> None:
    """The mean of who said anything of a track, what the session did beside it, and nothing that was not listed."""
    overlap = Overlap(("t1", "t2", "t3"), (1, 1, 1), (1.0, 1.0, 1.0)).to_json()
    drawn = learning.draw_group("sessions/s", Context(), hybrid=1)
    assert drawn.segment == "group"
    assert drawn == learning.draw_group("sessions/s", Context(), hybrid=1)
    at, sessions = clock.now, SessionStore(database)
    member = StoredMember("ana", 1.0, at)
    assert sessions.create(StoredSession("s", "average", 0.0, at, members=(member,)))
    made = StoredDecision(
        "r1",
        "",
        at,
        "",
        drawn.segment,
        drawn.tilt,
        drawn.propensity,
        0,
        hybrid=1,
        overlap=overlap,
        group_key="sessions/s",
    )
    ReceiptStore(database).write([StoredReceipt("r1", "", at, b"")], decisions=[made])
    events = [
        Event("e1", "ana", "t1", "like", at, "r1"),
        Event("e2", "ben", "t1", "skip", at, "r1"),
        Event("e3", "ben", "t2", "complete", at, "r1"),
        Event("e4", "ben", "elsewhere", "like", at, "r1"),
    ]
    EventStore(database).append(events, received_at=at + 1.0)
    for track_id in ("t3", "elsewhere"):
        sessions.change("s", lambda change, played=track_id: change.play(played, started_at=at + 2.0))
    clock.now += 60.0
    await learning.learn()
    (settled,) = DecisionStore(database).latest("", hybrid=1, since=0.0, limit=9)
    assert settled.reward == pytest.approx(0.25 + 1.0 + 0.5)
    assert settled.credits == pytest.approx([1.75] + [0.0] * (len(TILTS) - 1))


async def test_a_group_is_one_listener_however_many_lists_it_gets() -> None:
    lists = [
        StoredDecision(f"r{n}", "", 1.0, "", "group", AS_TRAINED, 0.5, 0, reward=1.0, group_key=f"sessions/{n % 3}")
        for n in range(9)
    ]
    assert len(set(Logged.of(lists).listener.tolist())) == 3


async def test_the_time_of_day_alone_asks_for_nothing(learning: Learning) -> None:
    segments = {
        context: learning.draw(Subject("session"), STRANGER, context).segment
        for context in (Context(), Context(day_part="evening"), Context(genres=("jazz",)), Context("chill"))
    }
    assert list(segments.values()) == ["new", "new", "new, context", "new, context"]


async def test_a_listener_keeps_their_tilt_for_a_while(learning: Learning, clock: Clock) -> None:
    def drawn(user_id: str) -> str:
        return learning.draw(Subject("user", user_id=user_id), STRANGER, Context()).tilt

    clock.now = 600.0 * 2000
    before = [drawn(f"u{n}") for n in range(200)]
    clock.now += 599.0
    assert [drawn(f"u{n}") for n in range(200)] == before
    clock.now += 1.0
    assert [drawn(f"u{n}") for n in range(200)] != before
    assert before.count(AS_TRAINED) == pytest.approx(200 * (0.5 + 0.5 / len(TILTS)), abs=30)


async def test_a_tilted_list_is_replayed_exactly_and_its_draw_is_stored(
    learning: Learning,
    registry: Registry,
    listeners: Listeners,
    recommender: Recommender,
    stored_receipts: ReceiptStore,
    receipts: ReceiptWriter,
    executor: ThreadPoolExecutor,
    database: Database,
) -> None:
    service = RecommendService(registry=registry, listeners=listeners, recommender=recommender, learning=learning)
    explain = ExplainService(
        registry=registry, recommender=recommender, receipts=stored_receipts, writer=receipts, executor=executor
    )
    tilted, untilted_lists = 0, {}
    for number in range(12):
        query = RecommendQuery(Subject("user", user_id=f"u{number:02d}"), limit=5, explain=True)
        answer = await service.recommend(query)
        plain = await service.recommend(
            RecommendQuery(query.subject, limit=5, models=ModelSelector(versions=registry.snapshot.model_versions))
        )
        untilted_lists[answer.recommendation_id] = {track.track_id for track in plain.tracks}
        explained = await explain.explain(answer.recommendation_id)
        draw, replay = explained.receipt.draw, explained.replay
        assert draw is not None
        assert replay is not None
        assert replay.max_abs_difference <= 1e-6
        assert draw == learning.draw(
            query.subject, (await listeners.resolve(query.subject, registry.snapshot.catalog))[0], Context()
        )
        by_id = {track.track_id: track for track in plain.tracks}
        for track in answer.tracks:
            assert sum(part.contribution for part in track.contributions) == pytest.approx(track.score, abs=1e-5)
            if draw.tilt != AS_TRAINED and track.track_id in by_id:
                tilted += track.score != by_id[track.track_id].score
        assert (await explain.explain(plain.recommendation_id)).receipt.draw is None
    assert tilted > 0
    decisions = DecisionStore(database).unsettled(before=2e9, limit=50)
    assert len(decisions) == 12
    assert {(one.segment, one.hybrid) for one in decisions} == {("some tracks", 1)}
    assert all(0 < one.propensity < 1 for one in decisions)
    for decision in decisions:
        overlap = Overlap.from_json(decision.overlap)
        assert overlap is not None
        as_trained, own = (list(TILTS).index(name) for name in (AS_TRAINED, decision.tilt))
        by_both = {track for track, bits in zip(overlap.tracks, overlap.tilts, strict=True) if bits >> as_trained & 1}
        assert by_both == untilted_lists[decision.recommendation_id] & set(overlap.tracks)
        assert all(bits >> own & 1 for bits in overlap.tilts)
        assert all(decision.propensity <= chance <= 1 + 1e-9 for chance in overlap.chances)
