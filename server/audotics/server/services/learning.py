"""Learning of tilts: settled feedback goes in, policies come out, each judged before it serves and watched afterwards.

A round settles what lists earned, goes back to the policy before where that would have earned more since, and else
proposes a step. Every proposal leaves a record, whether it was published or dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from types import TracebackType
from typing import Final, Self, TypeVar

from audotics.features.rewards import shared_rewards
from audotics.server.errors import RefusedChangeError
from audotics.server.learning.credit import Overlap
from audotics.server.learning.policy import Drawing, TiltPolicy
from audotics.server.learning.proposal import StepLimits, propose, regret
from audotics.server.learning.segments import group_segment, segment_of
from audotics.server.services.event_log import EventLog
from audotics.server.storage.decisions import DecisionStore, Said, Settlement, StoredDecision
from audotics.server.storage.errors import StorageError
from audotics.server.storage.tilt_updates import Outcome, StoredUpdate, TiltUpdateStore
from audotics.server.types import Context, Draw, Listener, Subject

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)
_STEP_DECISIONS: Final = 500
"""Decisions settled in one turn: some 10 ms, for which feedback waits."""
_MOST_HELD_BACK: Final = 20_000
_MOST_LEARNED_FROM: Final = 50_000
_DAY_S: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class LearningLimits:
    """When and from what to learn.

    Feedback counts for `window_s` after a list. A step is proposed after `min_decisions` more settled lists, from those
    of `memory_days`; a share `held_back`, the latest, judges it. From `watch_decisions` on, a published policy is
    compared with the one before. A listener's tilt is drawn anew every `hold_s`, so that their lists do not flicker.
    """

    step: StepLimits = field(default_factory=StepLimits)
    interval_s: float = 600.0
    window_s: float = 1800.0
    min_decisions: int = 1000
    watch_decisions: int = 200
    memory_days: float = 30.0
    held_back: float = 0.3
    hold_s: float = 600.0


class Learning:
    """Draws tilts and learns which ones to draw. Use it as an async context manager; rounds run in the background."""

    def __init__(
        self,
        *,
        updates: TiltUpdateStore,
        decisions: DecisionStore,
        log: EventLog,
        executor: Executor,
        limits: LearningLimits | None = None,
        now: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`executor` reads and computes; what is written takes its turn with the events. `chance` is for strangers."""
        self._updates = updates
        self._decisions = decisions
        self._log = log
        self._executor = executor
        self._limits = LearningLimits() if limits is None else limits
        self._now = now
        self._chance = chance
        self._drawings: dict[tuple[str, int], Drawing] = {}
        self._hybrids: dict[str, int] = {}
        """The version of the hybrid that makes the lists of each arm."""
        self._one_round = asyncio.Lock()
        self._learning: asyncio.Task[None] | None = None
        self.outcomes: Final[Counter[str]] = Counter(published=0, dropped=0, reverted=0, restarted=0)
        """What became of policies on this server since the start."""

    async def __aenter__(self) -> Self:
        """Raises StorageError."""
        await self._refresh()
        self._learning = asyncio.create_task(self._learn_for_ever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._learning is not None:
            self._learning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._learning

    def draw(self, subject: Subject, listener: Listener, context: Context, *, arm: str = "", hybrid: int = 0) -> Draw:
        """A tilt for a list of a version of the hybrid. The same listener gets the same one for a while. Never waits.

        What was learned of one version is nothing to another: each begins anew, and goes on when it comes back.
        """
        segment = segment_of(len(listener.history), asked=context.asks)
        return self._draw(subject.user_id, segment, arm=arm, hybrid=hybrid)

    def draw_group(self, group_key: str, context: Context, *, arm: str = "", hybrid: int = 0) -> Draw:
        """As `draw`, one tilt for all members of a group, which is known by its own name."""
        return self._draw(group_key, group_segment(asked=context.asks), arm=arm, hybrid=hybrid)

    def _draw(self, unit: str, segment: str, *, arm: str, hybrid: int) -> Draw:
        self._hybrids[arm] = hybrid
        drawing = self._drawing(arm, hybrid)
        if not unit:
            return drawing.draw(segment, self._chance())
        span = int(self._now() // self._limits.hold_s)
        named = f"{arm}\0{drawing.policy.number}\0{span}\0{unit}"
        return drawing.draw(segment, int.from_bytes(blake2b(named.encode(), digest_size=6).digest()) / 2**48)

    def policy(self, arm: str = "") -> TiltPolicy:
        """The policy in force, of the version of the hybrid that makes the arm's lists."""
        return self._drawing(arm, self._hybrids.get(arm, 0)).policy

    async def updates(self, arm: str = "", *, limit: int) -> list[StoredUpdate]:
        """What became of proposals, the latest first. Raises StorageError."""
        return await self._read(partial(self._updates.latest, arm, limit=limit))

    async def learn(self, arm: str = "") -> StoredUpdate | None:
        """Run one round now; None where nothing was proposed yet. Raises StorageError."""
        async with self._one_round:
            await self._settle()
            await self._refresh(arm)
            return await self._restart(arm) or await self._watch(arm) or await self._propose(arm)

    async def revert(self, arm: str = "") -> StoredUpdate:
        """Go back to the policy before the one in force. Raises RefusedChangeError, StorageError."""
        async with self._one_round:
            await self._refresh(arm)
            published = await self._published(arm)
            if published is None:
                raise RefusedChangeError(
                    f"no published policy is in force for the arm {arm!r}; number {self.policy(arm).number} is where "
                    "learning began or what was gone back to"
                )
            before = await self._policy_of(arm, published.replaced)
            record = await self._record("reverted", before, reason="an operator asked for it")
            if record is None:
                raise RefusedChangeError("another server has just changed the policy; look at it, and ask again")
            return record

    async def _learn_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._limits.interval_s)
            try:
                for arm in await self._read(partial(self._decisions.arms, since=self._since())):
                    await self.learn(arm)
            except StorageError as error:
                _LOG.warning("learning: %s; trying again in %g s", error, self._limits.interval_s)

    async def _settle(self) -> None:
        """Write what lists earned whose time for feedback is over."""
        while True:
            before = self._now() - self._limits.window_s
            waiting = await self._read(partial(self._decisions.unsettled, before=before, limit=_STEP_DECISIONS))
            said = await self._read(partial(self._decisions.said_of, waiting, window_s=self._limits.window_s))
            settlements = {one.recommendation_id: _settled(one, said.get(one.recommendation_id, ())) for one in waiting}
            await self._log.in_turn(partial(self._decisions.settle, settlements))
            if len(waiting) < _STEP_DECISIONS:
                return

    async def _restart(self, arm: str) -> StoredUpdate | None:
        """Write down that another version of the hybrid makes the lists than that of the last record."""
        policy, latest = self.policy(arm), await self.updates(arm, limit=1)
        if not latest or latest[0].hybrid == policy.hybrid:
            return None
        what = f"number {policy.number} is in force again" if policy.number else "learning begins anew"
        before = self._drawing(arm, latest[0].hybrid).policy.number
        reason = f"{_named(policy.hybrid)} makes the lists in place of {_named(latest[0].hybrid)}: {what}"
        return await self._record("restarted", policy, reason=reason, replaced=before)

    async def _watch(self, arm: str) -> StoredUpdate | None:
        """Go back where the policy before would have earned more on the lists since."""
        published = await self._published(arm)
        if published is None:
            return None
        read = partial(
            self._decisions.latest,
            arm,
            hybrid=published.hybrid,
            since=self._since(after=published),
            limit=_MOST_HELD_BACK,
            policy=published.number,
        )
        lists = await self._read(read)
        if len(lists) < self._limits.watch_decisions:
            return None
        before = await self._policy_of(arm, published.replaced)
        judgement = await self._read(partial(regret, self.policy(arm), before, lists=lists))
        if judgement is None or max(judgement.difference.low, judgement.check.low) <= 0:
            return None
        gain = max(judgement.difference, judgement.check, key=lambda interval: interval.low)
        reason = (
            f"on its {judgement.decisions} lists, number {before.number} would have earned {gain.estimate:+.4f} a "
            f"list, {gain.low:+.4f} at least"
        )
        return await self._record("reverted", before, reason=reason, evidence=judgement.to_json())

    async def _propose(self, arm: str) -> StoredUpdate | None:
        limits, since, hybrid = self._limits, self._since(), self.policy(arm).hybrid
        latest = await self.updates(arm, limit=1)
        begun = self._since(after=latest[0]) if latest else since
        settled = partial(self._decisions.settled_count, arm, hybrid=hybrid)
        if await self._read(partial(settled, since=begun)) < limits.min_decisions:
            return None
        count = await self._read(partial(settled, since=since))
        most = min(_MOST_HELD_BACK, round(limits.held_back * count))
        held_back = await self._read(partial(self._decisions.latest, arm, hybrid=hybrid, since=since, limit=most))
        if not held_back:
            return None
        cut = held_back[0].created_at
        known = partial(self._decisions.latest, arm, hybrid=hybrid, since=since, before=cut, limit=_MOST_LEARNED_FROM)
        earlier = await self._read(known)
        proposal = await self._read(
            partial(
                propose,
                self.policy(arm),
                earlier=earlier,
                held_back=held_back,
                number=latest[0].number + 1 if latest else 1,
                limits=limits.step,
            )
        )
        if proposal is None:
            return None
        outcome: Outcome = "published" if proposal.accepted else "dropped"
        evidence = proposal.judgement.to_json()
        return await self._record(outcome, proposal.policy, reason=proposal.reason, evidence=evidence)

    async def _record(
        self,
        outcome: Outcome,
        policy: TiltPolicy,
        *,
        reason: str,
        evidence: dict[str, object] | None = None,
        replaced: int | None = None,
    ) -> StoredUpdate | None:
        """Append a record and put its policy in force; None where another server was faster."""
        latest = await self.updates(policy.arm, limit=1)
        record = StoredUpdate(
            arm=policy.arm,
            number=latest[0].number + 1 if latest else 1,
            outcome=outcome,
            created_at=self._now(),
            replaced=self.policy(policy.arm).number if replaced is None else replaced,
            reason=reason,
            policy=policy.to_json(),
            evidence=evidence,
            hybrid=policy.hybrid,
        )
        if not await self._log.in_turn(partial(self._updates.append, record)):
            await self._refresh(policy.arm)
            return None
        if outcome != "dropped":
            self._drawings[policy.arm, policy.hybrid] = Drawing(replace(policy, number=record.number))
        self.outcomes[outcome] += 1
        _LOG.info("learning: number %d is %s: %s", record.number, outcome, reason)
        return record

    async def _published(self, arm: str) -> StoredUpdate | None:
        """The record of the policy in force, if it was published and not gone back to."""
        number = self.policy(arm).number
        record = await self._read(partial(self._updates.find, arm, number)) if number else None
        return record if record is not None and record.outcome == "published" else None

    async def _policy_of(self, arm: str, number: int) -> TiltPolicy:
        record = await self._read(partial(self._updates.find, arm, number)) if number else None
        return self._start(arm, self._hybrids.get(arm, 0)) if record is None else self._opened(record)

    async def _refresh(self, arm: str | None = None) -> None:
        """Take over what other servers have put in force, and what they say of an arm: which hybrid makes its lists."""
        if arm is not None and (made_by := await self._read(partial(self._decisions.hybrid, arm))) is not None:
            self._hybrids[arm] = made_by
        in_force = await self._read(self._updates.in_force)
        for (name, hybrid), record in sorted(in_force.items(), key=lambda item: -item[1].number):
            self._hybrids.setdefault(name, hybrid)  # that of the latest record, until anything else is known
            if self._drawing(name, hybrid).policy.number != record.number:
                self._drawings[name, hybrid] = Drawing(self._opened(record))

    def _drawing(self, arm: str, hybrid: int) -> Drawing:
        drawing = self._drawings.get((arm, hybrid))
        if drawing is None:
            drawing = self._drawings[arm, hybrid] = Drawing(self._start(arm, hybrid))
        return drawing

    def _start(self, arm: str, hybrid: int) -> TiltPolicy:
        return TiltPolicy.start(arm, exploration=self._limits.step.exploration, hybrid=hybrid)

    def _opened(self, record: StoredUpdate) -> TiltPolicy:
        exploration = self._limits.step.exploration
        return TiltPolicy.from_json(
            record.arm, record.number, record.policy, exploration=exploration, hybrid=record.hybrid
        )

    def _since(self, *, after: StoredUpdate | None = None) -> float:
        """From when on lists count. A record of the future is from before the clock was set back, and says nothing."""
        now = self._now()
        since = now - self._limits.memory_days * _DAY_S
        return since if after is None or after.created_at > now else max(since, after.created_at)

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _named(hybrid: int) -> str:
    """Records from before policies belonged to a version do not say which it was."""
    return f"hybrid/{hybrid}" if hybrid else "no known hybrid"


def _settled(decision: StoredDecision, said: Iterable[Said]) -> Settlement:
    overlap = Overlap.from_json(decision.overlap)
    by_listener: dict[str, list[tuple[str, str, float | None]]] = {}
    for user_id, track_id, event, rating in said:
        if overlap is None or track_id in overlap.tracks:  # a session may play what was never listed
            by_listener.setdefault(user_id, []).append((track_id, event, rating))
    rewards = shared_rewards(by_listener.values())
    credits = None if overlap is None else overlap.credits(rewards) if any(rewards.values()) else []
    return Settlement(sum(rewards.values()), credits)
